//! What a session hands out: its events, and answers that have not come yet.

use crate::error::{Ended, Error, Result};
use crate::event::Event;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The events of a session in their order, each once.
pub struct Events {
    pub(super) events: mpsc::UnboundedReceiver<Event>,
}

/// An answer that has not come yet.
pub struct Reply {
    /// The action's number.
    pub action_id: u64,
    pub(super) answer: oneshot::Receiver<Result<Vec<Event>>>,
    pub(super) limit: Duration,
}

impl Reply {
    /// Waits for the first event that answers the action.
    ///
    /// # Errors
    /// `Rejected` if it is an `error`, `Ended` if the session is over, `Timeout`.
    pub async fn event(self) -> Result<Event> {
        let mut events = self.events().await?;
        Ok(events.swap_remove(0))
    }

    /// Waits for all events that answer the action; there is at least one.
    ///
    /// # Errors
    /// `Rejected` if the first is an `error`, `Ended` if the session is over, `Timeout`.
    pub async fn events(self) -> Result<Vec<Event>> {
        let what = || Error::Timeout(format!("the answer to action {}", self.action_id));
        let answer = timeout(self.limit, self.answer).await.map_err(|_| what())?;
        let events = answer.map_err(|_| Ended::by_client("its task is gone"))??;
        match events.first() {
            Some(event) if event.name() == "error" => Err(Error::Rejected(event.clone())),
            Some(_) => Ok(events),
            None => Err(Error::Protocol("an answer without an event".into())),
        }
    }
}

/// How long [`Events`] wait for an event before they give up.
const EVENT: Duration = Duration::from_secs(20);

impl Events {
    /// The next event; `None` when the session is over.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The next event if it is here already.
    pub fn here(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Skips events up to one of this name.
    ///
    /// # Errors
    /// When none comes in time, or the session ends before.
    pub async fn named(&mut self, name: &str) -> Result<Event> {
        self.find(name, |event| event.name() == name).await
    }

    /// Skips events up to one that `is` the one; `what` names it for the error.
    ///
    /// # Errors
    /// When none comes in time, or the session ends before.
    pub async fn find(&mut self, what: &str, is: impl Fn(&Event) -> bool) -> Result<Event> {
        self.within(EVENT, what, is).await
    }

    /// Like [`Events::find`], with a limit of the caller's.
    ///
    /// # Errors
    /// When none comes in time, or the session ends before.
    pub async fn within(
        &mut self,
        limit: Duration,
        what: &str,
        is: impl Fn(&Event) -> bool,
    ) -> Result<Event> {
        let search = async {
            loop {
                match self.events.recv().await {
                    Some(event) if is(&event) => return Ok(event),
                    Some(_) => {}
                    None => return Err(Ended::by_client(&format!("before {what}")).into()),
                }
            }
        };
        timeout(limit, search).await.map_err(|_| Error::Timeout(what.to_owned()))?
    }
}
