//! Mails that must go out: what they say, and how many there may be.

use levee_proto::{ErrorType, Id, Rejection, Text, limits};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The time in which mails are counted, in microseconds.
const HOUR: u64 = 3_600 * 1_000_000;

/// A mail, as it waits to go out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// The receiver's address.
    pub to: Text,
    /// What it says.
    pub says: Says,
}

/// What a mail says. Its key is a secret: it is kept here until the mail has gone out, and nowhere else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// Is this address yours?
    Verify {
        /// The access key.
        key: Id,
    },
    /// Choose a new password.
    Reset {
        /// The access key.
        key: Id,
    },
    /// Somebody invites you to a channel.
    Invite {
        /// The access key.
        key: Id,
        /// What the one who invites is called.
        by: Option<Text>,
        /// What the channel is called.
        channel: Option<Text>,
        /// What the channel's realm is called.
        realm: Option<Text>,
    },
}

/// The mails that one user has caused within the last hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mailed(VecDeque<(u64, Text)>);

impl Mailed {
    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses one more mail if there were too many.
    ///
    /// # Errors
    /// `send_rate_limited`.
    pub fn allow(&self, to: &str, now: u64) -> Result<(), Rejection> {
        let lately = || self.0.iter().filter(|(time, _)| time + HOUR > now);
        let to_one = lately().filter(|(_, address)| address == to).count();
        if to_one >= limits::MAILS_TO_ONE || lately().count() >= limits::MAILS {
            return Err(Rejection::new(ErrorType::SendRateLimited).because("too many mails within an hour"));
        }
        Ok(())
    }

    /// Notes a mail.
    pub fn note(&mut self, to: Text, time: u64) {
        self.0.retain(|(then, _)| then + HOUR > time);
        self.0.push_back((time, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_counted_per_address_and_in_all_within_an_hour() {
        let mut mailed = Mailed::default();
        for time in 0..limits::MAILS_TO_ONE as u64 {
            assert!(mailed.allow("a@b.c", time).is_ok());
            mailed.note("a@b.c".into(), time);
        }
        assert!(mailed.allow("a@b.c", 10).is_err());
        assert!(mailed.allow("d@b.c", 10).is_ok());
        assert!(mailed.allow("a@b.c", HOUR).is_ok(), "the first is an hour ago");
        for number in limits::MAILS_TO_ONE..limits::MAILS {
            mailed.note(format!("{number}@b.c").into(), 10);
        }
        assert!(mailed.allow("d@b.c", 10).is_err());
        mailed.note("d@b.c".into(), HOUR + 11);
        assert_eq!(mailed.0.len(), 1, "old ones are forgotten");
    }
}
