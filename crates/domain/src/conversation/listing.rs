//! How a channel is found by its name: its row in the directory goes with every change of what it is.

use super::{Conversation, ConversationRecord, Form};
use crate::machine::{Claim, Emit, Moment, Step};
use crate::search::{self, CHANNELS};
use bytes::Bytes;
use levee_proto::{ErrorType, Id, Rejection};

impl Conversation {
    /// Writes, moves or removes the channel's row, if the records of a step change what it says.
    pub(super) fn tell_directory(
        &self,
        at: &Moment<'_>,
        mut step: Step<ConversationRecord>,
    ) -> Step<ConversationRecord> {
        let changed = step.records.iter().rev().find_map(|record| match record {
            ConversationRecord::Opened { realm, attrs, .. }
            | ConversationRecord::Changed { realm, attrs, .. } => {
                Some(search::row(at.id, realm.as_ref(), attrs))
            }
            ConversationRecord::Deleted { .. } => Some(None),
            _ => None,
        });
        let Some(after) = changed else { return step };
        let known =
            (self.form == Form::Channel).then(|| search::row(at.id, self.realm.as_ref(), &self.attrs));
        let before = known.flatten();
        if before == after {
            return step;
        }
        let moved = before.filter(|(key, _)| after.as_ref().is_none_or(|(other, _)| other != key));
        step.emits.extend(moved.map(|(key, _)| claim(key, None)));
        step.emits.extend(after.map(|(key, value)| claim(key, Some(value))));
        step
    }
}

fn claim(key: Id, value: Option<Bytes>) -> Emit {
    let refusal = Rejection::new(ErrorType::Internal);
    Emit::Claim(Claim { namespace: CHANNELS, key, value, absent: false, refusal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Search;
    use crate::table::{ID, Table};
    use serde_json::{Value, json};

    /// The names by which the channel is found.
    fn listed(table: &Table<Conversation>) -> Vec<String> {
        let search = Search::new("n", false, true).unwrap();
        let found = table.rows.values().filter_map(|row| search.channel(row));
        found
            .map(|(id, shown)| format!("{id} {}", shown["channel_attrs"]["name"].as_str().unwrap()))
            .collect()
    }

    #[test]
    fn a_channel_is_found_by_the_name_that_it_has_while_it_is_there_and_not_private() {
        let mut table = Table::<Conversation>::new();
        let header = json!({"channel_attrs": {"name": "News", "topic": "x".repeat(600)}});
        table.act("owner", "create_channel", header, &[]).unwrap();
        assert_eq!(listed(&table), [format!("{ID} News")]);
        let change = |table: &mut Table<Conversation>, attrs: Value| {
            let header = json!({"channel_id": ID, "channel_attrs": attrs});
            table.act("owner", "update_channel", header, &[]).unwrap();
        };
        change(&mut table, json!({"name": "Novels"}));
        assert_eq!(listed(&table), [format!("{ID} Novels")]);
        change(&mut table, json!({"private": true}));
        assert!(table.rows.is_empty());
        change(&mut table, json!({"private": null, "closed": true}));
        let search = Search::new("novels", false, true).unwrap();
        let (_, shown) = search.channel(table.rows.values().next().unwrap()).unwrap();
        assert_eq!((&shown["channel_attrs"]["closed"], &shown["weight"]), (&json!(true), &json!(1.0)));
        assert!(shown["channel_attrs"].get("topic").is_none());
        change(&mut table, json!({"name": null}));
        assert!(table.rows.is_empty());
        change(&mut table, json!({"name": "Notes"}));
        table.act("owner", "part_channel", json!({"channel_id": ID}), &[]).unwrap();
        assert!(table.rows.is_empty(), "it went with its last member");
    }
}
