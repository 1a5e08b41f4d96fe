//! What followers missed is read from the store: by those who came back or were not told, and by those whose
//! users are out of the stream before they heard how.

use super::PAGE;
use crate::hub::Hub;
use crate::publish::{self, Shown};
use crate::session::SessionMessage;
use levee_domain::view::{Effect, Kind, Stream, roles::Roles};
use levee_proto::Id;
use levee_store::{Read, Record};
use std::rc::Rc;
use std::time::Duration;

/// After how long a reading that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How soon a session is tried again whose mailbox was full.
const FULL_AGAIN: Duration = Duration::from_millis(20);

/// What became of a record that was read.
enum Step {
    /// It was shown.
    Shown,
    /// It was shown, and the session follows the stream no more.
    Left,
    /// The session's mailbox is full.
    Full,
    /// The owner has said meanwhile that the session's user is out, or in again.
    Turned,
}

impl Hub {
    /// Reads what a follower has missed.
    pub(crate) fn catch_up(self: &Rc<Self>, stream: &Stream, session: &Id) {
        let behind = {
            let mut streams = self.follows.streams.borrow_mut();
            let Some(follow) = streams.get_mut(stream) else { return };
            let head = follow.head;
            let Some(f) = follow.followers.iter_mut().find(|f| f.session == *session) else { return };
            let behind = f.is_in() && !f.reading && f.next <= head;
            f.reading |= behind;
            behind
        };
        if behind {
            self.read_on(stream, session);
        }
    }

    /// A session whose user is out of a stream is shown what it missed up to that, in the roles that it had. Says
    /// whether there is anything to show; if not, it may quit at once.
    pub(crate) fn show_end(self: &Rc<Self>, stream: &Stream, session: &Id, had: Roles) -> bool {
        let starts = self.follows.with(stream, session, |f| {
            f.leaving.then(|| {
                f.roles = had;
                !std::mem::replace(&mut f.reading, true)
            })
        });
        if starts == Some(Some(true)) {
            self.read_on(stream, session);
        }
        starts.flatten().is_some()
    }

    /// A stream has come to a record, says the store.
    pub(crate) fn has_come_to(self: &Rc<Self>, stream: &Stream, head: u64) {
        let sessions: Vec<Id> = {
            let mut streams = self.follows.streams.borrow_mut();
            let Some(follow) = streams.get_mut(stream) else { return };
            follow.head = follow.head.max(head);
            follow.followers.iter().map(|follower| follower.session.clone()).collect()
        };
        for session in sessions {
            self.catch_up(stream, &session);
        }
    }

    fn read_on(self: &Rc<Self>, stream: &Stream, session: &Id) {
        let (hub, stream, session) = (self.clone(), stream.clone(), session.clone());
        actix::spawn(async move { hub.read_behind(&stream, &session).await });
    }

    async fn read_behind(self: &Rc<Self>, stream: &Stream, session: &Id) {
        'pages: loop {
            let Some((next, leaving)) = self.follows.with(stream, session, |f| (f.next, f.leaving)) else {
                return;
            };
            // Somebody who is out must see nothing that came later, so the end is looked for first.
            if leaving && !self.leaves_after(stream, session, next - 1).await {
                return self.quits(stream, session);
            }
            self.shared.metrics.catch_up.inc();
            let records = self.read_page(stream, next - 1).await;
            let read = records.len();
            for record in records {
                let publish = publish::replay(stream, &record);
                loop {
                    let step = self.follows.with(stream, session, |f| {
                        if f.leaving != leaving {
                            return Step::Turned;
                        }
                        let Some(leaves) = f.show(&publish) else { return Step::Full };
                        f.next = record.seq + 1;
                        if leaves { Step::Left } else { Step::Shown }
                    });
                    match step {
                        None => return,
                        Some(Step::Left) => return self.unfollow(stream, session),
                        Some(Step::Shown) => break,
                        Some(Step::Full) => tokio::time::sleep(FULL_AGAIN).await,
                        Some(Step::Turned) => continue 'pages,
                    }
                }
            }
            if read == PAGE {
                continue;
            }
            // Whatever was published meanwhile is in the store by now.
            let more = {
                let mut streams = self.follows.streams.borrow_mut();
                let Some(follow) = streams.get_mut(stream) else { return };
                let head = follow.head;
                let Some(f) = follow.followers.iter_mut().find(|f| f.session == *session) else { return };
                f.reading = f.leaving || f.next <= head && read > 0;
                if !f.reading && stream.kind == Kind::User {
                    // The last ones may have shown nothing: that all was read is told, for it may wait for that.
                    let all = SessionMessage::Seen(stream.clone(), f.next - 1, Vec::new());
                    f.reading = f.address.try_send(all).is_err();
                }
                f.reading
            };
            if !more {
                return;
            }
            if read == 0 {
                tokio::time::sleep(FULL_AGAIN).await;
            }
        }
    }

    /// Whether a record after this one takes a follower out of the stream.
    async fn leaves_after(&self, stream: &Stream, session: &Id, mut after: u64) -> bool {
        loop {
            let records = self.read_page(stream, after).await;
            for record in &records {
                let publish = publish::replay(stream, record);
                let leaves = self.follows.with(stream, session, |f| {
                    let mut leaves = publish.views.iter().filter(|view| view.effect == Effect::Leave);
                    leaves.any(|view| view.to.means(&f.user, &f.session, f.roles))
                });
                match leaves {
                    Some(true) => return true,
                    Some(false) => after = record.seq,
                    None => return false,
                }
            }
            if records.len() < PAGE {
                return false;
            }
        }
    }

    /// Has a session quit a stream that its user is out of, where no record tells how.
    fn quits(&self, stream: &Stream, session: &Id) {
        self.follows.with(stream, session, |f| {
            (f.roles, f.reading) = (0, false);
            let quit = Shown {
                body: None,
                action_id: None,
                message_type: None,
                effect: Effect::Quit { stream: stream.clone() },
            };
            if f.address.try_send(SessionMessage::Seen(stream.clone(), 0, vec![quit])).is_err() {
                // Its owner is asked again, and says it again.
                f.unsure = true;
            }
        });
    }

    async fn read_page(&self, stream: &Stream, after: u64) -> Vec<Record> {
        loop {
            match self.shared.store.read(Read::after(stream.key(), after, PAGE)).await {
                Ok(records) => return records,
                Err(error) => {
                    tracing::warn!(%error, %stream, "reading what was missed failed; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}
