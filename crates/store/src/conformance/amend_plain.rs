//! Amendments by chance, several commits at once, compared with a plain change here.

use bytes::Bytes;
use futures_util::future::join_all;

use super::amend::{AUTHORS, all, records};
use super::{Subject, checks, hold};
use crate::{Amendment, Commit, NewRecord};

checks![amendments_agree_with_a_plain_change];

/// Numbers that look like chance and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn amendment(&mut self) -> Amendment {
        let after = self.below(40);
        Amendment {
            after,
            before: after + self.below(30),
            with_flags: [0, 0, 1, 4, 6][self.below(5) as usize],
            author: AUTHORS.get(self.below(6) as usize).map(|author| (*author).into()),
            set_flags: self.below(8) as u32,
            clear_flags: self.below(8) as u32,
            body: (self.below(2) == 0).then(|| Bytes::from(self.below(1_000).to_string())),
        }
    }
}

async fn amendments_agree_with_a_plain_change(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let mut numbers = Numbers(7);
    let mut plain = vec![Vec::<NewRecord>::new(); 3];
    for round in 0..12 {
        // All of them wait at once, and a store may put them into one transaction.
        let mut commits = Vec::new();
        for _ in 0..12 {
            let stream = numbers.below(3) as usize;
            let amend: Vec<Amendment> = (0..numbers.below(4)).map(|_| numbers.amendment()).collect();
            for (at, record) in plain[stream].iter_mut().enumerate() {
                let seq = at as u64 + 1;
                for change in amend.iter().filter(|change| seq > change.after && seq < change.before) {
                    let author = change.author.as_ref().is_none_or(|author| *author == record.author);
                    if author && record.flags & change.with_flags == change.with_flags {
                        record.flags = record.flags & !change.clear_flags | change.set_flags;
                        record.body = change.body.clone().unwrap_or(record.body.clone());
                    }
                }
            }
            let records = records(numbers.below(3) as u32);
            let after = plain[stream].len() as u64;
            plain[stream].extend(records.iter().cloned());
            commits.push(Commit { after, records, amend, ..held.commit(&format!("s{stream}")) });
        }
        let results = join_all(commits.into_iter().map(|commit| store.commit(commit))).await;
        assert!(results.iter().all(Result::is_ok), "{round}: {results:?}");
        for (stream, plain) in plain.iter().enumerate() {
            let found = all(&store, &format!("s{stream}")).await;
            let found: Vec<NewRecord> = found.into_iter().map(|found| found.record).collect();
            assert_eq!(&found, plain, "round {round}, stream {stream}");
        }
    }
    assert!(plain.iter().all(|records| records.len() > 20), "amendments hardly had anything to change");
}
