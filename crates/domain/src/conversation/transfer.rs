//! How a customer goes on to another queue.
//!
//! Three entities take part, one after the other: the conversation notes that its agent wants it, the queue
//! that it came from says whether its settings allow it, and the conversation ends and sends the customer on.
//! Should the other queue be gone by then, the customer is first in the one that they came from.

use super::decide::parted;
use super::info::TRANSFER;
use super::records::ConversationRecord;
use super::{Conversation, Decision, Form};
use crate::machine::{Actor, Command, Emit, Moment, Step, Timer};
use crate::rights::{Right, Standing};
use crate::view::Stream;
use levee_proto::actions::queue::TransferAudience;
use levee_proto::attrs::ChannelAttrs;
use levee_proto::{ErrorType, Id, Rejection, events, ids};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A transfer that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Transfer {
    /// The record by which it began.
    pub(super) seq: u64,
    /// The queue that the customer is to go to.
    pub(super) queue: Id,
    /// The agent.
    pub(super) by: Id,
    /// The agent's command.
    pub(super) command: Option<Command>,
    /// The master whose command it is, if the agent is a puppet.
    #[serde(default)]
    pub(super) master: Option<Id>,
}

impl Conversation {
    /// The channel of an audience, wherever it is.
    pub fn of_audience(audience: &Id) -> Id {
        ids::derive(ids::shard(audience).unwrap_or_default(), &["channel", audience])
    }

    pub(super) fn transfer(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        transfer: TransferAudience,
    ) -> Decision {
        let attrs = &self.attrs;
        let absent = || Err(no_audience(&transfer.audience_id));
        let (Some(source), Some(customer)) = (&attrs.queue_id, &attrs.requester_id) else { return absent() };
        if self.form != Form::Channel || self.is_hidden_from(standing) {
            return absent();
        }
        if !standing.may(Right::TransferAudience) || actor.user == *customer {
            return Err(Rejection::denied().about("channel_id", at.id));
        }
        let open = attrs.closed.is_none() && attrs.suspended.is_none() && self.members.contains_key(customer);
        if !open || self.transfer.is_some() {
            return absent();
        }
        let ask = json!({"Transfer": {"queue": transfer.queue_id, "conversation": at.id, "seq": at.seq + 1}});
        Ok(Step::record(ConversationRecord::Transferring {
            queue: transfer.queue_id,
            by: actor.user.clone(),
            command: actor.command(),
            master: actor.master.clone(),
        })
        .and(Emit::Forward(Stream::queue(source), ask)))
    }

    /// The queue has said whether the customer may go.
    pub(super) fn transferred(&self, at: &Moment<'_>, seq: u64, allowed: bool) -> Step<ConversationRecord> {
        let Some(transfer) = self.transfer.as_ref().filter(|transfer| transfer.seq == seq) else {
            return Step::nothing();
        };
        let attrs = &self.attrs;
        let waiter = attrs.requester_id.as_ref().and_then(|id| Some((id, self.members.get(id)?)));
        let (Some((customer, member)), Some(source), Some(audience), true) =
            (waiter, &attrs.queue_id, &attrs.audience_id, allowed)
        else {
            let refusal = match allowed {
                true => no_audience(attrs.audience_id.as_deref().unwrap_or_default()),
                false => Rejection::denied()
                    .because("the queue's transfer_queue_ids don't name that queue")
                    .about("queue_id", &transfer.queue),
            };
            let listener = transfer.master.as_ref().unwrap_or(&transfer.by);
            let told = transfer.command.as_ref().map(|command| Emit::refused(listener, command, &refusal));
            let mut step = Step::record(ConversationRecord::TransferRefused);
            step.emits.extend(told);
            return step;
        };
        let next = ids::derive(
            ids::shard(customer).unwrap_or_default(),
            &["audience", &transfer.queue, at.id, &seq.to_string()],
        );
        let enqueue = json!({"Enqueue": {
            "waiter": {"audience": next, "user": customer, "card": member.user, "since": at.now,
                "metadata": self.metadata, "master": member.master, "puppet": member.puppet,
                "source": {"queue_id": source, "audience_id": audience, "channel_id": at.id,
                    "user_id": transfer.by}},
            "realm": self.realm, "conversation": at.id, "seq": seq,
        }});
        let info = json!({"queue_id": transfer.queue, "user_id": customer});
        let closed =
            ChannelAttrs { closed: Some(true), audience_transferred: Some(true), ..self.attrs.clone() };
        let mut step = Step::record(Self::info("ninchat.com/info/transfer/target", &info));
        step.records.push(ConversationRecord::Changed {
            realm: self.realm.clone(),
            attrs: closed,
            cause: Some(TRANSFER.into()),
        });
        let is_member = self.members.contains_key(&transfer.by);
        if is_member {
            step.records.push(ConversationRecord::Parted {
                user: transfer.by.clone(),
                cause: Some(TRANSFER.into()),
                command: transfer.command.clone().filter(|_| transfer.master.is_none()),
            });
            step.emits.push(parted(at.id, &transfer.by));
        }
        let listener = transfer.master.as_ref().or((!is_member).then_some(&transfer.by));
        if let (Some(listener), Some(command)) = (listener, &transfer.command) {
            let parted =
                events::ChannelParted { channel_id: at.id.clone(), event_cause: Some(TRANSFER.into()) };
            step.emits.push(Emit::told(listener, command, &parted));
        }
        step.and(Emit::Unwait(Timer::Agent)).and(Emit::Forward(Stream::queue(&transfer.queue), enqueue))
    }
}

