//! What a queue tells for webhooks: who asks for an audience, and who does no more. It goes to the audience's
//! conversation, which tells all that happens to an audience, so that its order is one.

use super::{Queue, QueueRecord};
use crate::conversation::Conversation;
use crate::hook::{Asked, HookEvent};
use crate::machine::{Emit, Moment, Step};
use crate::view::Stream;
use levee_proto::Id;
use serde_json::json;

impl Queue {
    /// Adds what the conversations of audiences are told of the records of a step.
    pub(super) fn with_hooks(&self, at: &Moment<'_>, mut step: Step<QueueRecord>) -> Step<QueueRecord> {
        let Some(realm) = at.realm.filter(|realm| !realm.webhooks.is_empty()) else { return step };
        let mut told = Vec::new();
        let mut tell = |event, seq, audience: &Id, (request, since)| {
            if realm.webhooks.that_want(event, Some(at.id)).next().is_some() {
                let (realm, queue) = (self.realm.clone().unwrap_or_default(), at.id.clone());
                let audience = audience.clone();
                told.push(Asked { realm, queue, audience, event, seq, request, since });
            }
        };
        for (seq, record) in (at.seq + 1..).zip(&step.records) {
            match record {
                QueueRecord::Requested { waiter } | QueueRecord::Transferred { waiter, .. } => {
                    tell(HookEvent::AudienceRequested, seq, &waiter.audience, (seq, waiter.since));
                }
                QueueRecord::Dropped { audience, .. } => {
                    let waiter = self.waiting.iter().find(|waiter| waiter.audience == *audience);
                    if let Some(waiter) = waiter {
                        tell(HookEvent::AudienceRequestDropped, seq, audience, (waiter.seq, waiter.since));
                    }
                }
                QueueRecord::Deleted { .. } => {
                    for waiter in &self.waiting {
                        let request = (waiter.seq, waiter.since);
                        tell(HookEvent::AudienceRequestDropped, seq, &waiter.audience, request);
                    }
                }
                // Who came back asks for nothing new; the rest is the conversation's, or nobody's.
                QueueRecord::Returned { .. }
                | QueueRecord::Created { .. }
                | QueueRecord::Changed { .. }
                | QueueRecord::MemberJoined { .. }
                | QueueRecord::MemberParted { .. }
                | QueueRecord::Accepted { .. }
                | QueueRecord::AudienceCreated { .. }
                | QueueRecord::Visited { .. }
                | QueueRecord::Tallied { .. }
                | QueueRecord::Settled { .. }
                | QueueRecord::Registered { .. }
                | QueueRecord::TranscriptsDeleted { .. }
                | QueueRecord::TranscriptsCleared => {}
            }
        }
        step.emits.extend(told.into_iter().map(|asked| {
            let to = Stream::conversation(&Conversation::of_audience(&asked.audience));
            Emit::Forward(to, json!({"Asked": asked}))
        }));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accept, queue, request};
    use super::*;
    use crate::hook::{Webhook, Webhooks};
    use crate::machine::Entry;
    use crate::table::{ID, Table};
    use serde_json::Value;

    /// A queue whose realm has a webhook that wants to know who asks and who does no more.
    fn told() -> Table<Queue> {
        let mut table = queue();
        let events = [HookEvent::AudienceRequested, HookEvent::AudienceRequestDropped];
        let hook = Webhook { events: events.into(), collects: true, ..Webhook::default() };
        let webhooks = Webhooks([("hook".into(), hook)].into());
        table.realm = table.realm.map(|realm| crate::realm::Realm { webhooks, ..realm });
        table
    }

    fn asked(step: &Step<Entry<QueueRecord>>) -> Vec<(Id, Asked)> {
        let asked = |emit: &Emit| match emit {
            Emit::Forward(to, order) => {
                let asked = order.get("Asked").cloned()?;
                Some((to.id.clone(), serde_json::from_value(asked).unwrap()))
            }
            _ => None,
        };
        step.emits.iter().filter_map(asked).collect()
    }

    fn opening(step: &Step<Entry<QueueRecord>>) -> Option<Value> {
        step.emits.iter().filter_map(Emit::forwarded).find_map(|(_, order)| order.get("Open").cloned())
    }

    #[test]
    fn the_conversation_hears_who_asks_and_who_does_no_more_before_it_opens() {
        let mut table = told();
        let asks = asked(&request(&mut table, "00customer").unwrap());
        let (to, first) = &asks[0];
        assert_eq!(*to, Conversation::of_audience(&first.audience));
        assert_eq!(
            (first.event, first.seq, first.request),
            (HookEvent::AudienceRequested, table.entity.seq, first.seq)
        );
        let opened = opening(&accept(&mut table, "agent", None).unwrap()).unwrap();
        assert_eq!(opened["hooks"], true);
        let asks = asked(&request(&mut table, "00other").unwrap());
        let drop = json!({"Drop": {"audience": asks[0].1.audience, "cause": "x"}});
        let dropped = asked(&table.order(drop).unwrap());
        assert_eq!(
            (dropped[0].1.event, dropped[0].1.request),
            (HookEvent::AudienceRequestDropped, asks[0].1.seq)
        );
        assert!(dropped[0].1.seq > asks[0].1.seq);
        let asks = asked(&request(&mut table, "00third").unwrap());
        let deleted = asked(&table.act("owner", "delete_queue", json!({"queue_id": ID}), &[]).unwrap());
        assert_eq!((&deleted[0].0, deleted[0].1.event), (&asks[0].0, HookEvent::AudienceRequestDropped));
    }

    #[test]
    fn a_realm_without_webhooks_pays_nothing() {
        let mut table = queue();
        assert!(asked(&request(&mut table, "00customer").unwrap()).is_empty());
        assert_eq!(opening(&accept(&mut table, "agent", None).unwrap()).unwrap().get("hooks"), None);
    }
}
