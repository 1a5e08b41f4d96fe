//! One file, cut off three times and carried on through another node when the first is killed.

use super::content::{self, bytes};
use super::memory::Watch;
use super::nodes::Nodes;
use anyhow::{Context, Result, bail};
use levee_client::session::{Target, guest as nobody};
use levee_client::tus::Upload;
use levee_client::{Address, Event, Events, Options, Session};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a message may take to come once all bytes are there.
const MESSAGE: Duration = Duration::from_secs(600);
/// How long nodes may take to notice that one is gone.
const TAKEN_OVER: Duration = Duration::from_secs(60);
/// How often it is shown how far it is.
const SHOWN_EVERY: Duration = Duration::from_secs(2);
/// The nodes of the one who reads, of the one who sends at first, and of the one who sends then.
const READER: usize = 0;
const FIRST: usize = 1;
const SECOND: usize = 2;

/// What came of it.
pub(crate) struct Carried {
    /// How long the way up took.
    pub(crate) up: Duration,
    /// From the last byte until the message was there.
    pub(crate) joined: Duration,
    /// How long the way down took.
    pub(crate) down: Duration,
    /// Bytes that had to be sent again.
    pub(crate) again: u64,
    /// Whether what came down is what went up.
    pub(crate) equal: bool,
    /// Bytes of memory that each node took more than before.
    pub(crate) memory: Vec<u64>,
}

/// Carries a file of this size.
pub(crate) async fn carry(nodes: &mut Nodes, size: u64) -> Result<Carried> {
    let wanted = tokio::task::spawn_blocking(move || content::digest(size));
    let (reader, mut events) = guest(&nodes.address(READER), "Reader").await?;
    let (sender, _others) = guest(&nodes.address(SECOND), "Sender").await?;
    let channel = reader.create_channel(json!({"upload": "member"})).await?;
    sender.join_channel(&channel).await?;
    let to = Target::Channel(channel);
    let watch = Watch::begin(nodes.processes());
    let since = Instant::now();
    let upload = begin(&sender, &to, &nodes.address(FIRST), size).await?;
    let (mut at, mut again) = (0, 0);
    // Three cuts, then the end of the node.
    for (step, until) in [size / 4, size / 2, size / 4 * 3, size / 8 * 7].into_iter().enumerate() {
        let from = at;
        send(&upload, &nodes.address(FIRST), from, until, size).await?;
        let next = if step == 3 { SECOND } else { FIRST };
        if step == 3 {
            nodes.kill(FIRST)?;
        }
        at = offset(&upload, &nodes.address(next)).await?;
        again += until.saturating_sub(at);
        let what = if step == 3 { "the node was killed" } else { "cut off" };
        println!("  {what} after {}; it goes on from {}", mib(until), mib(at));
    }
    let answer = send(&upload, &nodes.address(SECOND), at, size, size).await?;
    let answer = answer.context("no answer to the last byte")?;
    if answer.status != 204 {
        bail!("the last byte was answered with {} {}", answer.status, answer.text());
    }
    let up = since.elapsed();
    let is_file = |event: &Event| event.str("message_type") == "ninchat.com/file";
    let message = events.within(MESSAGE, "the message", is_file).await?;
    let joined = since.elapsed() - up;
    let file = message.payload()["files"][0]["file_id"].clone();
    let found = reader.ask("describe_file", json!({"file_id": file})).await?;
    let since = Instant::now();
    let mut show = Show::new("down", size);
    let (length, digest) =
        content::load(&nodes.address(READER), found.str("file_url"), |at| show.at(at)).await?;
    let down = since.elapsed();
    let equal = length == size && digest == wanted.await?;
    let memory = watch.seen().iter().map(|seen| seen.most - seen.first).collect();
    Ok(Carried { up, joined, down, again, equal, memory })
}

/// A guest's session on a node.
pub(crate) async fn guest(address: &Address, name: &str) -> Result<(Session, Events)> {
    Ok(Session::create(address, nobody(name), Options::default()).await?)
}

/// Begins an upload.
pub(crate) async fn begin(by: &Session, to: &Target, address: &Address, size: u64) -> Result<Upload> {
    let attrs = json!({"file_attrs": {"name": "file.bin", "size": size}});
    let created = by.ask("levee_create_upload", to.with(attrs)).await?;
    let length = [("Upload-Length", &*size.to_string())];
    let (answer, upload) = Upload::create(address, created.str("upload_url"), &length).await?;
    upload.with_context(|| format!("no upload, but {} {}", answer.status, answer.text()))
}

/// Sends the bytes of a range in a request for all that is left, and cuts it off there unless that is the end.
async fn send(
    upload: &Upload,
    address: &Address,
    from: u64,
    until: u64,
    size: u64,
) -> Result<Option<levee_client::http::Response>> {
    let mut writing = upload.begin(address, from, size - from).await?;
    let (mut at, mut show) = (from, Show::new("up", size));
    while at < until {
        let some = bytes(at, until);
        writing.send(&some).await?;
        at += some.len() as u64;
        show.at(at);
    }
    Ok(match until == size {
        true => Some(writing.answer().await?),
        false => None,
    })
}

/// How far the upload is, as soon as a node knows.
async fn offset(upload: &Upload, address: &Address) -> Result<u64> {
    let since = Instant::now();
    loop {
        match upload.offset(address).await {
            Ok(offset) => return Ok(offset),
            Err(error) if since.elapsed() > TAKEN_OVER => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Shows how far something is, now and then.
struct Show {
    what: &'static str,
    size: u64,
    last: Instant,
}

impl Show {
    fn new(what: &'static str, size: u64) -> Self {
        Self { what, size, last: Instant::now() }
    }

    fn at(&mut self, at: u64) {
        if self.last.elapsed() >= SHOWN_EVERY {
            self.last = Instant::now();
            println!("  {} {} of {}", self.what, mib(at), mib(self.size));
        }
    }
}

/// Bytes, for people.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
