//! What webhooks are to be told. Each telling is a row of its entity's agenda until its receiver has taken it, or for
//! too long; who gets the shard meanwhile finds it there, with how often it was tried.
//!
//! What one webhook is to be told of one conversation is a *lane*: its rows are told one after the other, in the
//! order in which they were caused, and the one that fails holds up those behind it. Lanes know of one another
//! only how many of one receiver are under way. Memory holds lanes, not rows: a lane whose turn it is reads its rows.

mod deliver;
mod keys;
mod log;
mod render;

use crate::hub::Hub;
use async_trait::async_trait;
use bytes::Bytes;
use levee_domain::hook::{Format, Hook};
use levee_domain::view::Stream;
use levee_proto::Id;
use levee_store::AgendaItem;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub use keys::{ListedKey, SigningKey, list_keys, new_kid, rotate_keys};

/// What the names of such rows begin with on the agenda.
const PREFIX: char = 'h';
/// How many lanes of one receiver are under way at a time, on one hub.
const OF_ONE: usize = 8;
/// How many of all are.
const AT_ONCE: usize = 256;
/// How many ticks pass between two looks at all lanes.
const WEIGHED: u64 = 5;
/// How many lanes wait in memory; further ones stay on the agenda until there is room.
const LANES: usize = 100_000;
/// How many failures without a success between them tell that a receiver is away: when it is back, its lanes need not
/// wait any longer.
const AWAY: u32 = 4;

/// A document on its way to a receiver.
#[derive(Debug)]
pub struct Call<'a> {
    /// Where to.
    pub url: &'a str,
    /// How it is wrapped.
    pub format: Format,
    /// What it is signed with.
    pub key: &'a SigningKey,
    /// For whom it is meant.
    pub aud: &'a str,
    /// Until when it holds, in seconds since 1970.
    pub exp: u64,
    /// What has happened.
    pub event: &'static str,
    /// Which time that it happened, if it did.
    pub event_id: Option<&'a str>,
    /// What is said of it.
    pub body: Value,
}

/// What a receiver answered.
#[derive(Debug, Default)]
pub struct Answered {
    /// The status code.
    pub status: u16,
    /// After how many seconds it wants to be asked again.
    pub retry_after: Option<u64>,
    /// The type of the body.
    pub content_type: String,
    /// The body, if it came and is not too long.
    pub body: Option<Bytes>,
}

/// A way to tell webhooks something, signed.
#[async_trait]
pub trait Caller: std::fmt::Debug + Send + Sync {
    /// Tells a receiver something once, within a limited time.
    ///
    /// # Errors
    /// Why there is no answer; nothing of what was said.
    async fn call(&self, call: Call<'_>) -> Result<Answered, String>;

    /// Draws a new key by lot.
    fn draw(&self) -> Option<Vec<u8>>;

    /// What everybody may know of keys: a set of JSON Web Keys.
    fn public(&self, keys: &[&SigningKey]) -> Value;
}

/// The lanes of one hub.
#[derive(Default)]
pub(crate) struct Hooks {
    /// By webhook.
    receivers: RefCell<BTreeMap<Id, Receiver>>,
    under_way: Cell<usize>,
    count: Cell<usize>,
    /// Some are on the agenda only.
    left_out: Cell<bool>,
    keys: RefCell<Option<keys::Known>>,
    names: RefCell<render::Names>,
    /// How many attempts there were.
    attempts: Cell<u64>,
}

#[derive(Default)]
struct Receiver {
    lanes: BTreeMap<Stream, Lane>,
    /// Those that wait, soonest first.
    due: BTreeSet<(u64, Stream)>,
    under_way: usize,
    /// Failures without a success between them.
    failures: u32,
}

struct Lane {
    /// When it goes on; `None` while it is under way.
    due: Option<u64>,
    /// More has come while it was under way.
    more: bool,
    /// When it began to wait.
    since: u64,
}

/// How a lane goes on.
enum Next {
    /// All is told.
    Over,
    /// At this time.
    At(u64),
}

/// The name of a telling on the agenda: in the order of their names, those of one webhook were caused.
pub(crate) fn key(seq: u64, now: u64, index: usize, webhook: &str) -> Id {
    compact_str::format_compact!("{PREFIX}{seq:013}.{now:016}.{index:04}.{webhook}")
}

/// Whether an item of the agenda is for a webhook.
pub(crate) fn is_hook(item: &AgendaItem) -> bool {
    item.key.starts_with(PREFIX)
}

/// The webhook that an item of the agenda is for.
fn webhook_of(item: &AgendaItem) -> Option<&str> {
    item.key.rsplit('.').next().filter(|_| is_hook(item))
}

/// A telling, as the agenda keeps it.
pub(crate) fn body(hook: &Hook) -> Bytes {
    serde_json::to_vec(hook).unwrap_or_default().into()
}

impl Hooks {
    fn with<T>(&self, webhook: &Id, act: impl FnOnce(&mut Receiver) -> T) -> T {
        let mut receivers = self.receivers.borrow_mut();
        let found = act(receivers.entry(webhook.clone()).or_default());
        if receivers.get(webhook).is_some_and(|receiver| receiver.lanes.is_empty()) {
            receivers.remove(webhook);
        }
        found
    }

    /// Forgets that more has come to a lane that is about to read what there is.
    fn reads(&self, webhook: &Id, stream: &Stream) {
        self.with(webhook, |receiver| {
            receiver.lanes.entry(stream.clone()).and_modify(|lane| lane.more = false);
        });
    }

    /// A receiver has taken something, or did not.
    fn note(&self, webhook: &Id, success: bool) {
        let is_back = self.with(webhook, |receiver| match success {
            true => std::mem::take(&mut receiver.failures) >= AWAY,
            false => {
                receiver.failures = receiver.failures.saturating_add(1);
                false
            }
        });
        if is_back {
            self.wake(webhook);
        }
    }

