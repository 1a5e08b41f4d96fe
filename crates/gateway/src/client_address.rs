//! The address of a client: of its connection, or what a proxy says that the operator trusts.

use actix_http::header::HeaderMap;
use ipnetwork::IpNetwork;
use levee_proto::Text;
use std::net::{IpAddr, SocketAddr};

/// How many proxies a request may have come through.
const HOPS: usize = 32;

/// The address of who sent a request. Each proxy adds to `X-Forwarded-For` whom it was connected with: so from its
/// end on it is true for as long as proxies wrote it that are trusted, and what stands before that anybody may have
/// made up.
pub(crate) fn of(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNetwork]) -> Text {
    let Some(peer) = peer else { return Text::default() };
    let mut address = peer.ip().to_canonical();
    let named = || headers.get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> =
        if trusted.is_empty() { Vec::new() } else { named().flat_map(|all| all.split(',')).collect() };
    for hop in hops.iter().rev().take(HOPS) {
        if !trusted.iter().any(|network| network.contains(address)) {
            break;
        }
        let Some(before) = parse(hop.trim()) else { break };
        address = before;
    }
    compact_str::format_compact!("{address}")
}

/// An address, which some proxies write with the port beside it.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::header::{HeaderName, HeaderValue};

    fn found(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<IpNetwork> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        of(Some(format!("{peer}:9").parse().unwrap()), &headers, &trusted).to_string()
    }

    #[test]
    fn only_what_a_trusted_proxy_says_is_believed() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        for (peer, forwarded, trusted, client) in [
            ("10.1.1.1", &["192.0.2.7"][..], &[][..], "10.1.1.1"),
            ("198.51.100.1", &["192.0.2.7"], &proxies, "198.51.100.1"),
            ("10.1.1.1", &["192.0.2.7"], &proxies, "192.0.2.7"),
            // What stands before the first address that is no proxy's was said by that client.
            ("10.1.1.1", &["127.0.0.1, 192.0.2.7"], &proxies, "192.0.2.7"),
            ("10.1.1.1", &["192.0.2.7, 10.2.2.2"], &proxies, "192.0.2.7"),
            ("10.1.1.1", &["203.0.113.9", "192.0.2.7,10.2.2.2"], &proxies, "192.0.2.7"),
            ("10.1.1.1", &["192.0.2.7:4711"], &proxies, "192.0.2.7"),
            ("10.1.1.1", &["[2001:db8::1]:4711"], &proxies, "2001:db8::1"),
            ("[::ffff:10.1.1.1]", &["2001:db8::1"], &proxies, "2001:db8::1"),
            ("[fd00::1]", &["192.0.2.7"], &proxies, "192.0.2.7"),
            // A proxy that says nothing, or nonsense, stands for itself.
            ("10.1.1.1", &[], &proxies, "10.1.1.1"),
            ("10.1.1.1", &["unknown"], &proxies, "10.1.1.1"),
            ("10.1.1.1", &["192.0.2.7, <script>, 10.2.2.2"], &proxies, "10.2.2.2"),
        ] {
            assert_eq!(found(peer, forwarded, trusted), client, "{peer} {forwarded:?}");
        }
        assert_eq!(of(None, &HeaderMap::new(), &[]), "");
    }
}
