//! Actions that come too late: letters go two ways when the bus goes away or comes back, and a copy of an
//! action may arrive after its reply was acknowledged, when nothing else recognises it any more.

use crate::letter::Act;
use levee_proto::Id;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// For how long a copy may be on its way: the bus and the post throw away what is older.
const ON_ITS_WAY: Duration = Duration::from_secs(60);
/// How many sessions are remembered before those are forgotten that were quiet for so long.
const SESSIONS: usize = 256;

/// From when on actions are open, by session.
#[derive(Default)]
pub(super) struct Late(HashMap<Id, Open>);

struct Open {
    /// The session's life: the clocks of two nodes are not compared.
    epoch: u64,
    since: u64,
    heard: Instant,
}

impl Late {
    /// Whether an action is the copy of one that was settled, or comes from a life of the session that is over.
    pub(super) fn is(&mut self, act: &Act) -> bool {
        if act.admitted == 0 {
            return false;
        }
        if self.0.len() >= SESSIONS && !self.0.contains_key(&act.asker.id) {
            self.0.retain(|_, open| open.heard.elapsed() < ON_ITS_WAY);
        }
        let new = || Open { epoch: act.epoch, since: 0, heard: Instant::now() };
        let open = self.0.entry(act.asker.id.clone()).or_insert_with(new);
        if open.epoch < act.epoch {
            *open = new();
        }
        open.heard = Instant::now();
        let late = act.epoch < open.epoch || act.admitted < open.since;
        open.since = open.since.max(act.oldest);
        late
    }
}
