//! TLS: from files, or with a certificate of our own that is kept in the data folder.

use crate::config::{Config, Tls};
use anyhow::{Context, Result, bail};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The listener's TLS configuration, if it speaks TLS.
pub(crate) fn load(config: &Config) -> Result<Option<Arc<ServerConfig>>> {
    let (cert, key) = match &config.tls {
        Tls::Off => return Ok(None),
        Tls::Files { cert, key } => (cert.clone(), key.clone()),
        Tls::SelfSigned => {
            let (cert, key) = self_signed(config)?;
            println!("certificate: {}", cert.display());
            (cert, key)
        }
    };
    let chain = CertificateDer::pem_file_iter(&cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("tls_cert: {}", cert.display()))?;
    if chain.is_empty() {
        bail!("tls_cert: {} has no certificate", cert.display());
    }
    let key_der =
        PrivateKeyDer::from_pem_file(&key).with_context(|| format!("tls_key: {}", key.display()))?;
    let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .context("the certificate and the key do not go together")?;
    Ok(Some(Arc::new(server)))
}

/// The files of our own certificate, made at the first start.
fn self_signed(config: &Config) -> Result<(PathBuf, PathBuf)> {
    let folder = &config.data_dir;
    let (cert, key) = (folder.join("self-signed.crt"), folder.join("self-signed.key"));
    if cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    std::fs::create_dir_all(folder).with_context(|| format!("data_dir: {}", folder.display()))?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(config.listen.ip().to_string());
    names.extend(config.public_address.iter().map(|address| host(address).to_owned()));
    names.sort();
    names.dedup();
    let made = rcgen::generate_simple_self_signed(names).context("making a certificate")?;
    write(&cert, &made.cert.pem(), 0o644)?;
    write(&key, &made.signing_key.serialize_pem(), 0o600)?;
    Ok((cert, key))
}

/// The host of `host:port` or `[address]:port`.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(path).with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_of_an_address_is_found() {
        assert_eq!(host("chat.example.org:443"), "chat.example.org");
        assert_eq!(host("[::1]:443"), "::1");
        assert_eq!(host("chat.example.org"), "chat.example.org");
    }
}
