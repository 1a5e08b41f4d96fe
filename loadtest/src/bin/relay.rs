//! A bare WebSocket relay on one tokio thread: the least that a chat must do, to compare the server with.
//!
//! It speaks the same JSON: a header frame and a payload frame come in, are parsed into a typed action,
//! and go out to both members of the room as a numbered event. It keeps, checks and promises nothing.

#[path = "../bench/frame.rs"]
mod frame;

use frame::{CLOSE, Input, TEXT};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What the benchmark sends, with all parameters that it uses.
#[derive(Deserialize)]
struct Action<'a> {
    action: &'a str,
    action_id: Option<u64>,
    event_id: Option<u64>,
    channel_id: Option<&'a str>,
    message_type: Option<&'a str>,
    message_ttl: Option<f64>,
    frames: Option<u64>,
}

/// What members of a room receive, but for what differs between them.
#[derive(Serialize)]
struct MessageReceived<'a> {
    event: &'static str,
    message_id: &'a str,
    message_time: f64,
    message_type: &'a str,
    channel_id: &'a str,
    message_ttl: Option<f64>,
    message_user_id: &'a str,
}

/// A connection, as the others see it.
struct Member {
    socket: TcpStream,
    user: String,
    /// What the socket did not take yet.
    backlog: RefCell<Vec<u8>>,
    /// Rung when something waits in the backlog.
    stuck: Notify,
    last_event: Cell<u64>,
    acknowledged: Cell<u64>,
}

type Rooms = Rc<RefCell<HashMap<String, Vec<Rc<Member>>>>>;

/// What waits for its payload frame.
struct Begun {
    event: Vec<u8>,
    room: String,
    action_id: Option<u64>,
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(&address).await?;
        writeln!(io::stdout(), "relay on {}", listener.local_addr()?)?;
        let rooms = Rooms::default();
        for number in 0u64.. {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let rooms = rooms.clone();
            tokio::task::spawn_local(async move {
                // Whatever ends a connection, the benchmark notices on its own side.
                let _ = serve(socket, number, &rooms).await;
            });
        }
        Ok(())
    })
}

async fn serve(mut socket: TcpStream, number: u64, rooms: &Rooms) -> io::Result<()> {
    let mut input = handshake(&mut socket).await?;
    let member = Rc::new(Member {
        socket,
        user: format!("user{number:012}"),
        backlog: RefCell::default(),
        stuck: Notify::new(),
        last_event: Cell::new(0),
        acknowledged: Cell::new(0),
    });
    let mut begun: Option<Box<Begun>> = None;
    let mut joined: Vec<String> = Vec::new();
    loop {
        tokio::select! {
            biased;
            readable = member.socket.readable() => readable?,
            () = member.stuck.notified() => {
                member.socket.writable().await?;
                member.flush()?;
            }
        }
        let open = input.read(&member.socket, |opcode, payload| match opcode {
            CLOSE => Err(io::ErrorKind::ConnectionAborted.into()),
            _ if opcode > CLOSE || payload.is_empty() => Ok(()),
            _ => match begun.take() {
                Some(begun) => relay(rooms, &member, &begun, payload),
                None => {
                    begun = begin(rooms, &member, payload, &mut joined)?;
                    Ok(())
                }
            },
        });
        if !matches!(open, Ok(true)) {
            for room in &joined {
                if let Some(members) = rooms.borrow_mut().get_mut(room) {
                    members.retain(|other| !Rc::ptr_eq(other, &member));
                }
            }
            return open.map(|_| ());
        }
    }
}

