//! Finding users and channels by the beginning of their names.
//!
//! A realm knows its members. Channels are found by rows of the directory, which their own commits write: those
//! that are private, have no name, or are an audience's have none.

use crate::past::{Range, Rows, Wanted};
use bytes::Bytes;
use levee_proto::attrs::{ChannelAttrs, UserAttrs};
use levee_proto::{Id, Object, Rejection, Text, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The namespace of channels in the directory, by their names.
pub const CHANNELS: &str = "channel";
/// How many users, and how many channels, are found at most in one realm.
pub const FOUND: usize = 50;
/// How many characters of a name are looked at.
const LOOKED_AT: usize = 64;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// How names begin, as [`fold`] makes it.
    pub term: Text,
    /// Whether users are.
    pub users: bool,
    /// Whether channels are.
    pub channels: bool,
}

impl Search {
    /// What somebody wants to find.
    ///
    /// # Errors
    /// `request_malformed` for a term that is empty or too long.
    pub fn new(term: &str, users: bool, channels: bool) -> Result<Self, Rejection> {
        let folded = fold(term);
        if folded.is_empty() || term.len() > limits::NAME_BYTES {
            return Err(Rejection::malformed("search_term is the beginning of a name"));
        }
        Ok(Self { term: folded, users, channels })
    }

    /// How well a name fits: how much of it the term is, 1 for all. `None` if it begins otherwise.
    pub fn weight(&self, name: &str) -> Option<f64> {
        let name = fold(name);
        let fits = name.starts_with(self.term.as_str());
        fits.then(|| self.term.chars().count() as f64 / name.chars().count() as f64)
    }

    /// A user as `search_results` shows them, if they are looked for.
    pub fn user(&self, card: &UserAttrs) -> Option<Value> {
        let names = [&card.name, &card.realname].into_iter().flatten();
        let weight = names.filter_map(|name| self.weight(name)).reduce(f64::max)?;
        // Who has a connection is not known here.
        let attrs = UserAttrs { connected: None, ..card.clone() };
        Some(json!({"user_attrs": attrs, "weight": weight}))
    }

    /// The rows of channels that may be meant, in a realm or in none.
    pub fn wanted(&self, realm: Option<&Id>) -> Wanted {
        let prefix = key(realm, &self.term);
        Wanted::Rows(Rows {
            namespace: CHANNELS,
            ranges: vec![Range { prefix, after: Id::default(), limit: FOUND }],
        })
    }

    /// A channel as `search_results` shows it, with its id.
    pub fn channel(&self, row: &[u8]) -> Option<(String, Value)> {
        let listed: Listed = serde_json::from_slice(row).ok()?;
        let weight = self.weight(listed.attrs.name.as_deref()?)?;
        let mut shown = json!({"channel_attrs": listed.attrs, "weight": weight});
        if let Some(realm) = listed.realm {
            shown["realm_id"] = json!(realm);
        }
        Some((listed.channel.to_string(), shown))
    }
}

/// A name as names are compared: without surrounding space, in small letters, and no more of it than is looked at.
pub fn fold(name: &str) -> Text {
    name.trim().chars().flat_map(char::to_lowercase).take(LOOKED_AT).collect()
}

fn key(realm: Option<&Id>, folded: &str) -> Id {
    compact_str::format_compact!("{}/{folded}", realm.map_or("-", |id| id.as_str()))
}

/// A channel, as its row keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Listed {
    channel: Id,
    realm: Option<Id>,
    attrs: ChannelAttrs,
}

/// The row of a channel: its key and its value. `None` if nobody is to find it.
pub(crate) fn row(channel: &Id, realm: Option<&Id>, attrs: &ChannelAttrs) -> Option<(Id, Bytes)> {
    if attrs.private.is_some() || attrs.audience_id.is_some() {
        return None;
    }
    let folded = fold(attrs.name.as_deref()?);
    if folded.is_empty() {
        return None;
    }
    // Long attributes stay with the channel: many rows make one answer.
    let topic = attrs.topic.clone().filter(|topic| topic.len() <= limits::NAME_BYTES);
    let shown = ChannelAttrs {
        name: attrs.name.clone(),
        topic,
        closed: attrs.closed,
        suspended: attrs.suspended,
        public: attrs.public,
        followable: attrs.followable,
        disclosed_since: attrs.disclosed_since,
        verified_join: attrs.verified_join,
        owner_id: attrs.owner_id.clone(),
        ..ChannelAttrs::default()
    };
    let listed = Listed { channel: channel.clone(), realm: realm.cloned(), attrs: shown };
    let value = serde_json::to_vec(&listed).ok()?;
    Some((compact_str::format_compact!("{}/{channel}", key(realm, &folded)), value.into()))
}

/// What was found, as it travels within the cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Users by their ids.
    pub users: Object,
    /// Channels by their ids.
    pub channels: Object,
}

#[cfg(test)]
mod tests {
    use super::*;
    use levee_proto::ErrorType;

    #[test]
    fn names_are_found_by_their_beginning_whatever_the_case() {
        let search = Search::new(" ÄPf", true, true).unwrap();
        assert_eq!(search.weight("Äpfel"), Some(0.6));
        assert_eq!(search.weight("  äpf "), Some(1.0));
        assert_eq!((search.weight("Rote Äpfel"), search.weight("Ä"), search.weight("")), (None, None, None));
        for term in ["", "   ", &"x".repeat(513)] {
            let refused = Search::new(term, true, true).err().map(|refusal| refusal.error_type);
            assert_eq!(refused, Some(ErrorType::RequestMalformed), "{term:.9}");
        }
    }

    #[test]
    fn a_name_that_is_longer_than_what_is_looked_at_is_found_by_its_beginning() {
        let long = "x".repeat(200);
        assert_eq!(Search::new(&long, true, true).unwrap().weight(&"X".repeat(300)), Some(1.0));
        let attrs = ChannelAttrs { name: Some(long.into()), ..ChannelAttrs::default() };
        let (key, _) = row(&"00c".into(), None, &attrs).unwrap();
        assert_eq!(key.len(), 2 + LOOKED_AT + 1 + 3);
    }
}
