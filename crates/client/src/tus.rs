//! Uploads by tus 1.0, as one who measures and tests needs them: each request by itself, and one that can be cut off.

use crate::address::Address;
use crate::error::{Error, Result};
use crate::http::{Http, Response, read};
use crate::net::{self, Stream};
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

/// What every request says.
const VERSION: (&str, &str) = ("Tus-Resumable", "1.0.0");
/// The media type of what is written.
const BYTES: (&str, &str) = ("Content-Type", "application/offset+octet-stream");
/// How long an answer to what was written may take.
const ANSWER: Duration = Duration::from_secs(90);

/// An upload, by its address.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The path of its address.
    pub path: String,
}

impl Upload {
    /// Begins one at the address that was given for it. Without an answer that tells where it goes on, that answer is
    /// all there is.
    ///
    /// # Errors
    /// When the network fails.
    pub async fn create(
        address: &Address,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Response, Option<Self>)> {
        let response = request(address, "POST", path(url), headers, b"").await?;
        let location = Some(response.header("location")).filter(|location| !location.is_empty());
        let upload = location.map(|location| Self { path: path(location).to_owned() });
        Ok((response, upload))
    }

    /// Asks how far it is.
    ///
    /// # Errors
    /// When the network fails.
    pub async fn head(&self, address: &Address) -> Result<Response> {
        request(address, "HEAD", &self.path, &[], b"").await
    }

    /// How far it is.
    ///
    /// # Errors
    /// When the network fails, or the server says anything else.
    pub async fn offset(&self, address: &Address) -> Result<u64> {
        let response = self.head(address).await?;
        let offset = response.header("upload-offset").parse();
        offset.map_err(|_| Error::Protocol(format!("no offset, but {}", response.status)))
    }

    /// Writes bytes from an offset on.
    ///
    /// # Errors
    /// When the network fails.
    pub async fn patch(
        &self,
        address: &Address,
        offset: u64,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let offset = offset.to_string();
        let own = [BYTES, ("Upload-Offset", &offset)];
        request(address, "PATCH", &self.path, &[&own, headers].concat(), body).await
    }

    /// Gives it up.
    ///
    /// # Errors
    /// When the network fails.
    pub async fn delete(&self, address: &Address) -> Result<Response> {
        request(address, "DELETE", &self.path, &[], b"").await
    }

    /// Begins to write so many bytes from an offset on.
    ///
    /// # Errors
    /// When the network fails.
    pub async fn begin(&self, address: &Address, offset: u64, length: u64) -> Result<Writing> {
        let mut stream = net::connect(address).await?;
        let ((version, one), (content_type, bytes)) = (VERSION, BYTES);
        let head = format!(
            "PATCH {} HTTP/1.1\r\nHost: {}\r\n{version}: {one}\r\n{content_type}: {bytes}\r\n\
             Upload-Offset: {offset}\r\nContent-Length: {length}\r\n\r\n",
            self.path,
            address.authority(),
        );
        stream.write_all(head.as_bytes()).await?;
        Ok(Writing { stream: BufReader::new(stream) })
    }
}

/// A request that writes. Whoever drops it cuts it off.
pub struct Writing {
    stream: BufReader<Stream>,
}

impl Writing {
    /// Sends some of the bytes.
    ///
    /// # Errors
    /// When the network fails.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(())
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// When the network fails.
    pub async fn answer(mut self) -> Result<Response> {
        self.stream.flush().await?;
        let answer = timeout(ANSWER, read(&mut self.stream, false)).await;
        Ok(answer.map_err(|_| Error::Timeout("an answer".into()))??.0)
    }
}

async fn request(
    address: &Address,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    Http::new(address.clone()).request(method, path, &[&[VERSION], headers].concat(), body).await
}

/// The path of an address, which may be one already.
fn path(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    rest.find('/').map_or("/", |at| &rest[at..])
}
