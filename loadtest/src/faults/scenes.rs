//! Faults that one sees best in a scene of their own: two who click at once, somebody who vanishes, a reader
//! who does not read, a session that is resumed twice, a full disk.

use super::cluster::Cluster;
use super::hosts::Hosts;
use super::node::{Node, is_ready};
use anyhow::{Context, Result, bail, ensure};
use levee_client::chat::Organisation;
use levee_client::session::{Target, guest, login, new_user};
use levee_client::{Address, Event, Events, Options, RawSocket, Session};
use levee_testbed::Signal;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Messages of a page of a history: large ones must fit into a session's buffer.
const PAGE: u64 = 20;
/// Customers for whom two agents race.
const RACES: usize = 50;
/// Events that a session may hold back in these scenes.
pub(crate) const BUFFER: usize = 300;
/// Seconds that an agent may be gone, and that a session lives without a connection, in these scenes.
pub(crate) const GONE: u64 = 3;
pub(crate) const TTL: u64 = 6;

/// After how long it is written down what a session has acknowledged.
const CURSORS: Duration = Duration::from_millis(2500);

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    TwoClick,
    AgentGone,
    AgentsNodeKilled,
    SlowReader,
    ResumedTwice,
    DiskFull,
}

/// All scenes, with their names.
pub(crate) static SCENES: &[(Scene, &str)] = &[
    (Scene::TwoClick, "two agents click"),
    (Scene::AgentGone, "agent gone after accept"),
    (Scene::SlowReader, "slow reader"),
    (Scene::ResumedTwice, "session resumed twice"),
    (Scene::AgentsNodeKilled, "agent's node killed after accept"),
    (Scene::DiskFull, "disk full"),
];

/// Plays a scene; answers what was seen.
pub(crate) async fn play(scene: Scene, cluster: &mut Cluster<'_>) -> Result<String> {
    match scene {
        Scene::TwoClick => two_click(cluster).await,
        Scene::AgentGone => agent_gone(cluster, false).await,
        Scene::AgentsNodeKilled => agent_gone(cluster, true).await,
        Scene::SlowReader => slow_reader(cluster).await,
        Scene::ResumedTwice => resumed_twice(cluster).await,
        Scene::DiskFull => disk_full(cluster).await,
    }
}

struct Desk {
    organisation: Organisation,
    operator: Session,
}

impl Desk {
    async fn open(address: &Address) -> Result<Self> {
        let (organisation, operator) = Organisation::found(address, Options::default()).await?;
        Ok(Self { organisation, operator })
    }

    async fn agent(&self, address: &Address, name: &str) -> Result<(Session, Events)> {
        let unique = format!("{name}-{:08x}", rand::random::<u32>());
        let parameters = new_user(&format!("{unique}@example.org"), &unique, name);
        let (agent, events) = Session::create(address, parameters, Options::default()).await?;
        let Organisation { realm_id, queue_id, .. } = &self.organisation;
        self.operator.add_agent(realm_id, queue_id, agent.user_id()).await?;
        Ok((agent, events))
    }
}

async fn two_click(cluster: &Cluster<'_>) -> Result<String> {
    let addresses: Vec<Address> = cluster.nodes.iter().map(Node::address).collect();
    let desk = Desk::open(&addresses[0]).await?;
    let queue = &desk.organisation.queue_id;
    let (one, _) = desk.agent(&addresses[1], "one").await?;
    let (two, _) = desk.agent(&addresses[2], "two").await?;
    let mut wins = [0, 0];
    for number in 0..RACES {
        let (customer, mut events) =
            Session::create(&addresses[number % 3], guest("customer"), Options::default()).await?;
        let audience = customer.request_audience(queue).await?.str("audience_id").to_owned();
        let clicks = tokio::join!(
            one.accept_audience(queue, Some(&audience)),
            two.accept_audience(queue, Some(&audience))
        );
        match &clicks {
            (Ok(_), Err(error)) | (Err(error), Ok(_)) if error.error_type() == "audience_not_found" => {}
            (one, two) => bail!("customer {number}: {one:?} and {two:?}"),
        }
        wins[usize::from(clicks.0.is_err())] += 1;
        let joined = events.named("channel_joined").await?;
        ensure!(
            joined["channel_members"].as_object().is_some_and(|members| members.len() == 2),
            "{joined:?}"
        );
        customer.close().await;
    }
    Ok(format!(
        "{RACES} audiences, each accepted once ({} by one, {} by the other); the other agent got \
         `audience_not_found`",
        wins[0], wins[1]
    ))
}

