//! What a channel counts for in its owner's account: those of audiences and those that are suspended don't.

use super::records::ConversationRecord;
use super::{Conversation, Form};
use crate::account::{AccountOrder, Thing};
use crate::machine::{Moment, Step};
use levee_proto::Id;
use levee_proto::attrs::ChannelAttrs;

/// In whose account a channel counts.
fn account(attrs: &ChannelAttrs) -> Option<&Id> {
    attrs.owner_id.as_ref().filter(|_| attrs.audience_id.is_none() && attrs.suspended.is_none())
}

impl Conversation {
    /// Tells the owner whether the channel counts, if the records of a step change that.
    pub(super) fn tell_account(
        &self,
        at: &Moment<'_>,
        mut step: Step<ConversationRecord>,
    ) -> Step<ConversationRecord> {
        let before = account(&self.attrs).filter(|_| self.form == Form::Channel);
        let mut after = before;
        for record in &step.records {
            match record {
                ConversationRecord::Opened { attrs, .. } | ConversationRecord::Changed { attrs, .. } => {
                    after = account(attrs);
                }
                ConversationRecord::Deleted { .. } => after = None,
                _ => {}
            }
        }
        let (id, seq) = (at.id.clone(), at.seq + step.records.len() as u64);
        let told = match (before, after) {
            (None, Some(owner)) => {
                Some(AccountOrder::Owned { thing: Thing::Channels, id, seq, size: None }.forward(owner))
            }
            (Some(owner), None) => Some(AccountOrder::Gone { ids: vec![id], seq }.forward(owner)),
            _ => None,
        };
        step.emits.extend(told);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Emit, Entry};
    use crate::table::{ID, Table};
    use crate::view::Stream;
    use serde_json::{Value, json};

    /// What accounts are told by a step.
    fn told(step: &Step<Entry<ConversationRecord>>) -> Vec<(Stream, Value)> {
        let orders = step.emits.iter().filter_map(|emit| match emit {
            Emit::Forward(to, order) => Some((to.clone(), order.get("Account")?.clone())),
            _ => None,
        });
        orders.collect()
    }

    #[test]
    fn a_channel_counts_from_its_beginning_while_it_is_not_suspended() {
        let mut table: Table<Conversation> = Table::new();
        let owner = || Stream::user(&"owner".into());
        let owned = |seq: u64| json!({"Owned": {"thing": "channels", "id": ID, "seq": seq}});
        let made = table.act("owner", "create_channel", json!({}), &[]).unwrap();
        assert_eq!(told(&made), [(owner(), owned(table.entity.seq))]);
        let mut update = |attrs: Value| {
            let header = json!({"channel_id": ID, "channel_attrs": attrs});
            let step = table.act("owner", "update_channel", header, &[]).unwrap();
            (told(&step), table.entity.seq)
        };
        assert_eq!(update(json!({"name": "x"})).0, []);
        let (gone, seq) = update(json!({"suspended": true}));
        assert_eq!(gone, [(owner(), json!({"Gone": {"ids": [ID], "seq": seq}}))]);
        assert_eq!(update(json!({"topic": "x"})).0, []);
        let (again, seq) = update(json!({"suspended": null}));
        assert_eq!(again, [(owner(), owned(seq))]);
        let last = table.act("owner", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
        assert_eq!(told(&last), [(owner(), json!({"Gone": {"ids": [ID], "seq": table.entity.seq}}))]);
    }

    #[test]
    fn an_audiences_channel_counts_in_nobodys_account() {
        let mut table: Table<Conversation> = Table::new();
        let opened = table
            .order(json!({"Open": {"realm": null, "metadata": null, "command": null, "accepted": 3,
                "attrs": {"audience_id": "00x", "queue_id": "00q", "requester_id": "customer", "private": true},
                "members": [["customer", {}, {}], ["agent", {}, {"operator": true}]]}}))
            .unwrap();
        assert_eq!(told(&opened), []);
    }
}
