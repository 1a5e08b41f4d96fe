//! Pairs of clients that talk: prepared frames out, little more than counting in, so that the client
//! is never what is measured.

use super::client::{Client, MASK};
use super::frame::{self, CLOSE, Input, TEXT};
use anyhow::{Context, Result, bail};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How often messages that are due are sent.
const STEP: Duration = Duration::from_millis(1);
/// How long what is under way may take to arrive at the end.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How to talk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    /// Whether messages are stored.
    pub(crate) stored: bool,
    /// Messages a second over all pairs; `None` as many as the windows allow.
    pub(crate) rate: Option<f64>,
    /// Messages of one client that may wait for their replies.
    pub(crate) window: u64,
    /// For how long.
    pub(crate) time: Duration,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages that were sent.
    pub(crate) sent: u64,
    /// Messages whose sender has its reply.
    pub(crate) replied: u64,
    /// Events that arrived, two for each message.
    pub(crate) arrived: u64,
}

/// Conversations of two, over open connections.
pub(crate) struct Pairs(Vec<Rc<Talker>>);

struct Talker {
    socket: TcpStream,
    channel: String,
    /// What a message carries: a text of some 200 bytes.
    payload: Vec<u8>,
    sent: Cell<u64>,
    replied: Cell<u64>,
    arrived: Cell<u64>,
    last_event: Cell<u64>,
    last_action: Cell<u64>,
    trouble: RefCell<Option<String>>,
    /// What keeps the connection busy at present; none is fine when only replies are awaited.
    talk: Cell<Option<(bool, u64)>>,
    out: RefCell<Vec<u8>>,
}

impl Pairs {
    /// Opens connections, and a channel for each two of them. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When the server does not answer as expected.
    pub(crate) async fn open(address: SocketAddr, pairs: usize, bytes: usize) -> Result<Self> {
        let payload = format!("{{\"text\":\"{}\"}}", "x".repeat(bytes.saturating_sub(11))).into_bytes();
        let mut talkers = Vec::new();
        for _ in 0..pairs {
            let mut one = Client::open(address).await?;
            let channel = one.enter(None).await?;
            let mut other = Client::open(address).await?;
            other.enter(Some(&channel)).await?;
            for client in [one, other] {
                let talker = Rc::new(Talker {
                    socket: client.socket,
                    channel: channel.clone(),
                    payload: payload.clone(),
                    sent: Cell::new(0),
                    replied: Cell::new(0),
                    arrived: Cell::new(0),
                    last_event: Cell::new(client.last_event),
                    last_action: Cell::new(client.last_action),
                    trouble: RefCell::default(),
                    talk: Cell::new(None),
                    out: RefCell::default(),
                });
                tokio::task::spawn_local(listen(talker.clone(), client.input));
                talkers.push(talker);
            }
        }
        Ok(Self(talkers))
    }

    /// What was counted since the connections were opened.
    pub(crate) fn counts(&self) -> Counts {
        let sum = |of: fn(&Talker) -> &Cell<u64>| self.0.iter().map(|talker| of(talker).get()).sum();
        Counts {
            sent: sum(|talker| &talker.sent),
            replied: sum(|talker| &talker.replied),
            arrived: sum(|talker| &talker.arrived),
        }
    }

    /// Talks for a time, then waits until everything has arrived.
    ///
    /// # Errors
    /// When the server refuses a message, closes a connection, or loses or repeats something.
    pub(crate) async fn talk(&self, talk: Talk) -> Result<()> {
        let before = self.counts();
        let until = Instant::now() + talk.time;
        match talk.rate {
            Some(rate) => self.pace(talk, rate, until).await?,
            None => {
                for talker in &self.0 {
                    talker.talk.set(Some((talk.stored, talk.window)));
                    talker.fill(talk.stored, talk.window)?;
                }
                tokio::time::sleep(talk.time).await;
                self.0.iter().for_each(|talker| talker.talk.set(None));
            }
        }
        self.arrive(before).await
    }

