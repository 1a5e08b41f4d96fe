//! One WebSocket without any memory: what is sent is what the caller says, what comes is what there is.

use crate::address::Address;
use crate::error::{Error, Result};
use crate::event::{Assembler, Event};
use crate::net::{self, Stream};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, error::ProtocolError};

/// The subprotocol of the API.
pub const SUBPROTOCOL: &str = "ninchat.com";

/// How long an answer may take before a test gives up.
const ANSWER: Duration = Duration::from_secs(20);

/// A frame of the application, as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Binary(Bytes),
}

impl Frame {
    /// What it carries.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Self::Binary(bytes) => bytes.clone(),
        }
    }

    pub(crate) fn message(self) -> Message {
        match self {
            Self::Text(text) => Message::text(text),
            Self::Binary(bytes) => Message::binary(bytes),
        }
    }

    /// The frame in a message; none for what the WebSocket protocol keeps for itself.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        match message {
            Message::Text(text) => Some(Self::Text(text.as_str().to_owned())),
            Message::Binary(bytes) => Some(Self::Binary(bytes.clone())),
            _ => None,
        }
    }
}

pub(crate) type WebSocket = WebSocketStream<Stream>;

/// Opens a WebSocket with the given subprotocols.
pub(crate) async fn open(address: &Address, subprotocol: Option<&str>) -> Result<WebSocket> {
    let stream = net::connect(address).await?;
    let scheme = if address.trust.is_some() { "wss" } else { "ws" };
    let mut request = format!("{scheme}://{}/v2/socket", address.authority()).into_client_request()?;
    if let Some(name) = subprotocol {
        let value = HeaderValue::from_str(name).map_err(|error| Error::Address(error.to_string()))?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", value);
    }
    // A thousand idle clients in one process must not hold the default 128 KiB each.
    let config = WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        .max_message_size(Some(64 << 20))
        .max_frame_size(Some(64 << 20));
    let opening = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
    let (socket, _) = timeout(ANSWER, opening).await.map_err(|_| Error::Timeout("a handshake".into()))??;
    Ok(socket)
}

/// A WebSocket to send anything over.
pub struct RawSocket {
    socket: WebSocket,
    assembler: Assembler,
}

impl RawSocket {
    /// Connects with the API's subprotocol.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn connect(address: &Address) -> Result<Self> {
        Self::connect_as(address, Some(SUBPROTOCOL)).await
    }

    /// Connects with any subprotocol, or none.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn connect_as(address: &Address, subprotocol: Option<&str>) -> Result<Self> {
        Ok(Self { socket: open(address, subprotocol).await?, assembler: Assembler::default() })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, frame: Frame) -> Result<()> {
        Ok(self.socket.send(frame.message()).await?)
    }

    /// Sends any text as a text frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn text(&mut self, text: impl Into<String>) -> Result<()> {
        self.send(Frame::Text(text.into())).await
    }

    /// Sends a header and payload frames as they are; `frames` is up to the caller.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn action(&mut self, header: Value, parts: &[&str]) -> Result<()> {
        self.text(header.to_string()).await?;
        for part in parts {
            self.text(*part).await?;
        }
        Ok(())
    }

    /// The next frame of the application; `None` when the server closed the connection.
    ///
    /// # Errors
    /// When nothing comes in time.
    pub async fn frame(&mut self) -> Result<Option<Frame>> {
        let next = async {
            loop {
                match self.socket.next().await {
                    None | Some(Ok(Message::Close(_))) => return Ok(None),
                    Some(Ok(message)) => {
                        if let Some(frame) = Frame::of(&message) {
                            return Ok(Some(frame));
                        }
                    }
                    Some(Err(error)) if is_closed(&error) => return Ok(None),
                    Some(Err(error)) => return Err(error.into()),
                }
            }
        };
        timeout(ANSWER, next).await.map_err(|_| Error::Timeout("a frame".into()))?
    }

    /// The next event; `None` when the server closed the connection.
    ///
    /// # Errors
    /// When nothing comes in time, or what comes is no event.
    pub async fn event(&mut self) -> Result<Option<Event>> {
        while let Some(frame) = self.frame().await? {
            if let Some(event) = self.assembler.push(frame.bytes())? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Skips events up to one of this name.
    ///
    /// # Errors
    /// When none comes before the connection closes or the time is over.
    pub async fn named(&mut self, name: &str) -> Result<Event> {
        while let Some(event) = self.event().await? {
            if event.name() == name {
                return Ok(event);
            }
        }
        Err(Error::Protocol(format!("the connection closed before {name}")))
    }

    /// Sends an action and skips events up to the one that answers it.
    ///
    /// # Errors
    /// When none comes before the connection closes or the time is over. An `error` event is an answer.
    pub async fn ask(&mut self, header: Value, parts: &[&str]) -> Result<Event> {
        let action_id = header["action_id"].as_u64();
        self.action(header, parts).await?;
        while let Some(event) = self.event().await? {
            if event.action_id() == action_id {
                return Ok(event);
            }
        }
        Err(Error::Protocol("the connection closed before the answer".into()))
    }

    /// Closes the connection properly.
    ///
    /// # Errors
    /// When it is gone already.
    pub async fn close(mut self) -> Result<()> {
        Ok(self.socket.close(None).await?)
    }
}

/// Whether an error only says that the connection is gone.
pub(crate) fn is_closed(error: &tokio_tungstenite::tungstenite::Error) -> bool {
    use tokio_tungstenite::tungstenite::Error as E;
    matches!(
        error,
        E::ConnectionClosed
            | E::AlreadyClosed
            | E::Io(_)
            | E::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}
