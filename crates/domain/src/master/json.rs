//! JSON that was signed: read strictly, and written as others write it.

use levee_proto::types::Object;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

/// A value whose objects keep the order of their properties, and have none twice.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    /// Anything without parts but a string.
    Plain(Value),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// An object, unless the text is anything else or has a property twice, at whatever depth.
pub(super) fn object(text: &[u8]) -> Option<Object> {
    match serde_json::from_slice(text).ok()? {
        Json::Object(pairs) => Some(pairs.into_iter().map(|(key, value)| (key, value.into())).collect()),
        _ => None,
    }
}

/// How a serialiser writes strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `json.dumps` of Python: ASCII only.
    Python,
    /// `JSON.stringify` of JavaScript: escapes only what it must.
    JavaScript,
    /// `json_encode` of PHP: ASCII only, and slashes are escaped.
    Php,
    /// Gson of Java: escapes what JavaScript takes for ends of lines.
    Gson,
}

impl Style {
    pub(super) const ALL: [Self; 4] = [Self::Python, Self::JavaScript, Self::Php, Self::Gson];

    fn escapes(self, char: char) -> bool {
        match self {
            Self::Python => !matches!(char, ' '..='~'),
            Self::JavaScript => char < ' ',
            Self::Php => char < ' ' || !char.is_ascii(),
            Self::Gson => char < ' ' || matches!(char, '\u{2028}' | '\u{2029}'),
        }
    }
}

/// Writes a string.
pub(super) fn write_text(out: &mut String, text: &str, style: Style) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '/' if style == Style::Php => out.push_str("\\/"),
            _ if style.escapes(char) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}

/// Writes an array of what there is, each by a function.
pub(super) fn write_list<T>(out: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

impl Json {
    /// Writes it without whitespace.
    pub(super) fn write(&self, out: &mut String, style: Style) {
        match self {
            Self::Plain(value) => {
                let _ = write!(out, "{value}");
            }
            Self::Text(text) => write_text(out, text, style),
            Self::List(items) => write_list(out, items, |out, item| item.write(out, style)),
            Self::Object(pairs) => {
                out.push('{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(out, key, style);
                    out.push(':');
                    value.write(out, style);
                }
                out.push('}');
            }
        }
    }

    /// The same with the properties of every object in the order of their names.
    pub(super) fn sorted(mut self) -> Self {
        match &mut self {
            Self::Plain(_) | Self::Text(_) => {}
            Self::List(items) => {
                *items = std::mem::take(items).into_iter().map(Self::sorted).collect();
            }
            Self::Object(pairs) => {
                *pairs =
                    std::mem::take(pairs).into_iter().map(|(key, value)| (key, value.sorted())).collect();
                pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
        }
        self
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Plain(value) => value,
            Json::Text(text) => Self::String(text),
            Json::List(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(pairs) => {
                Self::Object(pairs.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a property twice")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a number"))?;
        Ok(Json::Plain(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let (mut pairs, mut names) = (Vec::new(), BTreeSet::new());
        while let Some(key) = access.next_key::<String>()? {
            if !names.insert(key.clone()) {
                return Err(de::Error::custom("a property twice"));
            }
            pairs.push((key, access.next_value()?));
        }
        Ok(Json::Object(pairs))
    }
}
