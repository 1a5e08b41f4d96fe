//! A connection of the benchmark: opened, given a session and a channel, then left to `traffic`.

use super::frame::{self, Input, TEXT};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Any key: the server can't know that it is always the same.
pub(crate) const MASK: [u8; 4] = [0x5a, 0xc3, 0x96, 0x0f];

/// A connection with a session.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    pub(crate) input: Input,
    /// The last event that it received.
    pub(crate) last_event: u64,
    /// The last action that it sent.
    pub(crate) last_action: u64,
}

impl Client {
    /// Connects and opens a guest's session.
    ///
    /// # Errors
    /// When the server does not answer as expected.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let mut socket = TcpStream::connect(address).await.context("connecting")?;
        socket.set_nodelay(true)?;
        let request = format!(
            "GET /v2/socket HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: ninchat.com\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        let end = loop {
            let read = timeout(PATIENCE, socket.read_buf(&mut head)).await.context("the handshake")??;
            if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if read == 0 {
                bail!("the handshake was refused: {}", frame::lossy(&head));
            }
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            bail!("the handshake was refused: {}", frame::lossy(&head));
        }
        let input = Input::new(head[end..].to_vec());
        let mut client = Self { socket, input, last_event: 0, last_action: 0 };
        client.send(&json!({"action": "create_session", "message_types": ["ninchat.com/text"]})).await?;
        client.event("session_created").await?;
        Ok(client)
    }

    /// Acknowledges all that has come, and is silent from then on.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) async fn acknowledge(&mut self) -> Result<()> {
        let event_id = self.last_event;
        self.send(&json!({"action": "resume_session", "event_id": event_id})).await
    }

    /// Makes a channel, or joins one, and answers its id.
    ///
    /// # Errors
    /// When the server does not answer as expected.
    pub(crate) async fn enter(&mut self, channel: Option<&str>) -> Result<String> {
        self.last_action += 1;
        let mut action = json!({"action_id": self.last_action, "event_id": self.last_event});
        match channel {
            Some(id) => {
                action["action"] = "join_channel".into();
                action["channel_id"] = id.into();
            }
            None => action["action"] = "create_channel".into(),
        }
        self.send(&action).await?;
        let joined = self.event("channel_joined").await?;
        Ok(joined["channel_id"].as_str().context("a channel has an id")?.to_owned())
    }

    async fn send(&mut self, action: &Value) -> Result<()> {
        let mut out = Vec::new();
        frame::put(&mut out, TEXT, action.to_string().as_bytes(), Some(MASK));
        self.socket.write_all(&out).await.context("the connection is gone")
    }

    /// Waits for an event, skipping others, but not an `error`.
    async fn event(&mut self, name: &str) -> Result<Value> {
        let waiting = async {
            loop {
                self.socket.readable().await?;
                let mut events = Vec::new();
                let open = self.input.read(&self.socket, |_, payload| {
                    events.push(payload.to_vec());
                    Ok(())
                })?;
                for event in events.iter().filter(|event| !event.is_empty()) {
                    let event: Value = serde_json::from_slice(event)?;
                    self.last_event = self.last_event.max(event["event_id"].as_u64().unwrap_or_default());
                    match event["event"].as_str() {
                        Some(found) if found == name => return Ok(event),
                        Some("error") => bail!("instead of {name}: {event}"),
                        _ => {}
                    }
                }
                if !open {
                    bail!("the connection closed before {name}");
                }
            }
        };
        timeout(PATIENCE, waiting).await.with_context(|| format!("no {name} came"))?
    }
}

/// Opens many sessions, some at a time, in no particular order.
///
/// # Errors
/// When one can't be opened.
pub(crate) async fn open_many(address: SocketAddr, count: usize) -> Result<Vec<Client>> {
    const AT_ONCE: usize = 50;
    let mut opening = tokio::task::JoinSet::new();
    let mut clients = Vec::with_capacity(count);
    let (mut begun, mut first) = (0, true);
    while clients.len() < count {
        while begun < count && opening.len() < AT_ONCE {
            // One alone to begin with: what is wrong shows once.
            opening.spawn(async move {
                let mut client = Client::open(address).await?;
                client.acknowledge().await?;
                Ok::<_, anyhow::Error>(client)
            });
            begun += 1;
            if std::mem::take(&mut first) {
                break;
            }
        }
        let Some(opened) = opening.join_next().await else { break };
        clients.push(opened??);
    }
    Ok(clients)
}