/// Answers the upgrade request; what came after it is the first input.
async fn handshake(socket: &mut TcpStream) -> io::Result<Input> {
    let mut head = Vec::new();
    let end = loop {
        if socket.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = frame::lossy(&head[..end]).into_owned();
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let accept = derive_accept_key(key.ok_or(io::ErrorKind::InvalidData)?.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: ninchat.com\r\n\r\n"
    );
    socket.write_all(answer.as_bytes()).await?;
    Ok(Input::new(head[end..].to_vec()))
}

/// Takes a header frame in; what it begins waits for its payload.
fn begin(
    rooms: &Rooms,
    member: &Rc<Member>,
    header: &[u8],
    joined: &mut Vec<String>,
) -> io::Result<Option<Box<Begun>>> {
    let action: Action<'_> = serde_json::from_slice(header)?;
    if let Some(event_id) = action.event_id {
        member.acknowledged.set(event_id);
    }
    let room = action.channel_id.unwrap_or_default();
    match action.action {
        "create_session" => {
            let id = member.next_event();
            let text = format!(
                r#"{{"event":"session_created","session_id":"s","user_id":"{}","event_id":{id}}}"#,
                member.user
            );
            member.send(|out| frame::put(out, TEXT, text.as_bytes(), None))?;
        }
        // A new channel is just a room with a name that nobody else has.
        "create_channel" | "join_channel" => {
            let own = format!("room{}", &member.user[4..]);
            let room = action.channel_id.unwrap_or(&own);
            rooms.borrow_mut().entry(room.to_owned()).or_default().push(member.clone());
            joined.push(room.to_owned());
            let (id, action_id) = (member.next_event(), action.action_id.unwrap_or_default());
            let text = format!(
                r#"{{"event":"channel_joined","channel_id":"{room}","action_id":{action_id},"event_id":{id}}}"#
            );
            member.send(|out| frame::put(out, TEXT, text.as_bytes(), None))?;
        }
        "send_message" if action.frames == Some(1) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let message_id = format!("{:013}", now.as_micros());
            let event = MessageReceived {
                event: "message_received",
                message_id: &message_id,
                message_time: now.as_micros() as f64 / 1e6,
                message_type: action.message_type.unwrap_or_default(),
                channel_id: room,
                message_ttl: action.message_ttl,
                message_user_id: &member.user,
            };
            let mut event = serde_json::to_vec(&event)?;
            event.pop();
            return Ok(Some(Box::new(Begun { event, room: room.to_owned(), action_id: action.action_id })));
        }
        _ => {}
    }
    Ok(None)
}

/// Sends a message to all members of its room, each with its own number.
fn relay(rooms: &Rooms, from: &Rc<Member>, begun: &Begun, payload: &[u8]) -> io::Result<()> {
    let rooms = rooms.borrow();
    let mut header = begun.event.clone();
    for member in rooms.get(&begun.room).into_iter().flatten() {
        header.truncate(begun.event.len());
        if let Some(action_id) = begun.action_id.filter(|_| Rc::ptr_eq(member, from)) {
            write!(header, ",\"action_id\":{action_id}")?;
        }
        write!(header, ",\"event_id\":{},\"frames\":1}}", member.next_event())?;
        // What one member's connection suffers is not the sender's fault.
        let _ = member.send(|out| {
            frame::put(out, TEXT, &header, None);
            frame::put(out, TEXT, payload, None);
        });
    }
    Ok(())
}

impl Member {
    fn next_event(&self) -> u64 {
        self.last_event.set(self.last_event.get() + 1);
        self.last_event.get()
    }

    /// Writes at once; what the socket does not take goes out when it is writable.
    fn send(&self, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut backlog = self.backlog.borrow_mut();
        let waits = !backlog.is_empty();
        if backlog.capacity() == 0 {
            backlog.reserve(512);
        }
        fill(&mut backlog);
        if waits {
            return Ok(());
        }
        drop(backlog);
        self.flush()
    }

    fn flush(&self) -> io::Result<()> {
        let mut backlog = self.backlog.borrow_mut();
        let written = frame::write(&self.socket, &backlog)?;
        if written == backlog.len() {
            *backlog = Vec::new();
        } else {
            backlog.drain(..written);
            self.stuck.notify_one();
        }
        Ok(())
    }
}
