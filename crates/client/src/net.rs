//! Byte streams to a server, plain or with TLS.

use crate::address::Address;
use crate::error::{Error, Result};
use rustls::pki_types::ServerName;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a connection may take to come about, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// What a connection needs.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection.
pub(crate) type Stream = Box<dyn Io>;

/// Connects.
pub(crate) async fn connect(address: &Address) -> Result<Stream> {
    timeout(CONNECT, open(address)).await.map_err(|_| Error::Timeout("a connection".into()))?
}

async fn open(address: &Address) -> Result<Stream> {
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
    tcp.set_nodelay(true)?;
    let Some(trust) = &address.trust else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| Error::Address(format!("{} is no name for a certificate", address.host)))?;
    Ok(Box::new(TlsConnector::from(trust.config()).connect(name, tcp).await?))
}
