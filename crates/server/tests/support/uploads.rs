//! Uploads over connections that break.

use super::Server;
use super::files::{blobs, id_of, link, load};
use super::people::Person;
use levee_client::session::Target;
use levee_client::tus::Upload;
use levee_client::{Address, Error, Event};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Bytes of a part.
pub(crate) const PART: usize = 8 << 20;

/// Bytes that don't repeat themselves within a part.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64 / 8 + 1)
        .flat_map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
        .take(count)
        .collect()
}

/// A channel to which all members may send files, with an operator and members of these names.
pub(crate) async fn room(server: &Server, names: &[&str]) -> (Vec<Person>, Target) {
    let (people, target) = super::rooms::room(server, names).await;
    let Target::Channel(channel) = &target else { panic!("a channel") };
    let header = json!({"channel_id": channel, "channel_attrs": {"upload": "member"}});
    people[0].ask("update_channel", header).await.expect("an answer");
    (people, target)
}

/// Waits until there are so many blobs, finished or not.
pub(crate) async fn until(server: &Server, count: usize) {
    while blobs(&server.blobs()).len() != count {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until all bytes of files are gone.
pub(crate) async fn until_gone(server: &Server) {
    until(server, 0).await;
}

/// Asks where a file goes.
pub(crate) async fn ask(by: &Person, to: &Target, attrs: Value) -> Result<Event, Error> {
    by.ask("levee_create_upload", to.with(json!({"file_attrs": attrs}))).await
}

/// The address at which a file's upload begins.
pub(crate) async fn ticket(by: &Person, to: &Target, attrs: Value) -> String {
    ask(by, to, attrs).await.expect("a ticket").str("upload_url").to_owned()
}

/// Begins the upload of a file.
pub(crate) async fn begin(address: &Address, by: &Person, to: &Target, name: &str, length: usize) -> Upload {
    let url = ticket(by, to, json!({"name": name, "size": length})).await;
    let headers = [("Upload-Length", &*length.to_string())];
    let (response, upload) = Upload::create(address, &url, &headers).await.expect("an answer");
    assert_eq!(response.status, 201, "{}", response.text());
    upload.expect("an address")
}

/// The message that a file comes with.
pub(crate) async fn message(of: &mut Person, name: &str) -> Event {
    let is = |event: &Event| {
        event.str("message_type") == "ninchat.com/file"
            && event.payload()["files"][0]["file_attrs"]["name"] == name
    };
    of.events.find("the file", is).await.expect("a message")
}

/// Fails unless the file of a message has these bytes.
pub(crate) async fn assert_content(server: &Server, by: &Person, message: &Event, content: &[u8]) {
    assert_eq!(message.payload()["files"][0]["file_attrs"]["size"], content.len());
    let loaded = load(server, &link(by, &id_of(message)).await, &[]).await;
    assert_eq!(loaded.status, 200);
    assert_eq!(Sha256::digest(&loaded.body)[..], Sha256::digest(content)[..]);
    let etag: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(loaded.header("etag"), format!("\"{etag}\""));
}
