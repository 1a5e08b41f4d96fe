//! The terms on which a channel's members write: what its attributes say, and how much was written lately.

use super::Conversation;
use crate::machine::Moment;
use crate::rights::{Right, Standing};
use levee_proto::attrs::{ChannelAttrs, ChannelAttrsPatch};
use levee_proto::{ErrorType, Id, Rejection, limits, messages};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How many messages a rate may name at most: for each member that writes, so many times are kept.
const MESSAGES: usize = 100;
/// How many seconds a rate may name at most.
const SECONDS: u64 = 86_400;
/// Of how many members it is kept when they have written.
const WRITERS: usize = limits::CHANNEL_MEMBERS;

/// How much each member may write: the attribute `ratelimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    messages: usize,
    /// In microseconds.
    span: u64,
}

impl Rate {
    /// Reads `5/20`: 5 messages in 20 seconds.
    fn parse(text: &str) -> Option<Self> {
        let (messages, seconds) = text.split_once('/')?;
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().ok(),
            false => None,
        };
        let (messages, seconds) = (number(messages)?, number(seconds)?);
        let fits = (1..=MESSAGES as u64).contains(&messages) && (1..=SECONDS).contains(&seconds);
        fits.then_some(Self { messages: messages as usize, span: seconds * 1_000_000 })
    }
}

/// When members have written lately, as far as the rate looks back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Pace(BTreeMap<Id, VecDeque<u64>>);

impl Pace {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn note(&mut self, user: &Id, now: u64, rate: Rate) {
        let times = self.0.entry(user.clone()).or_default();
        times.push_back(now);
        while times.len() > rate.messages {
            times.pop_front();
        }
        if self.0.len() > WRITERS {
            let idle = self.0.iter().min_by_key(|(_, times)| times.back().copied());
            if let Some(idle) = idle.map(|(user, _)| user.clone()) {
                self.0.remove(&idle);
            }
        }
    }

    fn allows(&self, user: &Id, now: u64, rate: Rate) -> bool {
        let Some(times) = self.0.get(user) else { return true };
        let earliest = times.len().checked_sub(rate.messages).and_then(|at| times.get(at));
        earliest.is_none_or(|time| time + rate.span <= now)
    }
}

impl Conversation {
    /// Whether messages of a type can't be sent to the channel.
    pub(super) fn is_blacklisted(&self, message_type: &str) -> bool {
        let blacklist = self.attrs.blacklisted_message_types.as_deref().unwrap_or_default();
        messages::matches(blacklist, message_type)
    }

    fn rate(&self) -> Option<Rate> {
        self.attrs.ratelimit.as_deref().and_then(Rate::parse)
    }

    /// Somebody has written.
    pub(super) fn note_pace(&mut self, user: &Id, now: u64) {
        if let Some(rate) = self.rate() {
            self.pace.note(user, now, rate);
        }
    }

    /// Forgets who has written when no rate looks at it.
    pub(super) fn settle_pace(&mut self) {
        if self.rate().is_none() {
            self.pace = Pace::default();
        }
    }

    /// Refuses who has written too much lately.
    pub(super) fn keeps_pace(&self, at: &Moment<'_>, user: &Id, standing: Standing) -> Result<(), Rejection> {
        match self.rate() {
            Some(rate) if !standing.may(Right::Outpace) && !self.pace.allows(user, at.now, rate) => {
                let reason = "more than the channel's ratelimit";
                Err(Rejection::new(ErrorType::SendRateLimited).because(reason).about("channel_id", at.id))
            }
            _ => Ok(()),
        }
    }
}

