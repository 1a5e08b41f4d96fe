//! Moderation: hiding messages, and showing them again.

use super::records::ConversationRecord;
use super::{Conversation, Decision};
use crate::machine::{Actor, Answer, Emit, Moment, Step};
use crate::past::{Amend, Records, Wanted};
use crate::rights::{Right, Standing};
use crate::view::{To, View};
use levee_proto::actions::conversation::{UpdateMessage, UpdateUserMessages};
use levee_proto::messages::flags;
use levee_proto::types::micros;
use levee_proto::{ConversationAction, Id, Rejection, events, ids};

/// How many messages followers hear of at most when a user's are hidden, the newest ones: no client holds more.
const TOLD: usize = 1000;

impl Conversation {
    /// The records that an action looks at.
    pub(super) fn wants_messages(&self, action: &ConversationAction, standing: Standing) -> Option<Wanted> {
        let erases =
            matches!(action, ConversationAction::DeleteTranscript(_) | ConversationAction::DeleteChannel(_));
        if erases {
            return self.wants_opening().filter(|_| standing.may(Right::EraseTranscript));
        }
        if !standing.may(Right::Moderate) {
            return None;
        }
        let records = if let ConversationAction::UpdateMessage(update) = action {
            one(update)
        } else if let ConversationAction::UpdateUserMessages(update) = action {
            all(update)
        } else {
            return None;
        };
        records.ok().map(Wanted::Records)
    }

    /// Hides or shows one message.
    pub(super) fn update_message(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        update: &UpdateMessage,
    ) -> Decision {
        let asked = one(update)?;
        may_moderate(at, standing)?;
        let none = || Rejection::malformed("message_id is none of this channel's");
        let message = at.past.and_then(|found| found.records.first()).ok_or_else(none)?;
        let hidden = update.message_hidden;
        if (message.flags & flags::HIDDEN != 0) == hidden {
            return Ok(unchanged(at, message.seq, hidden));
        }
        let record = ConversationRecord::MessagesUpdated {
            hidden,
            by: actor.user.clone(),
            author: None,
            messages: vec![message.seq],
        };
        Ok(Step::record(record).and(amend(&asked, None, hidden)))
    }

    /// Hides or shows what a user has sent.
    pub(super) fn update_user_messages(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        update: &UpdateUserMessages,
    ) -> Decision {
        let asked = all(update)?;
        may_moderate(at, standing)?;
        let hidden = update.message_hidden;
        let through = at.past.map_or(0, |found| found.through).min(asked.before - 1);
        let messages: Vec<u64> = at.past.iter().flat_map(|found| &found.records).map(|m| m.seq).collect();
        if messages.is_empty() {
            return Ok(unchanged(at, through, hidden));
        }
        let author = Some(update.message_user_id.clone());
        let asked = Records { before: through + 1, ..asked };
        let amend = amend(&asked, author.clone(), hidden);
        let by = actor.user.clone();
        Ok(Step::record(ConversationRecord::MessagesUpdated { hidden, by, author, messages }).and(amend))
    }
}

fn may_moderate(at: &Moment<'_>, standing: Standing) -> Result<(), Rejection> {
    match standing.may(Right::Moderate) {
        true => Ok(()),
        false => Err(Rejection::denied().about("channel_id", at.id)),
    }
}

/// The sequence that a message's id names, if the message is stored.
fn stored(message_id: &Id) -> Result<u64, Rejection> {
    ids::message_seq(message_id)
        .filter(|seq| ids::message(*seq) == *message_id)
        .ok_or_else(|| Rejection::malformed("message_id is none of this channel's"))
}

/// The message that is meant, in whichever state.
fn one(update: &UpdateMessage) -> Result<Records, Rejection> {
    let seq = stored(&update.message_id)?;
    let (after, before) = (seq.saturating_sub(1), seq.saturating_add(1));
    Ok(Records { after, before, with_flags: flags::MESSAGE, limit: 1, ..Records::default() })
}

/// Those of a user's messages that would change.
fn all(update: &UpdateUserMessages) -> Result<Records, Rejection> {
    let mut records = Records {
        author: Some(update.message_user_id.clone()),
        with_flags: flags::MESSAGE,
        limit: TOLD,
        ..Records::default()
    };
    match update.message_hidden {
        true => records.without_flags = flags::HIDDEN,
        false => records.with_flags |= flags::HIDDEN,
    }
    match (&update.message_id, update.interval_end) {
        (Some(_), Some(_)) => return Err(Rejection::malformed("message_id or interval_end, not both")),
        (Some(id), None) => records.before = stored(id)?.saturating_add(1),
        (None, Some(end)) if !end.is_finite() || end < 0.0 => {
            return Err(Rejection::malformed("interval_end is a time in seconds"));
        }
        (None, Some(end)) => records.until = micros(end),
        (None, None) => {}
    }
    if records.author.as_ref().is_some_and(|author| author.is_empty()) {
        // That is how the server's own messages are kept.
        return Err(Rejection::malformed("message_user_id is empty"));
    }
    Ok(records)
}

