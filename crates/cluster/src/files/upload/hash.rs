//! SHA-256 that goes on elsewhere: its state is a text between two parts.

use crate::files::intake::hex;
use levee_proto::Text;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

/// A hash under way.
#[derive(Clone, Default)]
pub(super) struct Hash(Sha256);

impl Hash {
    /// Goes on from a state; an empty one is the beginning.
    pub(super) fn resume(state: &str) -> Option<Self> {
        if state.is_empty() {
            return Some(Self::default());
        }
        let digit = |at: usize| u8::from_str_radix(state.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..state.len().div_ceil(2)).map(|at| digit(at * 2)).collect();
        let state = SerializedState::<Sha256>::try_from(bytes?.as_slice()).ok()?;
        Sha256::deserialize(&state).ok().map(Self)
    }

    /// Takes in more.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Its state.
    pub(super) fn state(&self) -> Text {
        hex(&self.0.serialize()).into()
    }

    /// The digest of all that was taken in, in hexadecimal digits.
    pub(super) fn finish(self) -> Text {
        hex(&self.0.finalize()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_goes_on_from_its_state_wherever_that_was_taken() {
        let all: Vec<u8> = (0..1000u32).map(|at| (at % 251) as u8).collect();
        let wanted = hex(&Sha256::digest(&all));
        for cut in [0, 1, 63, 64, 65, 999, 1000] {
            let mut first = Hash::default();
            first.update(&all[..cut]);
            let Some(mut second) = Hash::resume(&first.state()) else { panic!("{cut}") };
            second.update(&all[cut..]);
            assert_eq!(second.finish(), wanted, "{cut}");
        }
        let state = Hash::default().state();
        for wrong in ["x", "0", &state[2..], &format!("{state}00"), &"ä".repeat(state.len() / 2)] {
            assert!(Hash::resume(wrong).is_none(), "{wrong}");
        }
    }
}