fn no_audience(audience: &str) -> Rejection {
    Rejection::new(ErrorType::AudienceNotFound).about("audience_id", audience)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Entry;
    use crate::table::{Given, ID, Table, forwards, refused};

    /// An audience that an agent has accepted from a queue.
    fn audience() -> Table<Conversation> {
        let mut table = Table::new();
        table
            .order(json!({"Open": {"realm": null, "metadata": {"page": "/"}, "command": null, "accepted": 3,
                "attrs": {"audience_id": "00x", "queue_id": "00q", "requester_id": "customer", "private": true},
                "members": [["customer", {}, {}], ["agent", {}, {"operator": true}]]}}))
            .unwrap();
        table
    }

    fn transfer(table: &mut Table<Conversation>, user: &str) -> Given<Conversation> {
        table.act(user, "transfer_audience", json!({"audience_id": "00x", "queue_id": "00r"}), &[])
    }

    fn answer(table: &mut Table<Conversation>, allowed: bool) -> Step<Entry<ConversationRecord>> {
        let seq = table.entity.seq;
        table.order(json!({"Transferred": {"seq": seq, "allowed": allowed}})).unwrap()
    }

    #[test]
    fn a_transfer_that_the_queue_allows_ends_the_audience_and_sends_the_customer_on() {
        let mut table = audience();
        let asked = transfer(&mut table, "agent").unwrap();
        assert_eq!(forwards(&asked), [(Stream::queue(&"00q".into()), "Transfer".to_owned())]);
        let step = answer(&mut table, true);
        let names: Vec<_> = forwards(&step).into_iter().map(|(to, name)| (to.id, name)).collect();
        let expected = [("agent", "Parted"), ("00r", "Enqueue"), ("00q", "Ended")];
        assert_eq!(names, expected.map(|(to, name)| (to.into(), name.to_owned())));
        assert!(step.emits.contains(&Emit::Unwait(Timer::Agent)));
        let conversation = &table.entity.machine;
        assert_eq!(conversation.attrs.closed, Some(true));
        assert_eq!(conversation.attrs.audience_transferred, Some(true));
        assert!(conversation.members.contains_key("customer") && !conversation.members.contains_key("agent"));
        let parted = step.records.iter().find_map(|entry| match &entry.record {
            ConversationRecord::Parted { command, .. } => command.clone(),
            _ => None,
        });
        assert_eq!(parted.map(|command| command.action_id), Some(1), "it answers the agent");
        // What comes twice changes nothing.
        let seq = table.entity.seq;
        table.order(json!({"Transferred": {"seq": 2, "allowed": true}})).unwrap();
        assert_eq!(table.entity.seq, seq);
    }

    #[test]
    fn a_transfer_that_the_queue_does_not_allow_is_refused_and_all_stays() {
        let mut table = audience();
        transfer(&mut table, "agent").unwrap();
        assert_eq!(
            refused(transfer(&mut table, "agent")),
            Some(ErrorType::AudienceNotFound),
            "one at a time"
        );
        let step = answer(&mut table, false);
        assert_eq!(forwards(&step), [(Stream::user(&"agent".into()), "Told".to_owned())]);
        assert_eq!(table.entity.machine.attrs.closed, None);
        assert!(transfer(&mut table, "agent").is_ok(), "it may be tried again");
    }

    #[test]
    fn a_customer_who_left_meanwhile_goes_nowhere() {
        let mut table = audience();
        transfer(&mut table, "agent").unwrap();
        let asked = table.entity.seq;
        table.act("customer", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
        let step = table.order(json!({"Transferred": {"seq": asked, "allowed": true}})).unwrap();
        assert_eq!(forwards(&step), [(Stream::user(&"agent".into()), "Told".to_owned())]);
    }

    #[test]
    fn only_who_serves_the_audience_transfers_it() {
        let mut table = audience();
        assert_eq!(refused(transfer(&mut table, "customer")), Some(ErrorType::PermissionDenied));
        assert_eq!(refused(transfer(&mut table, "stranger")), Some(ErrorType::AudienceNotFound));
    }
}
