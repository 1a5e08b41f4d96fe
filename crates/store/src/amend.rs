//! What an amendment means for a record, and which amendments of a batch may be made at once.

use crate::batch::{Head, MAX_SEQ};
use crate::{Amendment, NewRecord};

impl Amendment {
    /// Changes those that it concerns of a stream's records, which begin with the first.
    pub(crate) fn make(&self, records: &mut [NewRecord]) {
        let at = |seq: u64| usize::try_from(seq).unwrap_or(usize::MAX).min(records.len());
        let (from, to) = (at(self.after), at(self.before.saturating_sub(1)));
        for record in records[from..to.max(from)].iter_mut().filter(|record| self.concerns(record)) {
            record.flags = record.flags & !self.clear_flags | self.set_flags;
            if let Some(body) = &self.body {
                record.body = body.clone();
            }
        }
    }

    fn concerns(&self, record: &NewRecord) -> bool {
        record.flags & self.with_flags == self.with_flags
            && self.author.as_ref().is_none_or(|author| *author == record.author)
    }
}

/// An amendment and the places between which it changes records, exclusive: all of them are there, in the
/// database or in the batch, and none that comes later is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) after: i64,
    pub(crate) before: i64,
    pub(crate) amendment: &'a Amendment,
}

impl Row<'_> {
    /// Whether both may change the same record.
    fn meets(&self, other: &Self) -> bool {
        let apart = match (&self.amendment.author, &other.amendment.author) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        !apart && self.after.max(other.after) + 1 < self.before.min(other.before)
    }
}

/// Amendments in waves: those of one wave have no record in common, so that their order does not matter,
/// and each wave sees what those before it did.
#[derive(Debug, Default)]
pub(crate) struct Amendments<'a> {
    waves: Vec<Vec<Row<'a>>>,
}

impl<'a> Amendments<'a> {
    /// Adds an amendment of a stream that ends at `head` now.
    pub(crate) fn push(&mut self, head: Head, amendment: &'a Amendment) {
        let (after, before) = (amendment.after.min(MAX_SEQ), amendment.before.min(head.seq + 1));
        if before <= after + 1 {
            return;
        }
        let place = |seq: u64| (head.id << 32) + seq as i64;
        let row = Row { after: place(after), before: place(before), amendment };
        let last = self.waves.iter().rposition(|wave| wave.iter().any(|earlier| earlier.meets(&row)));
        let wave = last.map_or(0, |last| last + 1);
        if wave == self.waves.len() {
            self.waves.push(Vec::new());
        }
        self.waves[wave].push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waves.is_empty()
    }

    /// The waves, in their order.
    pub(crate) fn waves(&self) -> impl Iterator<Item = &[Row<'a>]> {
        self.waves.iter().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(after: u64, before: u64, author: &str) -> Amendment {
        let author = Some(author).filter(|author| !author.is_empty()).map(Into::into);
        Amendment { after, before, author, ..Amendment::default() }
    }

    /// How many are in each wave.
    fn waves(all: &[(i64, Amendment)]) -> Vec<usize> {
        let mut amendments = Amendments::default();
        for (id, amendment) in all {
            amendments.push(Head { id: *id, seq: 10 }, amendment);
        }
        amendments.waves().map(<[_]>::len).collect()
    }

    #[test]
    fn only_what_may_change_the_same_record_is_made_one_after_the_other() {
        let all = || between(0, u64::MAX, "");
        assert_eq!(waves(&[(1, all()), (2, all()), (3, all())]), [3]);
        assert_eq!(waves(&[(1, all()), (2, all()), (1, all())]), [2, 1]);
        assert_eq!(waves(&[(1, between(0, 4, "")), (1, between(3, 9, ""))]), [2]);
        assert_eq!(waves(&[(1, between(0, 4, "")), (1, between(2, 9, ""))]), [1, 1]);
        assert_eq!(waves(&[(1, between(0, 9, "a")), (1, between(0, 9, "b"))]), [2]);
        assert_eq!(waves(&[(1, between(0, 9, "a")), (1, between(0, 9, ""))]), [1, 1]);
        // The third meets the second only, which is in the second wave.
        let third = between(6, 9, "");
        assert_eq!(waves(&[(1, between(0, 4, "")), (1, between(2, 9, "")), (1, third)]), [1, 1, 1]);
    }

    #[test]
    fn what_concerns_nothing_is_left_out_and_the_end_of_the_stream_is_kept() {
        for (after, before) in [(0, 0), (0, 1), (3, 4), (4, 3), (10, u64::MAX), (u64::MAX, u64::MAX)] {
            assert_eq!(waves(&[(1, between(after, before, ""))]), [0; 0], "{after} {before}");
        }
        let all = between(0, u64::MAX, "");
        let mut amendments = Amendments::default();
        amendments.push(Head { id: 1, seq: 10 }, &all);
        amendments.push(Head::default(), &all);
        let found: Vec<_> = amendments.waves().flatten().map(|row| (row.after, row.before)).collect();
        assert_eq!(found, [(1 << 32, (1 << 32) + 11)]);
    }
}
