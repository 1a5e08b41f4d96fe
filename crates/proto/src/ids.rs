//! Identifiers: two base-32 characters that name the shard, then a digest or random characters.
//!
//! An id is derived from what caused it, so that a retry through another node makes the same id.
//!
//! The id of a part, such as a realm's tag, is its owner's id with a digest after it: who has nothing but
//! the part's id finds the owner's stream by it, on any node and without looking anything up.

use crate::types::Id;
use sha2::{Digest, Sha256};

/// How many shards the first two characters can name.
pub const SHARDS: u16 = 1024;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// What is no digit.
const NONE: u8 = u8::MAX;
/// The value of each byte as a digit: ids are looked at several times for every message.
static DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        digits[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    digits
};

/// The id for what `cause` names, in `shard`: 80 bits of a digest.
pub fn derive(shard: u16, cause: &[&str]) -> Id {
    let mut hash = Sha256::new();
    for part in cause {
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part.as_bytes());
    }
    from_bytes(shard, &hash.finalize()[..10])
}

/// How many characters a part's id has after its owner's: 80 bits of a digest.
const PART: usize = 16;

/// The id of a part of `owner` for what `cause` names.
pub fn part(owner: &str, cause: &[&str]) -> Id {
    let digest = derive(0, cause);
    Id::from(owner) + &digest[digest.len() - PART..]
}

/// The owner in the id of a part; `None` if it can't be one of ours.
pub fn owner(part: &str) -> Option<Id> {
    shard(part)?;
    let owner = &part[..part.len().checked_sub(PART)?];
    shard(owner).map(|_| owner.into())
}

/// An id or a secret from random bytes, in `shard`. 17 bytes make more than 128 bits.
pub fn from_bytes(shard: u16, bytes: &[u8]) -> Id {
    let mut id = Id::with_capacity(2 + (bytes.len() * 8).div_ceil(5));
    id.push(char::from(ALPHABET[usize::from(shard >> 5 & 31)]));
    id.push(char::from(ALPHABET[usize::from(shard & 31)]));
    push_base32(&mut id, bytes);
    id
}

/// What a session's further secrets are made of: a digest of the session's own secret, which is kept nowhere.
pub fn seed(session_id: &str) -> [u8; 16] {
    let digest = Sha256::new().chain_update(b"seed/").chain_update(session_id.as_bytes()).finalize();
    let mut seed = [0; 16];
    seed.copy_from_slice(&digest[..16]);
    seed
}

/// The secret that a session makes for one of its actions: the same for a retry.
pub fn secret(shard: u16, seed: &[u8; 16], action_id: u64) -> Id {
    let digest = Sha256::new().chain_update(seed).chain_update(action_id.to_be_bytes()).finalize();
    from_bytes(shard, &digest[..17])
}

/// The name under which a secret is kept: its SHA-256, 120 bits of it, which fit into an id without
/// memory of its own. There is one in every action and every follower.
pub fn digest(secret: &str) -> Id {
    let mut id = Id::default();
    push_base32(&mut id, &Sha256::digest(secret.as_bytes())[..15]);
    id
}

fn push_base32(out: &mut Id, bytes: &[u8]) {
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            out.push(char::from(ALPHABET[(bits >> held & 31) as usize]));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        out.push(char::from(ALPHABET[(bits << (5 - held) & 31) as usize]));
    }
}

/// The shard that an id names; `None` if it can't be one of our ids.
pub fn shard(id: &str) -> Option<u16> {
    let bytes = id.as_bytes();
    if !(4..=64).contains(&bytes.len()) || bytes.iter().any(|b| DIGITS[usize::from(*b)] == NONE) {
        return None;
    }
    let digit = |at: usize| u16::from(DIGITS[usize::from(bytes[at])]);
    Some(digit(0) << 5 | digit(1))
}

/// The id of the dialogue of two users, whoever asks first.
pub fn dialogue(a: &str, b: &str) -> Id {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let spread = Sha256::digest([low.as_bytes(), b"/", high.as_bytes()].concat());
    derive(u16::from_be_bytes([spread[0], spread[1]]) % SHARDS, &["dialogue", low, high])
}

/// A message's id: its sequence in the conversation, of fixed width so that text order is time order.
pub fn message(seq: u64) -> Id {
    compact_str::format_compact!("{seq:013}")
}

/// The id of a message that is not stored: after the stored one that it follows.
pub fn unstored_message(seq: u64, count: u64) -> Id {
    compact_str::format_compact!("{seq:013}.{count:06}")
}

/// The sequence in a message id; `None` if it can't be one of ours.
pub fn message_seq(id: &str) -> Option<u64> {
    let digits = id.split('.').next()?;
    (digits.len() == 13 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_shard() {
        for number in [0, 1, 31, 32, 1023] {
            assert_eq!(shard(&derive(number, &["x"])), Some(number));
            assert_eq!(shard(&from_bytes(number, &[7; 17])), Some(number));
        }
    }

    #[test]
    fn the_same_cause_makes_the_same_id_and_another_cause_another() {
        assert_eq!(derive(5, &["a", "bc"]), derive(5, &["a", "bc"]));
        assert_ne!(derive(5, &["a", "bc"]), derive(5, &["ab", "c"]));
        assert_eq!(derive(5, &["a"]).len(), 18);
        assert_eq!(from_bytes(5, &[1; 17]).len(), 30);
    }

    #[test]
    fn the_id_of_a_part_begins_with_its_owners() {
        let owner = derive(5, &["realm"]);
        let tag = part(&owner, &["tag", "a"]);
        assert_eq!((self::owner(&tag), shard(&tag)), (Some(owner.clone()), Some(5)));
        assert_eq!(tag, part(&owner, &["tag", "a"]));
        assert_ne!(tag, part(&owner, &["tag", "b"]));
        for text in [
            "",
            "ab",
            &owner,
            &owner[2..],
            "UPPER-and-longer-than-sixteen",
            &"z".repeat(65),
            "ä".repeat(20).as_str(),
        ] {
            assert_eq!(self::owner(text), None, "{text}");
        }
    }

    #[test]
    fn a_dialogue_is_the_same_from_both_sides() {
        assert_eq!(dialogue("aa11", "bb22"), dialogue("bb22", "aa11"));
    }

    #[test]
    fn what_is_not_an_id_has_no_shard() {
        for text in ["", "ab", "UPPERCASE", "with space", "ilou", &"a".repeat(65), "../../etc/passwd"] {
            assert_eq!(shard(text), None, "{text}");
        }
    }

    #[test]
    fn a_sessions_secrets_are_the_same_for_a_retry_and_tell_nothing_of_it() {
        let seed = seed("00session");
        assert_eq!(secret(5, &seed, 7), secret(5, &self::seed("00session"), 7));
        assert_ne!(secret(5, &seed, 7), secret(5, &seed, 8));
        assert_ne!(secret(5, &seed, 7), secret(5, &self::seed("00other"), 7));
        assert_eq!((shard(&secret(5, &seed, 7)), secret(5, &seed, 7).len()), (Some(5), 30));
    }

    #[test]
    fn message_ids_sort_as_their_sequences() {
        assert!(message(9) < message(10));
        assert!(message(10) < unstored_message(10, 1) && unstored_message(10, 1) < message(11));
        assert_eq!(message_seq(&message(77)), Some(77));
        assert_eq!(message_seq(&unstored_message(77, 3)), Some(77));
        assert_eq!(message_seq("77"), None);
        assert_eq!(message_seq("-000000000077"), None);
    }
}
