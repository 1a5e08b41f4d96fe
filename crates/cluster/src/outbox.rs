//! Mails on their way out. Each is a row of its entity's agenda until the mail server has taken it, or it is
//! hopeless; who gets the shard meanwhile finds it there. A node that dies at the wrong moment leaves a mail that
//! is sent twice, with the same id.

use crate::hub::Hub;
use async_trait::async_trait;
use bytes::Bytes;
use levee_domain::mail::Mail;
use levee_domain::view::Stream;
use levee_proto::Id;
use levee_store::AgendaItem;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// What the names of mails begin with on the agenda; those of timers and forwards begin otherwise.
const PREFIX: char = 'm';
/// How many mails of one hub are on their way at a time.
const AT_ONCE: usize = 4;
/// How many wait in memory; further ones stay on the agenda until there is room.
const WAITING: usize = 10_000;
/// How long one waits after the first failure; three times as long after each further one, up to the longest.
const AGAIN: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(1_800);
/// For how long those are remembered that are done.
const REMEMBERED: Duration = Duration::from_secs(60);
/// After how long it is hopeless.
const HOPELESS: Duration = Duration::from_secs(2 * 86_400);

/// Why a mail did not go out.
#[derive(Debug)]
pub struct Undelivered {
    /// Whether it never will.
    pub hopeless: bool,
    /// What the mail server says; nothing that tells the receiver's address.
    pub reason: String,
}

/// A way for mails to go out.
#[async_trait]
pub trait Mailer: std::fmt::Debug + Send + Sync {
    /// Whether mail can be sent to an address at all.
    fn takes(&self, address: &str) -> bool;

    /// Sends a mail; one that is sent again has the same id.
    async fn send(&self, id: &str, mail: &Mail) -> Result<(), Undelivered>;
}

/// The mails of one hub.
#[derive(Default)]
pub(crate) struct Outbox {
    /// By stream and name.
    waiting: RefCell<BTreeMap<(Stream, Id), Waiting>>,
    /// Those that are done, since when: who reads the agenda at this moment may find them there still.
    done: RefCell<BTreeMap<(Stream, Id), u64>>,
    under_way: Cell<usize>,
    /// Some are on the agenda only.
    left_out: Cell<bool>,
}

struct Waiting {
    mail: Mail,
    /// When it was caused.
    since: u64,
    /// When it is tried next; `None` while it is on its way.
    due: Option<u64>,
    failures: u32,
}

/// The name of a mail on the agenda.
pub(crate) fn key(seq: u64, now: u64, index: usize) -> Id {
    compact_str::format_compact!("{PREFIX}{seq:013}.{now:016}.{index:04}")
}

/// Whether an item of the agenda is a mail.
pub(crate) fn is_mail(item: &AgendaItem) -> bool {
    item.key.starts_with(PREFIX)
}

/// A mail, as the agenda keeps it.
pub(crate) fn body(mail: &Mail) -> Bytes {
    serde_json::to_vec(mail).unwrap_or_default().into()
}

impl Hub {
    /// Takes up a mail that is on the agenda.
    pub(crate) fn take_up_mail(&self, stream: Stream, key: Id, since: u64, mail: Mail) {
        let at = (stream, key);
        if self.outbox.done.borrow().contains_key(&at) {
            return;
        }
        let mut waiting = self.outbox.waiting.borrow_mut();
        if waiting.len() >= WAITING {
            self.outbox.left_out.set(true);
            return self.shared.metrics.drop("outbox");
        }
        let new = || Waiting { mail, since, due: Some(since), failures: 0 };
        waiting.entry(at).or_insert_with(new);
    }

    /// Takes up mails that the agenda lists.
    pub(crate) fn take_up_mails(&self, items: Vec<AgendaItem>) {
        if self.shared.options.mailer.is_none() && !items.is_empty() {
            self.shared.metrics.drop("no_mailer");
            let mails = items.len();
            return tracing::warn!(mails, "mails wait, and no mail goes out from this node: set smtp_url");
        }
        for item in items {
            match (Stream::from_key(&item.stream), serde_json::from_slice(&item.body)) {
                (Some(stream), Ok(mail)) => self.take_up_mail(stream, item.key, item.due, mail),
                (_, read) => {
                    tracing::error!(error = ?read.err(), key = %item.key, "a mail on the agenda can't be read");
                }
            }
        }
    }

