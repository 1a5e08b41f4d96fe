//! Where a server is, and which certificates are believed.

use crate::error::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// The certificates that a client believes. A self-hosted server usually has one of its own.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Believes the certificates of a PEM file, and no others.
    ///
    /// # Errors
    /// If the file can't be read or holds no certificate.
    pub fn file(path: &Path) -> Result<Self> {
        let text = std::fs::read(path)?;
        Self::pem(&text).map_err(|error| Error::Address(format!("{}: {error}", path.display())))
    }

    /// Believes the certificates of a PEM text, and no others.
    ///
    /// # Errors
    /// If the text holds no certificate.
    pub fn pem(text: &[u8]) -> Result<Self> {
        let wrong = |error: &dyn std::fmt::Display| Error::Address(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(text) {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
        if roots.is_empty() {
            return Err(Error::Address("there is no certificate in it".into()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}

/// Where a server is.
#[derive(Debug, Clone)]
pub struct Address {
    /// A host name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What to believe if it speaks TLS; none if it speaks plainly.
    pub trust: Option<Trust>,
}

impl Address {
    /// A server that speaks plainly.
    pub fn plain(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, trust: None }
    }

    /// Reads `ws://host:port`, `http://host:port` or the same with TLS (`wss`, `https`), which needs
    /// `trust`. Without a scheme it is plain.
    ///
    /// # Errors
    /// If it is no such address, or TLS is asked for with nothing to trust.
    pub fn parse(text: &str, trust: Option<Trust>) -> Result<Self> {
        let wrong = |why: &str| Err(Error::Address(format!("\"{text}\": {why}")));
        let (tls, rest) = match text.split_once("://") {
            Some(("ws" | "http", rest)) => (false, rest),
            Some(("wss" | "https", rest)) => (true, rest),
            Some(_) => return wrong("the scheme is ws, wss, http or https"),
            None => (false, text),
        };
        let place = rest.split('/').next().unwrap_or_default();
        let port_begins = place.rfind(':').filter(|at| !place[*at..].contains(']'));
        let (host, port) = match port_begins {
            Some(at) => (&place[..at], place[at + 1..].parse().ok()),
            None => (place, Some(if tls { 443 } else { 80 })),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let Some(port) = port else { return wrong("the port is a number up to 65535") };
        if host.is_empty() {
            return wrong("there is no host");
        }
        if tls && trust.is_none() {
            return wrong("TLS needs a certificate to trust");
        }
        Ok(Self { host: host.to_owned(), port, trust: trust.filter(|_| tls) })
    }

    /// The `Host` of a request.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(String, u16)> {
        Address::parse(text, None).ok().map(|address| (address.host, address.port))
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        assert_eq!(parse("ws://127.0.0.1:8430"), Some(("127.0.0.1".into(), 8430)));
        assert_eq!(parse("http://chat.example.org/v2/socket"), Some(("chat.example.org".into(), 80)));
        assert_eq!(parse("[::1]:99"), Some(("::1".into(), 99)));
        assert_eq!(parse("localhost:1"), Some(("localhost".into(), 1)));
        for wrong in ["", "ftp://x", "x:70000", "ws://:80", "x:y"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tls_needs_something_to_trust() {
        assert!(Address::parse("wss://localhost", None).is_err());
        assert!(Trust::pem(b"no certificate").is_err());
    }
}
