//! As much of HTTP/1.1 as the protocol's requests need: one at a time, over a connection that is kept.

use crate::address::Address;
use crate::error::{Error, Result};
use crate::net::{self, Stream};
use bytes::Bytes;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

/// Bytes that a line of an answer's head may have.
const LINE: u64 = 16 * 1024;
/// Lines that an answer's head may have.
const LINES: usize = 100;
/// Bytes that an answer's body may have.
const BODY: u64 = 64 * 1024 * 1024;
/// How long an answer may take: longer than a long poll waits.
const ANSWER: Duration = Duration::from_secs(90);

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status, for example 200.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Makes requests to one server, one after the other, over a connection that is kept while the server
/// keeps it.
pub struct Http {
    address: Address,
    stream: Option<BufReader<Stream>>,
}

impl Http {
    /// Connects when it is first asked.
    pub fn new(address: Address) -> Self {
        Self { address, stream: None }
    }

    /// Makes a GET request for a path with its query.
    ///
    /// # Errors
    /// When the network fails or the answer is no HTTP. Any status is an answer.
    pub async fn get(&mut self, path: &str) -> Result<Response> {
        self.request("GET", path, &[], b"").await
    }

    /// Makes a request.
    ///
    /// # Errors
    /// When the network fails or the answer is no HTTP. Any status is an answer.
    pub async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address.authority());
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let request = [head.as_bytes(), body].concat();
        timeout(ANSWER, self.exchange(&request, method == "HEAD"))
            .await
            .map_err(|_| Error::Timeout("an answer".into()))?
    }

    async fn exchange(&mut self, request: &[u8], bare: bool) -> Result<Response> {
        // The server may have closed a kept connection meanwhile; nothing was heard on it then, and the
        // protocol's numbers make a repeated action harmless.
        if let Some(stream) = self.stream.take()
            && let Ok(response) = self.over(stream, request, bare).await
        {
            return Ok(response);
        }
        let stream = BufReader::new(net::connect(&self.address).await?);
        self.over(stream, request, bare).await
    }

    async fn over(&mut self, mut stream: BufReader<Stream>, request: &[u8], bare: bool) -> Result<Response> {
        stream.write_all(request).await?;
        stream.flush().await?;
        let (response, keep) = read(&mut stream, bare).await?;
        self.stream = keep.then_some(stream);
        Ok(response)
    }
}

/// Reads an answer, which has no body if it is `bare`; also whether the connection can be used again.
pub(crate) async fn read(stream: &mut BufReader<Stream>, bare: bool) -> Result<(Response, bool)> {
    let status_line = line(stream).await?;
    let wrong = || Error::Protocol(format!("\"{status_line}\" is no HTTP"));
    let mut words = status_line.split(' ');
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(wrong());
    }
    let status = words.next().and_then(|status| status.parse().ok()).ok_or_else(wrong)?;
    let mut headers = Vec::new();
    loop {
        let header = line(stream).await?;
        if header.is_empty() {
            break;
        }
        if headers.len() >= LINES {
            return Err(Error::Protocol("too many headers".into()));
        }
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut response = Response { status, headers, body: Bytes::new() };
    let mut keep = !response.header("connection").eq_ignore_ascii_case("close");
    response.body = if bare || status == 204 || status == 304 {
        Bytes::new()
    } else if response.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        chunks(stream).await?
    } else if let Ok(length) = response.header("content-length").parse() {
        exactly(stream, length).await?
    } else {
        keep = false;
        let mut body = Vec::new();
        stream.take(BODY).read_to_end(&mut body).await?;
        body.into()
    };
    Ok((response, keep))
}

async fn line(stream: &mut BufReader<Stream>) -> Result<String> {
    let mut line = Vec::new();
    if stream.take(LINE).read_until(b'\n', &mut line).await? == 0 {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

async fn exactly(stream: &mut BufReader<Stream>, length: u64) -> Result<Bytes> {
    if length > BODY {
        return Err(Error::Protocol(format!("a body of {length} bytes")));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    Ok(body.into())
}

async fn chunks(stream: &mut BufReader<Stream>) -> Result<Bytes> {
    let mut body = Vec::new();
    loop {
        let size = line(stream).await?;
        let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| Error::Protocol(format!("\"{size}\" is no chunk")))?;
        if size + body.len() as u64 > BODY {
            return Err(Error::Protocol("a body without end".into()));
        }
        if size == 0 {
            while !line(stream).await?.is_empty() {}
            return Ok(body.into());
        }
        body.extend_from_slice(&exactly(stream, size).await?);
        line(stream).await?;
    }
}

/// A text as a value in a query.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(text: &'static [u8]) -> Result<(Response, bool)> {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        ours.write_all(text).await?;
        drop(ours);
        read(&mut BufReader::new(Box::new(theirs) as Stream), false).await
    }

    #[tokio::test]
    async fn bodies_end_by_length_by_chunk_or_with_the_connection() {
        for (text, keep) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..], true),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n", true),
            (b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 3\r\n\r\nabc", false),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", false),
        ] {
            let (response, kept) = answer(text).await.unwrap();
            assert_eq!((response.text().as_str(), kept), ("abc", keep));
        }
    }

    #[tokio::test]
    async fn what_is_no_http_is_an_error() {
        for text in [&b"nonsense\r\n\r\n"[..], b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"] {
            assert!(answer(text).await.is_err());
        }
    }

    #[test]
    fn a_query_carries_any_text() {
        assert_eq!(escape(r#"{"a":"é &"}"#), "%7B%22a%22%3A%22%C3%A9%20%26%22%7D");
    }
}
