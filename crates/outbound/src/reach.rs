//! Which servers a webhook may reach. Its URL is the word of an operator of some realm, and this node stands inside
//! a network that is none of theirs: only what is public is reached, or what the settings name.

use ipnetwork::IpNetwork;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// How long a URL may be, in bytes.
const LONGEST: usize = 2_048;

/// Networks of IPv4 that are not public, as the first address and the length of the prefix. The last one is where
/// machines in Azure find secrets of their own.
const CLOSED_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// Why a webhook can't go where its URL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// It is not a URL that a webhook may have.
    #[error("the URL must be https://HOST/…, without a user, a password or a fragment")]
    Url,
    /// It leads somewhere private.
    #[error("the URL leads to an address that is not public")]
    Private,
    /// Its host has no address.
    #[error("the URL's host has no address")]
    NoAddress,
}

/// What may be reached.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Whether `http:` will do, too.
    pub allow_http: bool,
    /// Networks that may be reached although they are not public.
    pub allow_private: Vec<IpNetwork>,
}

impl Reach {
    /// Reads a webhook's URL. A host that is written as an address is checked here already, in any of its forms.
    ///
    /// # Errors
    /// See [`Unreachable`].
    pub fn url(&self, text: &str) -> Result<Url, Unreachable> {
        if text.len() > LONGEST {
            return Err(Unreachable::Url);
        }
        let url = Url::parse(text).map_err(|_| Unreachable::Url)?;
        let scheme = url.scheme() == "https" || url.scheme() == "http" && self.allow_http;
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !scheme || !bare {
            return Err(Unreachable::Url);
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into())?,
            Some(Host::Ipv6(address)) => self.check(address.into())?,
            Some(Host::Domain(name)) if !name.is_empty() => {}
            Some(Host::Domain(_)) | None => return Err(Unreachable::Url),
        }
        Ok(url)
    }

    /// The addresses of a URL's host, each of them checked: who connects must not look the name up again, for it
    /// may lead elsewhere by then.
    ///
    /// # Errors
    /// See [`Unreachable`]. One private address among public ones is enough.
    pub async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, Unreachable> {
        let port = url.port_or_known_default().ok_or(Unreachable::Url)?;
        let addresses: Vec<SocketAddr> = match url.host().ok_or(Unreachable::Url)? {
            Host::Ipv4(address) => vec![(address, port).into()],
            Host::Ipv6(address) => vec![(address, port).into()],
            Host::Domain(name) => {
                let found = tokio::net::lookup_host((name, port)).await;
                found.map_err(|_| Unreachable::NoAddress)?.collect()
            }
        };
        if addresses.is_empty() {
            return Err(Unreachable::NoAddress);
        }
        addresses.iter().try_for_each(|address| self.check(address.ip()))?;
        Ok(addresses)
    }

    fn check(&self, address: IpAddr) -> Result<(), Unreachable> {
        let address = address.to_canonical();
        let allowed = self.allow_private.iter().any(|network| network.contains(address));
        let public = match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        };
        if allowed || public { Ok(()) } else { Err(Unreachable::Private) }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(network, length): &(Ipv4Addr, u32)| {
        (address.to_bits() ^ network.to_bits()).checked_shr(32 - length).unwrap_or_default() == 0
    };
    !CLOSED_V4.iter().any(within)
}

/// Public is what was given out as such; what carries an address of IPv4 is as public as that.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match parts {
        // Translated to IPv4, by NAT64 and by 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo and other protocols; documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_refused_however_it_is_written() {
        let private = [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "0.0.0.0",
            "0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "198.19.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "240.0.0.1",
            "[::]",
            "[::1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2002:a00:1::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "１２７.0.0.1",
        ];
        for host in private {
            let got = Reach::default().url(&format!("https://{host}/hook"));
            assert_eq!(got, Err(Unreachable::Private), "{host}");
        }
        let public = [
            "9.9.9.9",
            "11.0.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "168.63.129.17",
            "223.255.255.255",
            "[2606:4700::1111]",
            "[::ffff:9.9.9.9]",
            "[64:ff9b::909:909]",
            "[2002:909:909::1]",
            "[2001:200::1]",
            "example.com",
        ];
        for host in public {
            assert!(Reach::default().url(&format!("https://{host}/hook")).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_url_is_bare_and_https_unless_the_settings_say_otherwise() {
        let long = format!("https://example.com/{}", "a".repeat(LONGEST));
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://",
            "example.com",
            "",
            "https://user@example.com/",
            "https://:word@example.com/",
            "https://example.com/#x",
            &long,
        ] {
            assert_eq!(Reach::default().url(url), Err(Unreachable::Url), "{url}");
        }
        let reach = Reach { allow_http: true, allow_private: vec!["10.1.0.0/16".parse().unwrap()] };
        assert!(reach.url("http://10.1.2.3:8080/hook?x=1").is_ok());
        assert!(reach.url("http://[::ffff:10.1.2.3]/").is_ok());
        assert_eq!(reach.url("http://10.2.0.1/"), Err(Unreachable::Private));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_when_it_is_looked_up() {
        let url = Reach::default().url("https://localhost/").unwrap();
        assert_eq!(Reach::default().addresses(&url).await, Err(Unreachable::Private));
        let reach = Reach {
            allow_private: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            ..Reach::default()
        };
        assert_eq!(reach.addresses(&url).await.unwrap()[0].port(), 443);
    }
}