/// A channel's attributes after a change, if its terms allow it.
pub(crate) fn changed(
    before: &ChannelAttrs,
    patch: &ChannelAttrsPatch,
    now: u64,
) -> Result<ChannelAttrs, Rejection> {
    let mut attrs = before.clone();
    patch.apply(&mut attrs);
    if patch.ratelimit.is_some() && attrs.ratelimit.as_deref().is_some_and(|text| Rate::parse(text).is_none())
    {
        return Err(Rejection::malformed(
            "ratelimit is like 5/20: at most 100 messages in at most 86400 seconds",
        ));
    }
    let types = attrs.blacklisted_message_types.as_deref().unwrap_or_default();
    if types.len() > limits::MESSAGE_TYPES {
        return Err(Rejection::new(ErrorType::MessageTypesTooLong));
    }
    if types.iter().any(|pattern| pattern.len() > limits::MESSAGE_TYPE_BYTES) {
        return Err(Rejection::new(ErrorType::MessageTypeTooLong));
    }
    if let Some(Some(since)) = patch.disclosed_since {
        let now = now / 1_000_000;
        match before.disclosed_since {
            // Nobody opens to newcomers what was said while they were kept out.
            None => attrs.disclosed_since = Some(now),
            Some(before) if (before..=now).contains(&since) => {}
            Some(_) => {
                return Err(Rejection::malformed("disclosed_since can be set to a later time that has come"));
            }
        }
    }
    Ok(attrs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::ConversationRecord;
    use crate::machine::{Answer, Emit};
    use crate::table::{Given, ID, Table, refused};
    use serde_json::{Value, json};

    fn channel(attrs: Value) -> Table<Conversation> {
        let mut table = Table::new();
        table.act("owner", "create_channel", json!({"channel_attrs": attrs}), &[]).unwrap();
        table.act("member", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
        table
    }

    fn change(table: &mut Table<Conversation>, attrs: Value) -> Given<Conversation> {
        table.act("owner", "update_channel", json!({"channel_id": ID, "channel_attrs": attrs}), &[])
    }

    fn say(table: &mut Table<Conversation>, user: &str, more: Value) -> Given<Conversation> {
        let mut header = json!({"channel_id": ID, "message_type": "ninchat.com/text"});
        header.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        table.act(user, "send_message", header, &[r#"{"text":"hi"}"#])
    }

    #[test]
    fn a_rate_is_read_as_it_is_meant_and_nothing_else_is() {
        assert_eq!(Rate::parse("5/20"), Some(Rate { messages: 5, span: 20_000_000 }));
        assert_eq!(Rate::parse("100/86400"), Some(Rate { messages: 100, span: 86_400_000_000 }));
        for text in
            ["", "5", "5/", "/20", "0/20", "5/0", "101/20", "5/86401", "+5/20", "5/20/1", " 5/20", "5.5/20"]
        {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn members_write_so_many_messages_in_so_many_seconds() {
        // The table's clock goes on by a second with each action.
        let mut table = channel(json!({"ratelimit": "3/10"}));
        for _ in 0..3 {
            say(&mut table, "member", json!({})).unwrap();
        }
        let first = table.now - 2_000_000;
        assert_eq!(refused(say(&mut table, "member", json!({}))), Some(ErrorType::SendRateLimited));
        let unstored = say(&mut table, "member", json!({"message_ttl": 1}));
        assert_eq!(refused(unstored), Some(ErrorType::SendRateLimited));
        for _ in 0..4 {
            say(&mut table, "owner", json!({})).unwrap();
        }
        assert_eq!(table.replayed().machine, table.entity.machine);
        table.now = first + 10_000_000 - 1_000_001;
        assert_eq!(refused(say(&mut table, "member", json!({}))), Some(ErrorType::SendRateLimited));
        table.now = first + 10_000_000 - 1_000_000;
        say(&mut table, "member", json!({})).unwrap();
        change(&mut table, json!({"ratelimit": null})).unwrap();
        for _ in 0..4 {
            say(&mut table, "member", json!({})).unwrap();
        }
        assert!(table.entity.machine.pace.is_empty());
    }

    #[test]
    fn what_is_not_stored_counts_too() {
        let mut table = channel(json!({"ratelimit": "2/60"}));
        for _ in 0..2 {
            say(&mut table, "member", json!({"message_ttl": 1})).unwrap();
        }
        assert_eq!(refused(say(&mut table, "member", json!({}))), Some(ErrorType::SendRateLimited));
    }

    #[test]
    fn terms_that_make_no_sense_are_refused() {
        let mut table = channel(json!({}));
        let many: Vec<String> = (0..=limits::MESSAGE_TYPES).map(|number| format!("a/{number}")).collect();
        for (attrs, error) in [
            (json!({"ratelimit": "fast"}), ErrorType::RequestMalformed),
            (json!({"ratelimit": 5}), ErrorType::RequestMalformed),
            (json!({"blacklisted_message_types": many}), ErrorType::MessageTypesTooLong),
            (json!({"blacklisted_message_types": ["x".repeat(129)]}), ErrorType::MessageTypeTooLong),
        ] {
            assert_eq!(refused(change(&mut table, attrs.clone())), Some(error), "{attrs}");
            let header = json!({"channel_attrs": attrs});
            let made = Table::<Conversation>::new().act("owner", "create_channel", header, &[]);
            assert_eq!(refused(made), Some(error), "{attrs}");
        }
    }

    #[test]
    fn a_channel_is_disclosed_from_now_on_and_later_from_later_on_only() {
        let mut table = channel(json!({}));
        change(&mut table, json!({"disclosed_since": 0})).unwrap();
        let now = table.now / 1_000_000;
        assert_eq!(table.entity.machine.attrs.disclosed_since, Some(now));
        for wrong in [json!(now - 1), json!(now + 1000), json!(u64::MAX)] {
            let outcome = change(&mut table, json!({"disclosed_since": wrong}));
            assert_eq!(refused(outcome), Some(ErrorType::RequestMalformed), "{wrong}");
        }
        change(&mut table, json!({"disclosed_since": now + 2})).unwrap();
        assert_eq!(table.entity.machine.attrs.disclosed_since, Some(now + 2));
        change(&mut table, json!({"disclosed_since": null})).unwrap();
        assert_eq!(table.entity.machine.attrs.disclosed_since, None);
    }

    #[test]
    fn who_was_there_before_a_channel_was_disclosed_sees_what_they_saw() {
        let mut table = channel(json!({}));
        change(&mut table, json!({"disclosed_since": 1})).unwrap();
        let disclosed = table.entity.machine.attrs.disclosed_since.unwrap() * 1_000_000;
        table.act("late", "join_channel", json!({"channel_id": ID}), &[]).unwrap();
        let mut range = |user: &str| {
            let step = table.act(user, "load_history", json!({"channel_id": ID}), &[]).unwrap();
            match step.emits.first() {
                Some(Emit::Answer(Answer::History(wanted))) => (wanted.after, wanted.since),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(range("member"), (1, 0), "from the record by which they joined");
        assert_eq!(range("late"), (0, disclosed));
    }

    #[test]
    fn who_has_no_verified_identity_may_be_kept_out() {
        let mut table = channel(json!({}));
        change(&mut table, json!({"verified_join": true})).unwrap();
        table.verified = Some("known");
        let mut join = |user: &str| table.act(user, "join_channel", json!({"channel_id": ID}), &[]);
        assert_eq!(refused(join("unknown")), Some(ErrorType::PermissionDenied));
        assert!(join("known").is_ok());
    }

    #[test]
    fn who_joins_is_silenced_and_hidden_if_the_channel_says_so() {
        let mut table = channel(json!({"autosilence": true, "autohide": true}));
        assert_eq!(
            refused(say(&mut table, "member", json!({}))).map(ErrorType::name),
            Some("permission_denied")
        );
        let release = json!({"channel_id": ID, "user_id": "member", "member_attrs": {"silenced": null}});
        table.act("owner", "update_member", release, &[]).unwrap();
        let step = say(&mut table, "member", json!({})).unwrap();
        let ConversationRecord::Message(message) = &step.records[0].record else { panic!("{step:?}") };
        assert!(message.hidden);
    }
}
