//! Files: how they are sent, asked for and loaded.

use super::Server;
use bytes::Bytes;
use levee_client::http::{Http, Response};
use levee_client::session::Target;
use levee_client::{Error, Event, Session};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;

/// Sends a file.
pub(crate) async fn send(by: &Session, to: &Target, name: &str, content: &[u8]) -> Result<Event, Error> {
    let header = to.with(json!({"file_attrs": {"name": name}}));
    by.send("send_file", header, vec![Bytes::copy_from_slice(content)]).await
}

/// Sends a file that must be taken; answers its id.
pub(crate) async fn sent(by: &Session, to: &Target, name: &str, content: &[u8]) -> String {
    let event = send(by, to, name, content).await.expect("a message");
    id_of(&event)
}

/// The file that a message came with.
pub(crate) fn id_of(message: &Event) -> String {
    message.payload()["files"][0]["file_id"].as_str().expect("a file").to_owned()
}

/// Asks for a file.
pub(crate) async fn describe(by: &Session, file: &str) -> Result<Event, Error> {
    by.ask("describe_file", json!({"file_id": file})).await
}

/// The link to a file that one may read.
pub(crate) async fn link(by: &Session, file: &str) -> String {
    describe(by, file).await.expect("a file").str("file_url").to_owned()
}

/// Loads what a link leads to.
pub(crate) async fn load(server: &Server, link: &str, headers: &[(&str, &str)]) -> Response {
    Http::new(server.address()).request("GET", link, headers, b"").await.expect("an answer")
}

/// A picture of one bit a pixel, all black, with something after it.
pub(crate) fn png(width: u32, height: u32, after: &[u8]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8], content: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(name);
        sum.update(content);
        out.extend_from_slice(&(content.len() as u32).to_be_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(content);
        out.extend_from_slice(&sum.sum().to_be_bytes());
    };
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[1, 0, 0, 0, 0]].concat();
    chunk(b"IHDR", &head);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let row = vec![0; width.div_ceil(8) as usize + 1];
    (0..height).for_each(|_| packed.write_all(&row).expect("to pack"));
    chunk(b"IDAT", &packed.finish().expect("to pack"));
    chunk(b"IEND", b"");
    out.extend_from_slice(after);
    out
}

/// The blobs in a folder, finished or not.
pub(crate) fn blobs(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let all = paths.flat_map(|path| match path.is_dir() {
        true => blobs(&path),
        false => vec![path.display().to_string()],
    });
    all.filter(|path| !path.ends_with("/finished")).collect()
}
