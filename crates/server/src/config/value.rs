//! A setting's value: read from text or TOML, checked against its kind.

use super::table::Kind;
use ipnetwork::IpNetwork;
use std::net::SocketAddr;
use toml::de::DeValue;

/// A checked value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Texts, paths, words and addresses.
    Text(String),
    /// Truth values.
    Bool(bool),
    /// Whole numbers.
    Integer(u64),
    /// Lists.
    List(Vec<String>),
}

impl Value {
    /// Reads a value as it is written in the environment or after a flag.
    ///
    /// # Errors
    /// What was found, in words, when it does not fit.
    pub(super) fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        let found = || format!("\"{text}\"");
        let value = match kind {
            Kind::Bool => Self::Bool(match text {
                "true" | "1" | "yes" | "on" => true,
                "false" | "0" | "no" | "off" => false,
                _ => return Err(found()),
            }),
            Kind::Integer { .. } => Self::Integer(text.replace('_', "").parse().map_err(|_| found())?),
            Kind::Hosts | Kind::Origins | Kind::IceServers | Kind::Networks => Self::List(
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect(),
            ),
            Kind::Text | Kind::Path | Kind::Choice(_) | Kind::Address | Kind::Origin => {
                Self::Text(text.to_owned())
            }
        };
        value.fits(kind)
    }

    /// Reads a value of a TOML file.
    ///
    /// # Errors
    /// What was found, in words, when it does not fit.
    pub(super) fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Self, String> {
        let read = match (kind, value) {
            (Kind::Bool, DeValue::Boolean(value)) => Self::Bool(*value),
            (Kind::Integer { .. }, DeValue::Integer(number)) => Self::Integer(
                u64::from_str_radix(number.as_str(), number.radix())
                    .map_err(|_| format!("the number {}", number.as_str()))?,
            ),
            (Kind::Hosts | Kind::Origins | Kind::IceServers | Kind::Networks, DeValue::Array(items)) => {
                Self::List(
                    items
                        .iter()
                        .map(|item| match item.get_ref() {
                            DeValue::String(text) => Ok(text.clone().into_owned()),
                            other => Err(format!("a list with {}", describe(other))),
                        })
                        .collect::<Result<_, _>>()?,
                )
            }
            (
                Kind::Text | Kind::Path | Kind::Choice(_) | Kind::Address | Kind::Origin,
                DeValue::String(text),
            ) => Self::Text(text.clone().into_owned()),
            (_, other) => return Err(describe(other)),
        };
        read.fits(kind)
    }

    fn fits(self, kind: Kind) -> Result<Self, String> {
        let fits = match (&self, kind) {
            (Self::Integer(number), Kind::Integer { min, max }) => (min..=max).contains(number),
            (Self::Text(text), Kind::Choice(words)) => words.contains(&text.as_str()),
            (Self::Text(text), Kind::Address) => text.parse::<SocketAddr>().is_ok(),
            (Self::List(items), Kind::Hosts) => items.iter().all(|item| is_host(item)),
            (Self::Text(text), Kind::Origin) => text.is_empty() || is_origin(text),
            (Self::List(items), Kind::Origins) => items.iter().all(|item| is_origin(item)),
            (Self::List(items), Kind::IceServers) => items.iter().all(|item| is_ice_server(item)),
            (Self::List(items), Kind::Networks) => items.iter().all(|item| item.parse::<IpNetwork>().is_ok()),
            _ => true,
        };
        if fits { Ok(self) } else { Err(format!("\"{}\"", self.text())) }
    }

    /// The value as it would be written in the environment.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::List(items) => items.join(","),
        }
    }
}

/// `host:port`, where an IPv6 address is in brackets.
fn is_host(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    port.parse::<u16>().is_ok_and(|port| port > 0)
        && (name || bracketed && text.parse::<SocketAddr>().is_ok())
}

/// `scheme://host` or `scheme://host:port` and nothing after it, as browsers send it.
fn is_origin(text: &str) -> bool {
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    is_host(host) || is_host(&format!("{host}:1"))
}

/// `stun:host`, with a port where it is not the usual one; for TURN also how to reach it.
fn is_ice_server(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let (host, transport) = match rest.split_once('?') {
        Some((host, query)) => (host, Some(query)),
        None => (rest, None),
    };
    let by = match scheme {
        "stun" | "stuns" => transport.is_none(),
        "turn" | "turns" => transport.is_none_or(|by| ["transport=udp", "transport=tcp"].contains(&by)),
        _ => false,
    };
    by && (is_host(host) || is_host(&format!("{host}:1")))
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(value) => format!("the truth value {value}"),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}