    /// Sends what is due, as much as may be under way at a time.
    pub(crate) fn send_mails(self: &Rc<Self>) {
        let Some(mailer) = self.shared.options.mailer.clone() else { return };
        let now = crate::now();
        self.outbox.done.borrow_mut().retain(|_, since| *since + REMEMBERED.as_micros() as u64 > now);
        let mut waiting = self.outbox.waiting.borrow_mut();
        // Those of shards that went elsewhere are their new owner's matter.
        let owned = |stream: &Stream| self.placement().epoch(stream.shard(), &self.shared.node).is_some();
        waiting.retain(|(stream, _), mail| mail.due.is_none() || owned(stream));
        if waiting.len() < WAITING / 2 && self.outbox.left_out.replace(false) {
            let here = |shard: &u16| self.shared.arbiter(*shard) == self.seat.arbiter;
            let own = self.placement().of(&self.shared.node).into_iter().filter(here).collect();
            actix::spawn(self.clone().resume_agenda(own));
        }
        for ((stream, key), mail) in
            waiting.iter_mut().filter(|(_, mail)| mail.due.is_some_and(|due| due <= now))
        {
            if self.outbox.under_way.get() >= AT_ONCE || !self.shared.has_lease() {
                break;
            }
            self.outbox.under_way.set(self.outbox.under_way.get() + 1);
            mail.due = None;
            let (hub, mailer) = (self.clone(), mailer.clone());
            let (stream, key, mail) = (stream.clone(), key.clone(), mail.mail.clone());
            actix::spawn(async move {
                let id = format!("{}.{key}", stream.id);
                let outcome = mailer.send(&id, &mail).await;
                hub.mail_went(stream, key, outcome);
            });
        }
    }

    /// What has become of a mail.
    fn mail_went(self: &Rc<Self>, stream: Stream, key: Id, outcome: Result<(), Undelivered>) {
        self.outbox.under_way.set(self.outbox.under_way.get() - 1);
        let metrics = &self.shared.metrics.mails;
        let at = (stream, key);
        let done = {
            let mut waiting = self.outbox.waiting.borrow_mut();
            let Some(mail) = waiting.get_mut(&at) else { return };
            let age = crate::now().saturating_sub(mail.since);
            let (stream, tries) = (&at.0, mail.failures + 1);
            match outcome {
                Ok(()) => {
                    metrics.with_label_values(&["sent"]).inc();
                    tracing::info!(%stream, tries, "a mail went out");
                    true
                }
                Err(error) if error.hopeless || age >= HOPELESS.as_micros() as u64 => {
                    metrics.with_label_values(&["given_up"]).inc();
                    tracing::error!(%stream, tries, reason = error.reason, "a mail will never go out");
                    true
                }
                Err(error) => {
                    metrics.with_label_values(&["deferred"]).inc();
                    let wait = AGAIN.saturating_mul(3u32.saturating_pow(mail.failures)).min(LONGEST);
                    tracing::warn!(%stream, tries, ?wait, reason = error.reason, "a mail did not go out yet");
                    mail.failures += 1;
                    mail.due = Some(crate::now() + wait.as_micros() as u64);
                    false
                }
            }
        };
        if done {
            self.outbox.waiting.borrow_mut().remove(&at);
            self.outbox.done.borrow_mut().insert(at.clone(), crate::now());
            let (store, (stream, key)) = (self.store(), at);
            // At once: what is on the agenda when the node stops is sent again.
            actix::spawn(async move {
                if let Err(error) = store.done(vec![(stream.shard(), stream.key(), key)]).await {
                    tracing::warn!(%error, "a mail that is done stays on the agenda, and may be sent again");
                }
            });
        }
        self.send_mails();
    }
}
