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
        if act.epoch < open.epoch {
            return true;
        }
        let late = act.admitted < open.since;
        open.since = open.since.max(act.oldest);
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::{Asker, Seat};
    use levee_domain::machine::Actor;
    use std::sync::Arc;

    /// An action of a life of a session, taken in at a time, when the oldest open one was taken in at another.
    fn act(epoch: u64, admitted: u64, oldest: u64) -> Act {
        let session = Id::from("session");
        let seat = Seat { node: "node".into(), arbiter: 0 };
        Act {
            asker: Asker { seat, id: session.clone(), action_id: Some(admitted) },
            actor: Actor {
                user: "user".into(),
                session,
                action_id: Some(admitted),
                card: Arc::default(),
                message_types: Arc::default(),
                peer: None,
            },
            name: "ping".into(),
            header: bytes::Bytes::new(),
            parts: Vec::new(),
            settled: 0,
            after: None,
            admitted,
            oldest,
            epoch,
            action: None,
        }
    }

    #[test]
    fn a_copy_of_what_was_settled_is_late() {
        let mut late = Late::default();
        assert!(!late.is(&act(1, 10, 10)));
        assert!(!late.is(&act(1, 12, 11)));
        assert!(late.is(&act(1, 10, 10)), "what is open now began later");
        assert!(!late.is(&act(1, 12, 11)), "it is open still");
    }

    #[test]
    fn what_an_earlier_life_of_a_session_sends_is_late_whatever_its_clock_says() {
        let mut late = Late::default();
        assert!(!late.is(&act(1, 900, 900)));
        assert!(!late.is(&act(2, 5, 5)), "another node's clock is another clock");
        assert!(late.is(&act(1, 901, 901)));
        assert!(!late.is(&act(2, 6, 5)));
    }
}