/// The change of what is stored; all of it, and not only what followers are told of.
fn amend(asked: &Records, author: Option<Id>, hidden: bool) -> Emit {
    let (set_flags, clear_flags) = if hidden { (flags::HIDDEN, 0) } else { (0, flags::HIDDEN) };
    let (after, before, with_flags) = (asked.after, asked.before, flags::MESSAGE);
    Emit::Amend(Amend { after, before, with_flags, author, set_flags, clear_flags, body: None })
}

fn event(channel: &Id, seq: u64, hidden: bool) -> events::MessageUpdated {
    events::MessageUpdated {
        message_id: ids::message(seq),
        channel_id: Some(channel.clone()),
        message_hidden: Some(hidden),
    }
}

fn unchanged(at: &Moment<'_>, seq: u64, hidden: bool) -> Step<ConversationRecord> {
    Step::emit(Answer::event(&event(at.id, seq, hidden)))
}

/// What followers see: the last message last, which answers the moderator.
pub(super) fn views(channel: &Id, messages: &[u64], hidden: bool) -> Vec<View> {
    let view = |seq: &u64| View::new(To::All, &event(channel, *seq, hidden));
    let Some((last, others)) = messages.split_last() else { return Vec::new() };
    others.iter().map(|seq| view(seq).aside()).chain([view(last)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Given, ID, Table, refused};
    use crate::view::roles;
    use levee_proto::ErrorType;
    use serde_json::{Value, json};

    /// A channel in which two members have written three texts each, in turns: the records 6 to 11. The server has told of both.
    fn talk() -> Table<Conversation> {
        let mut table = Table::new();
        table.act("owner", "create_channel", json!({}), &[]).unwrap();
        for user in ["ann", "ben"] {
            table.act(user, "join_channel", json!({"channel_id": ID}), &[]).unwrap();
        }
        for _ in 0..3 {
            for user in ["ann", "ben"] {
                say(&mut table, user);
            }
        }
        table
    }

    fn say(table: &mut Table<Conversation>, user: &str) {
        let header = json!({"channel_id": ID, "message_type": "ninchat.com/text"});
        table.act(user, "send_message", header, &[r#"{"text":"hi"}"#]).unwrap();
    }

    fn update(table: &mut Table<Conversation>, user: &str, seq: u64, hidden: bool) -> Given<Conversation> {
        let header = json!({"channel_id": ID, "message_id": ids::message(seq), "message_hidden": hidden});
        table.act(user, "update_message", header, &[])
    }

    fn update_all(table: &mut Table<Conversation>, by: &str, more: Value) -> Given<Conversation> {
        let mut header = json!({"channel_id": ID, "message_user_id": "ann", "message_hidden": true});
        header.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        table.act(by, "update_user_messages", header, &[])
    }

    /// The messages that are hidden.
    fn hidden(table: &Table<Conversation>) -> Vec<u64> {
        let is_hidden = |bits: u32| bits & (flags::MESSAGE | flags::HIDDEN) == flags::MESSAGE | flags::HIDDEN;
        table.stored().into_iter().filter(|(_, bits, _)| is_hidden(*bits)).map(|(seq, ..)| seq).collect()
    }

    /// The messages of which followers are told, each with whether that answers the moderator.
    fn told(step: &Step<crate::machine::Entry<ConversationRecord>>) -> Vec<(String, bool)> {
        let entry = step.records.first().expect("a record");
        let views = super::super::views::of(&ID.into(), 99, 0, &entry.record);
        views.iter().map(|view| (view.body.as_ref().unwrap().header().to_owned(), view.answers)).collect()
    }

    #[test]
    fn one_message_is_hidden_and_shown_again() {
        let mut table = talk();
        let step = update(&mut table, "owner", 7, true).unwrap();
        assert_eq!(hidden(&table), [7]);
        let told = told(&step);
        assert_eq!(told.len(), 1);
        assert!(told[0].1 && told[0].0.contains("message_updated"), "{told:?}");
        assert!(told[0].0.contains(r#""message_hidden":true"#), "{told:?}");
        let again = update(&mut table, "owner", 7, true).unwrap();
        assert!(again.records.is_empty() && again.emits.len() == 1, "it is so already: {again:?}");
        update(&mut table, "owner", 7, false).unwrap();
        assert_eq!(hidden(&table), [0; 0]);
    }

    #[test]
    fn what_is_hidden_is_seen_by_moderators_and_its_author_when_it_is_read_again() {
        let mut table = talk();
        update(&mut table, "owner", 7, true).unwrap();
        let stored = table.stored();
        let seen = |seq: usize, user: &str, has| {
            let views = super::super::views::of(&ID.into(), seq as u64, 0, &stored[seq - 1].2.record);
            views.iter().any(|view| view.to.means(&user.into(), &Id::default(), has))
        };
        assert!(!seen(7, "ann", roles::MEMBER) && seen(6, "ann", roles::MEMBER));
        assert!(seen(7, "owner", roles::MEMBER | roles::MODERATOR) && seen(7, "ben", roles::MEMBER));
    }

    #[test]
    fn what_a_user_has_sent_is_hidden_up_to_a_message_or_a_time() {
        let mut table = talk();
        let step = update_all(&mut table, "owner", json!({"message_id": ids::message(9)})).unwrap();
        assert_eq!(hidden(&table), [6, 8]);
        let told = told(&step);
        assert_eq!(told.iter().map(|(_, answers)| *answers).collect::<Vec<_>>(), [false, true]);
        update_all(&mut table, "owner", json!({"message_hidden": false})).unwrap();
        assert_eq!(hidden(&table), [0; 0]);
        // The records were made a second after another, the first of them at 2 seconds.
        update_all(&mut table, "owner", json!({"interval_end": 7.0})).unwrap();
        assert_eq!(hidden(&table), [6, 8]);
        update_all(&mut table, "owner", json!({})).unwrap();
        assert_eq!(hidden(&table), [6, 8, 10]);
        let none = update_all(&mut table, "owner", json!({})).unwrap();
        assert!(none.records.is_empty());
        say(&mut table, "ann");
        assert_eq!(hidden(&table), [6, 8, 10], "what comes later is not concerned");
        assert_eq!(table.replayed().machine, table.entity.machine);
    }

    #[test]
    fn followers_hear_of_so_many_messages_and_all_are_hidden() {
        let mut table = talk();
        (0..TOLD).for_each(|_| say(&mut table, "ann"));
        let step = update_all(&mut table, "owner", json!({})).unwrap();
        assert_eq!((told(&step).len(), hidden(&table).len()), (TOLD, TOLD + 3));
    }

    #[test]
    fn only_moderators_moderate() {
        let mut table = talk();
        for user in ["ann", "ben", "stranger"] {
            assert_eq!(refused(update(&mut table, user, 6, true)), Some(ErrorType::PermissionDenied));
            let all = update_all(&mut table, user, json!({}));
            assert_eq!(refused(all), Some(ErrorType::PermissionDenied));
        }
        assert_eq!(hidden(&table), [0; 0]);
        let header = json!({"channel_id": ID, "user_id": "ben", "member_attrs": {"moderator": true}});
        table.act("owner", "update_member", header, &[]).unwrap();
        update(&mut table, "ben", 6, true).unwrap();
        assert_eq!(hidden(&table), [6]);
        let private = json!({"channel_id": ID, "channel_attrs": {"private": true}});
        table.act("owner", "update_channel", private, &[]).unwrap();
        assert_eq!(refused(update(&mut table, "stranger", 6, true)), Some(ErrorType::ChannelNotFound));
    }

    #[test]
    fn what_is_no_message_of_the_channel_is_refused() {
        let mut table = talk();
        for id in ["0000000000001", "0000000000012", "0000000000006.000001", "", "4", "9999999999999"] {
            let header = json!({"channel_id": ID, "message_id": id, "message_hidden": true});
            let given = table.act("owner", "update_message", header, &[]);
            assert_eq!(refused(given), Some(ErrorType::RequestMalformed), "{id}");
        }
        for more in [
            json!({"message_id": "x"}),
            json!({"message_id": ids::message(6), "interval_end": 5}),
            json!({"interval_end": -1}),
            json!({"message_user_id": ""}),
        ] {
            let given = update_all(&mut table, "owner", more.clone());
            assert_eq!(refused(given), Some(ErrorType::RequestMalformed), "{more}");
        }
        assert_eq!(hidden(&table), [0; 0]);
    }
}
