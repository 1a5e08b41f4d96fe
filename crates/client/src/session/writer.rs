//! The writing half of a session's WebSocket.

use crate::raw::{Frame, WebSocket};
use crate::session::{Direction, Tapped};
use bytes::Bytes;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

/// Shows a frame to whoever looks at the wire.
pub(super) fn tap(tap: Option<&mpsc::UnboundedSender<Tapped>>, direction: Direction, frame: Frame) {
    if let Some(tap) = tap {
        // Nobody has to look.
        let _ = tap.send(Tapped { direction, frame });
    }
}

/// Writes from a task of its own: a server that waits for us to read must not keep us from reading.
pub(super) struct Writer {
    messages: mpsc::UnboundedSender<Message>,
    task: JoinHandle<()>,
    pub(super) tap: Option<mpsc::UnboundedSender<Tapped>>,
}

impl Writer {
    pub(super) fn spawn(socket: WebSocket) -> (Self, SplitStream<WebSocket>) {
        let (mut sink, stream) = socket.split();
        let (messages, mut inbox) = mpsc::unbounded_channel::<Message>();
        let task = tokio::spawn(async move {
            let mut batch = Vec::new();
            while inbox.recv_many(&mut batch, 64).await > 0 {
                for message in batch.drain(..) {
                    if sink.feed(message).await.is_err() {
                        return;
                    }
                }
                if sink.flush().await.is_err() {
                    return;
                }
            }
        });
        (Self { messages, task, tap: None }, stream)
    }

    /// Sends frames. If the connection is gone the reader notices.
    pub(super) fn send(&self, frames: Vec<Frame>) {
        for frame in frames {
            tap(self.tap.as_ref(), Direction::Sent, frame.clone());
            let _ = self.messages.send(frame.message());
        }
    }

    /// An empty frame, which the API allows, and a ping, which is answered.
    pub(super) fn keep_alive(&self) {
        self.send(vec![Frame::Text(String::new())]);
        let _ = self.messages.send(Message::Ping(Bytes::new()));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Both halves have to go for the connection to go.
        self.task.abort();
    }
}