async fn agent_gone(cluster: &mut Cluster<'_>, with_node: bool) -> Result<String> {
    let addresses: Vec<Address> = cluster.nodes.iter().map(Node::address).collect();
    let desk = Desk::open(&addresses[0]).await?;
    let queue = &desk.organisation.queue_id;
    let (agent, _) = desk.agent(&addresses[2], "vanishing").await?;
    let (other, _) = desk.agent(&addresses[1], "other").await?;
    let mut people = Vec::new();
    for name in ["customer", "next"] {
        let (person, events) = Session::create(&addresses[0], guest(name), Options::default()).await?;
        person.request_audience(queue).await?;
        people.push((person, events));
    }
    let channel = agent.accept_audience(queue, None).await?.str("channel_id").to_owned();
    let events = &mut people[0].1;
    events.named("channel_joined").await?;
    let since = Instant::now();
    if with_node {
        cluster.nodes[2].end(Signal::Kill).await?;
        drop(agent);
    } else {
        agent.disconnect();
    }
    // Presence lasts for ten seconds; a session of a node that is gone, for its lease and its own time.
    let limit = Duration::from_secs(2 * GONE + 10 + if with_node { TTL + 5 } else { 0 } + 4);
    let back = |event: &Event| event.name() == "audience_enqueued";
    let enqueued = events.within(limit, "the queue", back).await?;
    let took = since.elapsed().as_secs_f64();
    ensure!(enqueued["queue_position"] == 1, "{enqueued:?}");
    let again = other.accept_audience(queue, None).await?;
    ensure!(again.str("channel_id") == channel, "another channel: {again:?}");
    if with_node {
        cluster.restart_ended(2).await?;
    }
    Ok(format!(
        "after {took:.1} s the customer was first in the queue again, and was met in the same channel"
    ))
}

