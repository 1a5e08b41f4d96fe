//! What can go wrong on the client's side of the wire.

use crate::event::Event;
use tokio_tungstenite::tungstenite;

/// The outcome of what a client does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address, a name or a certificate that can't be used.
    #[error("{0}")]
    Address(String),
    /// The network.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The WebSocket protocol, its handshake included.
    #[error(transparent)]
    WebSocket(Box<tungstenite::Error>),
    /// An HTTP answer with a status that says no.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The other side does not speak the protocol.
    #[error("the other side does not speak the protocol: {0}")]
    Protocol(String),
    /// An `error` event answered the action.
    #[error("{}: {}", .0.error_type(), .0.str("error_reason"))]
    Rejected(Event),
    /// It took too long.
    #[error("timed out waiting for {0}")]
    Timeout(String),
    /// The session is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

impl Error {
    /// The `error_type` of a rejection or of a session's end; empty for all else.
    pub fn error_type(&self) -> &str {
        match self {
            Self::Rejected(event) => event.error_type(),
            Self::Ended(ended) => &ended.error_type,
            _ => "",
        }
    }
}

impl From<tungstenite::Error> for Error {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) => Self::Io(error),
            tungstenite::Error::Http(response) => Self::Status(response.status().as_u16()),
            error => Self::WebSocket(Box::new(error)),
        }
    }
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session is over: {error_type} {text}")]
pub struct Ended {
    /// The `error_type` that ended it; empty if the client did.
    pub error_type: String,
    /// More for a developer's eyes.
    pub text: String,
}

impl Ended {
    /// The client ended the session itself.
    pub(crate) fn by_client(text: &str) -> Self {
        Self { error_type: String::new(), text: text.to_owned() }
    }
}
