//! One wheel per thread for all its connections: it keeps them alive, and ends those that stall.

use super::pump::Link;
use crate::Shared;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// The wheel's slots; a connection is looked at once per turn.
const SLOTS: usize = 25;
/// How long a slot lasts.
const STEP: Duration = Duration::from_secs(1);
/// A client says something each minute at the latest; one that is silent this long is gone.
const SILENT: Duration = Duration::from_secs(130);
/// A client that reads nothing for this long is closed.
const STALLED: Duration = Duration::from_secs(60);

/// What the connections of one arbiter share.
#[derive(Clone)]
pub(crate) struct Arbiter {
    pub(super) context: Shared,
    pub(super) number: u16,
    wheel: Rc<RefCell<Wheel>>,
}

struct Wheel {
    slots: Vec<Vec<Weak<Link>>>,
    next: usize,
}

impl Arbiter {
    /// Starts the wheel of this thread.
    pub(crate) fn start(context: Shared, number: u16) -> Self {
        let wheel = Wheel { slots: vec![Vec::new(); SLOTS], next: 0 };
        let arbiter = Self { context, number, wheel: Rc::new(RefCell::new(wheel)) };
        let turning = arbiter.clone();
        actix::spawn(async move {
            let mut interval = tokio::time::interval(STEP);
            loop {
                interval.tick().await;
                turning.turn();
            }
        });
        arbiter
    }

    /// Looks after a connection from now on.
    pub(super) fn watch(&self, link: &Rc<Link>) {
        let mut wheel = self.wheel.borrow_mut();
        // The slot that comes last in this turn.
        let at = (wheel.next + SLOTS - 1) % SLOTS;
        wheel.slots[at].push(Rc::downgrade(link));
    }

    fn turn(&self) {
        let due = {
            let mut wheel = self.wheel.borrow_mut();
            let at = wheel.next;
            wheel.next = (at + 1) % SLOTS;
            wheel.slots[at].retain(|link| link.strong_count() > 0);
            wheel.slots[at].shrink_to(64);
            wheel.slots[at].clone()
        };
        let now = Instant::now();
        for link in due.iter().filter_map(Weak::upgrade) {
            let (wrote, blocked) = link.unwritten_since();
            if now.duration_since(link.silent_since()) > SILENT {
                self.context.metrics.closed.with_label_values(&["silent"]).inc();
                link.abort();
            } else if blocked && now.duration_since(wrote) > STALLED {
                self.context.metrics.closed.with_label_values(&["stalled"]).inc();
                link.abort();
            } else {
                link.keep_alive();
            }
        }
    }
}
