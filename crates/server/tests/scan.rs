//! Files that something else looks at before anybody sees them: a command, or a server; sure, unsure, slow, away.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::http::Http;
use levee_client::session::Target;
use levee_client::tus::Upload;
use levee_testbed::{Signal, free_port};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::files::{describe, png, send, sent};
use support::people::Person;
use support::uploads::{PART, assert_content, begin, bytes, message, room, until, until_gone};
use support::{Server, refused, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A file may wait for the next try, and a machine may do other things, too.
const LONG: Duration = Duration::from_secs(180);

/// A script in a folder of its own, which goes with it.
struct Script(tempfile::TempDir);

impl Script {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scan"), text).unwrap();
        Self(folder)
    }

    fn setting(&self) -> String {
        format!("--file-scan=sh '{}' '{}'", self.path("scan").display(), self.0.path().display())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Waits until the script has written a number to a file, and answers it.
    async fn number(&self, name: &str) -> u32 {
        loop {
            let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
            if let Some(number) = text.strip_suffix('\n') {
                return number.parse().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A server that looks at files: it tells what came, and answers with what it is given, or hangs with nothing.
struct Looks {
    came: mpsc::UnboundedReceiver<(String, Vec<u8>)>,
    answers: mpsc::UnboundedSender<Option<u16>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Looks {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let (told, came) = mpsc::unbounded_channel();
        let (answers, mut given) = mpsc::unbounded_channel::<Option<u16>>();
        let serving = tokio::spawn(async move {
            let mut hanging = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read(&mut stream).await else { continue };
                told.send(request).unwrap();
                match given.recv().await.unwrap() {
                    Some(status) => {
                        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                    None => hanging.push(stream),
                }
            }
        });
        Self { came, answers, serving }
    }

    fn answer(&self, status: Option<u16>) {
        self.answers.send(status).unwrap();
    }

    /// The first line of the next request, and the bytes that came.
    async fn came(&mut self) -> (String, Vec<u8>) {
        self.came.recv().await.unwrap()
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads a request whose length is said.
async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let head = loop {
        if let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(all.drain(..end + 4).collect()).unwrap().to_lowercase();
        }
        if stream.read_buf(&mut all).await.ok()? == 0 {
            return None;
        }
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let length: usize = length.parse().unwrap();
    while all.len() < length {
        if stream.read_buf(&mut all).await.ok()? == 0 {
            return None;
        }
    }
    Some((head.lines().next().unwrap().to_owned(), all))
}

async fn count(server: &Server, result: &str) -> u32 {
    let figures = Http::new(server.address()).get("/metrics").await.unwrap().text();
    let name = format!("levee_file_scans_total{{result=\"{result}\"}} ");
    figures.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or("0").parse().unwrap()
}

/// The file of an upload.
fn file(upload: &Upload) -> &str {
    upload.path.split('/').nth(3).unwrap()
}

/// Fails if a file is there, for whoever sent it or for others.
async fn assert_absent(people: &[Person], file: &str) {
    for person in people {
        assert_eq!(refused(describe(person, file).await), "file_not_found");
    }
}

/// How an upload ended, as others are told.
async fn ended(of: &mut Person) -> String {
    let is = |event: &levee_client::Event| !event.str("upload_ended").is_empty();
    of.events.find("its end", is).await.unwrap().str("upload_ended").to_owned()
}

#[tokio::test]
async fn what_a_command_refuses_is_seen_by_nobody_and_gone() {
    within(LONG, async {
        let script = Script::new("if grep -q EVIL; then exit 1; fi\nexit 0\n");
        let server = Server::with(&[&script.setting()]).await;
        let (mut people, to) = room(&server, &["Ben"]).await;
        sent(&people[1], &to, "good.txt", b"words").await;
        let told = message(&mut people[0], "good.txt").await;
        assert_content(&server, &people[0], &told, b"words").await;
        assert_eq!(refused(send(&people[1], &to, "bad.txt", b"some EVIL words").await), "file_not_supported");
        // Nothing is left of it.
        until(&server, 1).await;

        let address = server.address();
        let mut content = bytes(PART + 5);
        let upload = begin(&address, &people[1], &to, "bad.bin", content.len() + 4).await;
        let bad = [&content[..], b"EVIL"].concat();
        // What came of it may be told before the request is answered.
        let answer = upload.patch(&address, 0, &[], &bad).await.unwrap();
        assert!(matches!(answer.status, 204 | 410), "{}", answer.status);
        assert_eq!(ended(&mut people[0]).await, "refused");
        assert_absent(&people, file(&upload)).await;
        assert_eq!(upload.head(&address).await.unwrap().status, 410);
        until(&server, 1).await;

        content.extend(b"kind");
        let upload = begin(&address, &people[1], &to, "good.bin", content.len()).await;
        assert_eq!(upload.patch(&address, 0, &[], &content).await.unwrap().status, 204);
        let told = message(&mut people[0], "good.bin").await;
        assert_content(&server, &people[0], &told, &content).await;
        assert_eq!((count(&server, "clean").await, count(&server, "refused").await), (2, 2));
        // An icon is drawn anew: what came is not kept.
        let header = serde_json::json!({"payload_attrs": ["icon"]});
        people[0].send("update_user", header, vec![png(10, 10, b"EVIL").into()]).await.unwrap();
        assert_eq!(count(&server, "refused").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_server_gets_every_byte_and_nobody_sees_the_file_until_it_has_answered() {
    within(LONG, async {
        let port = free_port();
        let mut looks = Looks::start(port).await;
        let server = Server::with(&[&format!("--file-scan=http://localhost:{port}/look?at=it")]).await;
        let (mut people, to) = room(&server, &["Ben"]).await;
        let address = server.address();
        let content = bytes(PART * 2 + 321);
        let upload = begin(&address, &people[1], &to, "a.bin", content.len()).await;
        let mut writing = upload.begin(&address, 0, content.len() as u64).await.unwrap();
        writing.send(&content).await.unwrap();
        let (line, came) = looks.came().await;
        assert_eq!(line, "post /look?at=it http/1.1");
        assert!(came == content, "{} of {} bytes", came.len(), content.len());
        assert_absent(&people, file(&upload)).await;
        // Somebody who is unsure is asked again.
        looks.answer(Some(503));
        assert!(looks.came().await.1 == content);
        assert_absent(&people, file(&upload)).await;
        looks.answer(Some(200));
        assert_eq!(writing.answer().await.unwrap().status, 204);
        let told = message(&mut people[0], "a.bin").await;
        assert_content(&server, &people[0], &told, &content).await;

        looks.answer(Some(422));
        assert_eq!(refused(send(&people[1], &to, "a.txt", b"words").await), "file_not_supported");
        assert_eq!(looks.came().await.1, b"words");
        for status in [429, 500, 204] {
            looks.answer(Some(status));
        }
        sent(&people[1], &to, "b.txt", b"words").await;
        assert_eq!((count(&server, "failed").await, count(&server, "clean").await), (3, 2));
    })
    .await;
}

#[tokio::test]
async fn who_hangs_is_not_waited_for_and_everything_that_was_started_ends() {
    within(LONG, async {
        let script = Script::new("sleep 1000 &\necho $! > \"$1/sleeper\"\nwait\n");
        let server = Server::with(&[&script.setting(), "--file-scan-timeout-s=1"]).await;
        let (people, to) = room(&server, &["Ben"]).await;
        assert_eq!(refused(send(&people[1], &to, "a.txt", b"words").await), "internal");
        assert_eq!(count(&server, "late").await, 1);
        let sleeper = PathBuf::from(format!("/proc/{}/cwd", script.number("sleeper").await));
        // A process that nobody has taken note of is a zombie, without a folder.
        while std::fs::read_link(&sleeper).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        people[1].send_text(&to, "still here").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn while_the_scanner_is_away_files_wait_unseen_and_then_they_come() {
    within(LONG, async {
        let port = free_port();
        let server = Server::with(&[&format!("--file-scan=http://127.0.0.1:{port}/")]).await;
        let (mut people, to) = room(&server, &["Ben"]).await;
        let address = server.address();
        assert_eq!(refused(send(&people[1], &to, "a.txt", b"words").await), "internal");
        let upload = begin(&address, &people[1], &to, "a.bin", 5).await;
        // All is here, and it does not say that anybody has it.
        assert_eq!(upload.patch(&address, 0, &[], b"12345").await.unwrap().status, 204);
        while count(&server, "failed").await < 6 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_absent(&people, file(&upload)).await;
        people[0].send_text(&to, "still here").await.unwrap();
        let looks = Looks::start(port).await;
        (0..2).for_each(|_| looks.answer(Some(200)));
        let told = message(&mut people[0], "a.bin").await;
        assert_content(&server, &people[0], &told, b"12345").await;
        sent(&people[1], &to, "a.txt", b"words").await;
    })
    .await;
}

/// Whether a process serves a port, by how it was started.
fn serves(process: u32, address: &levee_client::Address) -> bool {
    let line = std::fs::read(Path::new("/proc").join(process.to_string()).join("cmdline")).unwrap();
    String::from_utf8_lossy(&line).contains(&format!("127.0.0.1:{}", address.port))
}

#[tokio::test]
async fn when_a_node_is_killed_over_a_scan_another_one_begins_it_again() {
    within(LONG, async {
        let script = Script::new(
            "cat > \"$1/came\"\nif [ -e \"$1/open\" ]; then exit 0; fi\necho $PPID > \"$1/node\"\nsleep 1000\n",
        );
        let folder = tempfile::tempdir().unwrap();
        let blobs = format!("--blobs={}", folder.path().display());
        let mut cluster = support::cluster::Cluster::with(2, &[&blobs, &script.setting()]).await;
        let mut people = vec![cluster.guest(0, "Ann").await, cluster.guest(1, "Ben").await];
        let channel = people[0].create_channel(serde_json::json!({"upload": "member"})).await.unwrap();
        people[1].join_channel(&channel).await.unwrap();
        let to = Target::Channel(channel);
        let nodes = cluster.nodes();
        let content = bytes(100_000);
        let upload = begin(&nodes[0], &people[0], &to, "a.bin", content.len()).await;
        assert_eq!(upload.patch(&nodes[0], 0, &[], &content).await.unwrap().status, 204);
        let scans = script.number("node").await;
        assert_absent(&people, file(&upload)).await;
        let killed = usize::from(serves(scans, &nodes[1]));
        assert!(serves(scans, &nodes[killed]));
        std::fs::write(script.path("open"), "").unwrap();
        cluster.end(killed, Signal::Kill).await;
        let other = 1 - killed;
        let told = message(&mut people[other], "a.bin").await;
        assert_content(cluster.node(other), &people[other], &told, &content).await;
        assert_eq!(std::fs::read(script.path("came")).unwrap(), content);
    })
    .await;
}

#[tokio::test]
async fn a_file_in_a_frame_is_looked_at_again_when_its_node_was_killed_over_it() {
    within(LONG, async {
        let port = free_port();
        let mut looks = Looks::start(port).await;
        let mut server = Server::with(&[&format!("--file-scan=http://127.0.0.1:{port}/")]).await;
        let (people, to) = room(&server, &[]).await;
        let mut sending = Box::pin(send(&people[0], &to, "bad.txt", b"words"));
        looks.answer(None);
        tokio::select! {
            outcome = &mut sending => panic!("nobody has looked at it: {outcome:?}"),
            _ = looks.came() => {}
        }
        server.kill();
        server.restart().await;
        looks.answer(Some(403));
        // Its client sends it again, and there is one answer to it.
        assert_eq!(refused(sending.await), "file_not_supported");
        until_gone(&server).await;
    })
    .await;
}
