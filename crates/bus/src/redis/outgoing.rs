//! What waits to be sent, node by node: what gathers while a frame is under way is the next frame.

use crate::{BusError, Node};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many messages may wait.
const MESSAGES: usize = 65_536;
/// How many bytes of them.
const BYTES: usize = 64 << 20;
/// How many bytes of messages one frame carries at most, roughly.
const FRAME_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Outgoing {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: HashMap<Node, Vec<Bytes>>,
    count: usize,
    bytes: usize,
    /// Whether the bus carries.
    up: bool,
    closed: bool,
}

impl Outgoing {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, to: &str, body: Bytes) -> Result<(), BusError> {
        let mut waiting = self.waiting();
        if !waiting.up {
            return Err(BusError::Away);
        }
        if waiting.count >= MESSAGES || waiting.bytes + body.len() > BYTES {
            return Err(BusError::Congested);
        }
        waiting.count += 1;
        waiting.bytes += body.len();
        match waiting.messages.get_mut(to) {
            Some(messages) => messages.push(body),
            None => {
                waiting.messages.insert(to.into(), vec![body]);
            }
        }
        drop(waiting);
        self.more.notify_one();
        Ok(())
    }

    /// Takes what waits: the messages of one frame per node. Answers whether more is left.
    pub(super) fn take(&self) -> (Vec<(Node, Vec<Bytes>)>, bool) {
        let mut waiting = self.waiting();
        let mut frames = Vec::with_capacity(waiting.messages.len());
        let (mut count, mut bytes) = (0, 0);
        waiting.messages.retain(|node, messages| {
            let mut size = 0;
            let whole = messages.iter().take_while(|message| {
                let fits = size == 0 || size + message.len() <= FRAME_BYTES;
                size += message.len();
                fits
            });
            let taken: Vec<Bytes> = messages.drain(..whole.count()).collect();
            count += taken.len();
            bytes += taken.iter().map(Bytes::len).sum::<usize>();
            frames.push((node.clone(), taken));
            !messages.is_empty()
        });
        waiting.count -= count;
        waiting.bytes -= bytes;
        (frames, waiting.count > 0)
    }

    /// The bus carries from now on, or no more: then what waited is lost. Answers how much that was.
    pub(super) fn set_up(&self, up: bool) -> usize {
        let mut waiting = self.waiting();
        waiting.up = up;
        if up {
            return 0;
        }
        waiting.messages.clear();
        waiting.bytes = 0;
        std::mem::take(&mut waiting.count)
    }

    /// Returns when something may wait, or the bus was closed.
    pub(super) async fn more(&self) {
        self.more.notified().await;
    }

    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.more.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting().closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: usize) -> Bytes {
        vec![0; size].into()
    }

    #[test]
    fn frames_are_bounded_and_keep_the_order() {
        let outgoing = Outgoing::default();
        assert!(matches!(outgoing.push("b", message(1)), Err(BusError::Away)));
        outgoing.set_up(true);
        for size in [FRAME_BYTES * 2, 600_000, 600_000, 1] {
            outgoing.push("b", message(size)).unwrap();
        }
        outgoing.push("c", message(7)).unwrap();
        let sizes = |frames: Vec<(Node, Vec<Bytes>)>| {
            let mut sizes: Vec<_> = frames
                .into_iter()
                .map(|(node, messages)| {
                    (node.to_string(), messages.iter().map(Bytes::len).collect::<Vec<_>>())
                })
                .collect();
            sizes.sort();
            sizes
        };
        let (frames, left) = outgoing.take();
        assert_eq!(sizes(frames), [("b".into(), vec![FRAME_BYTES * 2]), ("c".into(), vec![7])]);
        assert!(left);
        assert_eq!(sizes(outgoing.take().0), [("b".into(), vec![600_000])]);
        let (frames, left) = outgoing.take();
        assert_eq!((sizes(frames), left), (vec![("b".into(), vec![600_000, 1])], false));
    }

    #[test]
    fn no_more_waits_than_is_allowed_and_what_waits_is_lost_with_the_bus() {
        let outgoing = Outgoing::default();
        outgoing.set_up(true);
        for _ in 0..64 {
            outgoing.push("b", message(1 << 20)).unwrap();
        }
        assert!(matches!(outgoing.push("b", message(1)), Err(BusError::Congested)));
        assert_eq!(outgoing.set_up(false), 64);
        outgoing.set_up(true);
        for _ in 0..MESSAGES {
            outgoing.push("b", Bytes::new()).unwrap();
        }
        assert!(matches!(outgoing.push("b", Bytes::new()), Err(BusError::Congested)));
    }
}
