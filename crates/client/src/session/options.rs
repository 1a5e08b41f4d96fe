//! How a session behaves.

use crate::raw::Frame;
use crate::record::Log;
use std::time::Duration;
use tokio::sync::mpsc;

/// How a session reaches the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket.
    #[default]
    WebSocket,
    /// HTTP long polling: actions carry one JSON payload at most.
    LongPoll,
}

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// A frame that was seen on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// Which way it went.
    pub direction: Direction,
    /// The frame.
    pub frame: Frame,
}

/// How a session behaves; the default is what an application wants.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to reach the server.
    pub transport: Transport,
    /// Send binary frames where text frames would do.
    pub binary: bool,
    /// How long an event may wait for an action that takes its acknowledgement along.
    pub acknowledge_after: Duration,
    /// Send something at least this often; three of these without a sign of life mean a lost connection, as does
    /// a request for an action that takes so long.
    pub keep_alive: Duration,
    /// How long a reply may take, reconnections included.
    pub reply_timeout: Duration,
    /// The first pause between attempts to connect, about; it doubles up to `longest_pause`.
    pub first_pause: Duration,
    /// The longest pause between attempts to connect.
    pub longest_pause: Duration,
    /// How long to try to connect before the session counts as over.
    pub give_up_after: Duration,
    /// Where to show every frame of a WebSocket.
    pub tap: Option<mpsc::UnboundedSender<Tapped>>,
    /// Where to record what comes, for the checker.
    pub log: Option<Log>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            transport: Transport::WebSocket,
            binary: false,
            acknowledge_after: Duration::from_millis(250),
            keep_alive: Duration::from_secs(20),
            reply_timeout: Duration::from_secs(30),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
            give_up_after: Duration::from_secs(60),
            tap: None,
            log: None,
        }
    }
}

impl Options {
    /// The same over a long poll.
    #[must_use]
    pub fn long_poll(self) -> Self {
        Self { transport: Transport::LongPoll, ..self }
    }

    /// The same with a record for the checker.
    #[must_use]
    pub fn logged(self, log: Log) -> Self {
        Self { log: Some(log), ..self }
    }
}