    /// The lanes of a receiver need not wait any longer.
    fn wake(&self, webhook: &Id) {
        let now = crate::now();
        self.with(webhook, |receiver| {
            receiver.due =
                std::mem::take(&mut receiver.due).into_iter().map(|(_, lane)| (now, lane)).collect();
            receiver.lanes.values_mut().filter_map(|lane| lane.due.as_mut()).for_each(|due| *due = now);
        });
    }

    /// Whether a receiver seems to be away no more since a lane has failed.
    fn is_back(&self, webhook: &Id) -> bool {
        self.with(webhook, |receiver| receiver.failures == 0)
    }
}

impl Hub {
    /// Takes up what a webhook is to be told of a stream.
    pub(crate) fn take_up_hook(&self, webhook: Id, stream: Stream, due: u64) {
        let hooks = &self.hooks;
        let room = hooks.count.get() < LANES;
        let taken = hooks.with(&webhook, |receiver| {
            if let Some(lane) = receiver.lanes.get_mut(&stream) {
                // It waits for its turn, and all of its rows with it; or it reads once more.
                lane.more = true;
                return Some(false);
            }
            room.then(|| {
                receiver.due.insert((due, stream.clone()));
                receiver.lanes.insert(stream, Lane { due: Some(due), more: false, since: due });
                true
            })
        });
        match taken {
            Some(true) => {
                hooks.count.set(hooks.count.get() + 1);
                self.shared.metrics.hooks_waiting.inc();
            }
            Some(false) => {}
            None => {
                hooks.left_out.set(true);
                self.shared.metrics.drop("webhooks");
            }
        }
    }

    /// Takes up what the agenda lists.
    pub(crate) fn take_up_hooks(&self, items: &[AgendaItem]) {
        for item in items {
            match (Stream::from_key(&item.stream), webhook_of(item)) {
                (Some(stream), Some(webhook)) => self.take_up_hook(webhook.into(), stream, item.due),
                _ => tracing::error!(key = %item.key, "a telling on the agenda can't be read"),
            }
        }
    }

    /// Lets go of lanes whose shards went elsewhere, and says how long the oldest waits.
    pub(crate) fn weigh_webhooks(&self) {
        let hooks = &self.hooks;
        if !self.ticks.get().is_multiple_of(WEIGHED) {
            return;
        }
        let (mut oldest, mut gone) = (u64::MAX, 0);
        hooks.receivers.borrow_mut().retain(|_, receiver| {
            let Receiver { lanes, due, .. } = receiver;
            lanes.retain(|stream, lane| {
                let here = self.placement().epoch(stream.shard(), &self.shared.node).is_some();
                let Some(at) = lane.due.filter(|_| !here) else {
                    oldest = oldest.min(lane.since);
                    return true;
                };
                due.remove(&(at, stream.clone()));
                gone += 1;
                false
            });
            !lanes.is_empty()
        });
        hooks.count.set(hooks.count.get() - gone);
        self.shared.metrics.hooks_waiting.sub(gone as i64);
        let age = crate::now().saturating_sub(oldest) / 1_000_000;
        let arbiter = self.seat.arbiter.to_string();
        self.shared.metrics.hooks_oldest.with_label_values(&[&arbiter]).set(age as i64);
    }

    /// Begins with what is due, as much as may be under way at a time.
    pub(crate) fn tell_webhooks(self: &Rc<Self>) {
        let hooks = &self.hooks;
        if self.shared.options.caller.is_none() || !self.shared.has_lease() {
            return;
        }
        if hooks.count.get() < LANES / 2 && hooks.left_out.replace(false) {
            let here = |shard: &u16| self.shared.arbiter(*shard) == self.seat.arbiter;
            let own = self.placement().of(&self.shared.node).into_iter().filter(here).collect();
            actix::spawn(self.clone().resume_agenda(own));
        }
        let now = crate::now();
        for (webhook, receiver) in hooks.receivers.borrow_mut().iter_mut() {
            while receiver.under_way < OF_ONE
                && hooks.under_way.get() < AT_ONCE
                && receiver.due.first().is_some_and(|(due, _)| *due <= now)
            {
                let Some((_, stream)) = receiver.due.pop_first() else { break };
                if let Some(lane) = receiver.lanes.get_mut(&stream) {
                    lane.due = None;
                }
                receiver.under_way += 1;
                hooks.under_way.set(hooks.under_way.get() + 1);
                let (hub, webhook) = (self.clone(), webhook.clone());
                actix::spawn(async move {
                    let next = hub.go_on(&webhook, &stream).await;
                    hub.went(webhook, stream, &next);
                });
            }
        }
    }

    /// A lane has gone on for a while.
    fn went(self: &Rc<Self>, webhook: Id, stream: Stream, next: &Next) {
        let hooks = &self.hooks;
        hooks.under_way.set(hooks.under_way.get() - 1);
        let over = hooks.with(&webhook, |receiver| {
            receiver.under_way -= 1;
            let Some(lane) = receiver.lanes.get_mut(&stream) else { return false };
            let due = match next {
                Next::Over if lane.more => crate::now(),
                Next::At(due) => *due,
                Next::Over => return receiver.lanes.remove(&stream).is_some(),
            };
            (lane.due, lane.more) = (Some(due), false);
            if matches!(next, Next::Over) {
                lane.since = due;
            }
            receiver.due.insert((due, stream));
            false
        });
        if over {
            hooks.count.set(hooks.count.get() - 1);
            self.shared.metrics.hooks_waiting.dec();
        }
        self.tell_webhooks();
    }
}