    async fn pace(&self, talk: Talk, rate: f64, until: Instant) -> Result<()> {
        let begin = Instant::now();
        let (mut due, mut next) = (0.0, 0);
        let mut ticks = tokio::time::interval(STEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while Instant::now() < until {
            ticks.tick().await;
            let by_now = begin.elapsed().as_secs_f64() * rate;
            // What can't be sent for lack of a window is not caught up: the rate is a bound.
            due = f64::max(due, by_now - rate / 20.0);
            let mut full = 0;
            while due < by_now && full < self.0.len() {
                let talker = &self.0[next % self.0.len()];
                next += 1;
                if talker.under_way() < talk.window {
                    talker.send(talk.stored)?;
                    talker.write()?;
                    due += 1.0;
                    full = 0;
                } else {
                    full += 1;
                }
            }
        }
        Ok(())
    }

    async fn arrive(&self, before: Counts) -> Result<()> {
        let since = Instant::now();
        loop {
            if let Some(trouble) = self.0.iter().find_map(|talker| talker.trouble.borrow().clone()) {
                bail!("{trouble}");
            }
            let now = self.counts();
            let sent = now.sent - before.sent;
            let (replied, arrived) = (now.replied - before.replied, now.arrived - before.arrived);
            if (replied, arrived) == (sent, 2 * sent) {
                return Ok(());
            }
            if replied > sent || arrived > 2 * sent || since.elapsed() > ARRIVAL {
                bail!("{sent} messages were sent, {replied} replies and {arrived} events arrived");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Counts what arrives at a connection, and goes on talking where the talk is bounded by windows only.
async fn listen(talker: Rc<Talker>, mut input: Input) {
    let trouble = |text: String| {
        talker.trouble.borrow_mut().get_or_insert(text);
    };
    loop {
        let readable = talker.socket.readable().await;
        let open = readable.and_then(|()| {
            input.read(&talker.socket, |opcode, payload| match opcode {
                CLOSE => Err(std::io::ErrorKind::ConnectionAborted.into()),
                _ => {
                    talker.hear(payload);
                    Ok(())
                }
            })
        });
        match open {
            Ok(true) => {}
            Ok(false) => return trouble("the server closed a connection".into()),
            Err(error) => return trouble(format!("a connection failed: {error}")),
        }
        if let Some((stored, window)) = talker.talk.get()
            && let Err(error) = talker.fill(stored, window)
        {
            return trouble(format!("{error:#}"));
        }
    }
}

impl Talker {
    fn under_way(&self) -> u64 {
        self.sent.get() - self.replied.get()
    }

    fn hear(&self, payload: &[u8]) {
        // Payload frames and keep-alives say nothing that is counted.
        let Some(rest) = payload.strip_prefix(b"{\"event\":\"") else { return };
        if let Some(id) = number(payload, b"\"event_id\":") {
            self.last_event.set(self.last_event.get().max(id));
        }
        if rest.starts_with(b"message_received\"") {
            self.arrived.set(self.arrived.get() + 1);
            if number(payload, b"\"action_id\":").is_some() {
                self.replied.set(self.replied.get() + 1);
            }
        } else if rest.starts_with(b"error\"") {
            self.trouble.borrow_mut().get_or_insert_with(|| frame::lossy(payload).into_owned());
        }
    }

    /// Sends as much as the window allows.
    fn fill(&self, stored: bool, window: u64) -> Result<()> {
        while self.under_way() < window {
            self.send(stored)?;
        }
        self.write()
    }

    /// Prepares a message, which acknowledges what has arrived.
    fn send(&self, stored: bool) -> Result<()> {
        self.last_action.set(self.last_action.get() + 1);
        self.sent.set(self.sent.get() + 1);
        let mut header = Vec::with_capacity(192);
        write!(
            header,
            "{{\"action\":\"send_message\",\"action_id\":{},\"event_id\":{},\"channel_id\":\"{}\",\
             \"message_type\":\"ninchat.com/text\",{}\"frames\":1}}",
            self.last_action.get(),
            self.last_event.get(),
            self.channel,
            if stored { "" } else { "\"message_ttl\":10," },
        )?;
        let mut out = self.out.borrow_mut();
        frame::put(&mut out, TEXT, &header, Some(MASK));
        frame::put(&mut out, TEXT, &self.payload, Some(MASK));
        Ok(())
    }

    /// Windows are small, so that the socket always takes what is written.
    fn write(&self) -> Result<()> {
        let mut out = self.out.borrow_mut();
        if out.is_empty() {
            return Ok(());
        }
        let written = frame::write(&self.socket, &out).context("writing")?;
        if written < out.len() {
            bail!("the server does not read: {} bytes wait", out.len() - written);
        }
        out.clear();
        Ok(())
    }
}

/// The number after the last `key` near the end of a header, where what differs between receivers is.
fn number(header: &[u8], key: &[u8]) -> Option<u64> {
    let tail = &header[header.len().saturating_sub(96)..];
    let at = tail.windows(key.len()).rposition(|window| window == key)? + key.len();
    let digits = tail[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