async fn slow_reader(cluster: &Cluster<'_>) -> Result<String> {
    let addresses: Vec<Address> = cluster.nodes.iter().map(Node::address).collect();
    let (writer, _) = Session::create(&addresses[0], guest("writer"), Options::default()).await?;
    let channel = writer.create_channel(json!({})).await?;
    let (email, password) = (format!("slow-{:08x}@example.org", rand::random::<u32>()), "slow and steady");
    let mut reader = RawSocket::connect(&addresses[1]).await?;
    let mut create = new_user(&email, password, "slow");
    (create["action"], create["message_types"]) = ("create_session".into(), json!(["*"]));
    reader.action(create, &[]).await?;
    reader.named("session_created").await?;
    reader.ask(json!({"action": "join_channel", "action_id": 1, "channel_id": channel}), &[]).await?;
    let to = Target::Channel(channel);
    for number in 0..BUFFER + 50 {
        writer.send_text(&to, &format!("message {number}")).await?;
    }
    // Now it reads: what was sent to it, and why that is all.
    let mut last = None;
    let reading = async {
        while let Ok(Some(event)) = reader.event().await {
            last = Some((event.name().to_owned(), event.error_type().to_owned()));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.context("the connection stays open")?;
    ensure!(last == Some(("error".into(), "session_buffer_overflow".into())), "it ended with {last:?}");
    let (again, _) = Session::create(&addresses[2], login(&email, password), Options::default()).await?;
    let history = history(&again, &to).await?.len();
    ensure!(history == BUFFER + 50, "{history} messages in the history");
    let counted = cluster.figure("levee_dropped_total").await?;
    ensure!(counted > 0.0, "nothing was counted");
    Ok(format!(
        "its session ended with `session_buffer_overflow`; {history} of {history} messages in the history"
    ))
}

async fn resumed_twice(cluster: &Cluster<'_>) -> Result<String> {
    let addresses: Vec<Address> = cluster.nodes.iter().map(Node::address).collect();
    let mut first = RawSocket::connect(&addresses[0]).await?;
    first.action(json!({"action": "create_session", "message_types": ["*"]}), &[]).await?;
    let created = first.named("session_created").await?;
    let mut last = created.event_id().unwrap_or_default();
    let mut moves = 0;
    for number in 1..=12 {
        let mut next = RawSocket::connect(&addresses[number % 3]).await?;
        let resume =
            json!({"action": "resume_session", "session_id": created["session_id"], "event_id": last});
        next.action(resume, &[]).await?;
        let pong = next.ask(json!({"action": "ping", "action_id": number}), &[]).await?;
        let id = pong.event_id().unwrap_or_default();
        ensure!(id > last, "event {id} after {last}");
        last = id;
        let told = tokio::time::timeout(Duration::from_secs(5), first.named("error")).await;
        let told = told.context("the old connection hears nothing")??;
        ensure!(told.error_type() == "connection_superseded", "{told:?}");
        first = next;
        moves += 1;
    }
    Ok(format!("{moves} times the old connection got `connection_superseded`, and event ids went on"))
}

async fn disk_full(cluster: &Cluster<'_>) -> Result<String> {
    let folder = cluster.ground.folder.join("small");
    std::fs::create_dir_all(&folder)?;
    let disk = Disk::mount(&folder)?;
    let filler = folder.join("filler");
    std::fs::write(&filler, vec![1; 12 << 20])?;
    let settings = vec!["--store=sqlite".to_owned(), "--workers=1".to_owned()];
    let mut node = Node::start(&cluster.ground.program, 9, None::<&Hosts>, &folder, settings)?;
    node.ready().await?;
    let (writer, _) = Session::create(&node.address(), guest("writer"), Options::default()).await?;
    let to = Target::Channel(writer.create_channel(json!({})).await?);
    let text = "x".repeat(60_000);
    let mut written = Vec::new();
    let write = async |number: usize| {
        let answer = writer.send_text(&to, &format!("{number}:{text}")).await;
        answer.map(|event| event.str("message_id").to_owned())
    };
    let refusal = loop {
        match write(written.len()).await {
            Ok(id) => written.push(id),
            Err(error) => break error,
        }
        ensure!(written.len() < 2_000, "the disk never gets full");
    };
    ensure!(refusal.error_type() == "internal", "{refusal}");
    ensure!(!is_ready(&node.address()).await, "it says that it is ready");
    std::fs::remove_file(&filler)?;
    let since = Instant::now();
    while !is_ready(&node.address()).await {
        ensure!(since.elapsed() < Duration::from_secs(10), "it is not ready again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = since.elapsed().as_secs_f64();
    written.push(write(written.len()).await?);
    // What it acknowledged outlives it; so does the session, if what it had acknowledged itself is written down:
    // the rest, which comes again, would be more than it may hold back.
    tokio::time::sleep(CURSORS).await;
    node.end(Signal::Kill).await?;
    node.again(None).await?;
    let found = history(&writer, &to).await?;
    ensure!(found == written, "{} messages were acknowledged, {} are there", written.len(), found.len());
    drop(node);
    drop(disk);
    Ok(format!(
        "after {} messages the next was refused (`internal`) and the node not ready; ready {took:.1} s after \
         there was room; all that was acknowledged is there",
        written.len() - 1
    ))
}

/// The ids of all messages, page by page.
async fn history(reader: &Session, to: &Target) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let wanted = json!({"message_types": ["ninchat.com/text"], "message_id": found.last().cloned().unwrap_or_default(),
            "history_order": 1, "history_length": PAGE});
        let page = reader.load_history(to, wanted).await?.messages;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page.iter().map(|message| message.str("message_id").to_owned()));
    }
}

/// A small disk in memory; gone when it is dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(folder: &Path) -> Result<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "levee-faults"]).arg(folder);
        let output = mount.output().context("mount")?;
        ensure!(
            output.status.success(),
            "a small disk takes root: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
