//! Reads: every filter, in both directions, alone and together, compared with a plain filter here.

use bytes::Bytes;

use super::{Subject, checks, hold};
use crate::{Commit, Key, NewRecord, Read, Record};

checks![
    filters_agree_with_a_plain_filter,
    patterns_match_prefixes_literally,
    bounds_are_exclusive_and_may_be_odd
];

/// `messagf` is the next after all that start with `message`.
const KINDS: [&str; 8] =
    ["message", "message.text", "message_text", "messages", "messagf", "join", "", "метка"];
const AUTHORS: [&str; 3] = ["", "ann", "Ann"];

async fn filled(store: &Subject) -> Vec<Record> {
    let held = hold(store, "n1", 3).await;
    let records: Vec<NewRecord> = (0..60_u32)
        .map(|at| NewRecord {
            time: u64::from(at),
            kind: KINDS[at as usize % KINDS.len()].into(),
            author: AUTHORS[at as usize % AUTHORS.len()].into(),
            flags: at % 8,
            body: Bytes::from(at.to_string()),
        })
        .collect();
    // Neighbours on both sides, so that a range which is too wide shows.
    for stream in ["r", "s", "t"] {
        store.commit(Commit { records: records.clone(), ..held.commit(stream) }).await.expect("commit");
    }
    (1..).zip(records).map(|(seq, record)| Record { seq, record }).collect()
}

fn plain(all: &[Record], query: &Read) -> Vec<Record> {
    let kind = |kind: &str| {
        query.kinds.is_empty()
            || query.kinds.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(prefix) => kind.starts_with(prefix),
                None => kind == wanted,
            })
    };
    let mut found: Vec<Record> = all
        .iter()
        .filter(|found| found.seq > query.after && found.seq < query.before && kind(&found.record.kind))
        .filter(|found| found.record.flags & query.with_flags == query.with_flags)
        .filter(|found| found.record.flags & query.without_flags == 0)
        .filter(|found| query.author.as_ref().is_none_or(|author| *author == found.record.author))
        .cloned()
        .collect();
    if query.descending {
        found.reverse();
    }
    found.truncate(query.limit);
    found
}

async fn filters_agree_with_a_plain_filter(store: Subject) {
    let all = filled(&store).await;
    let kinds: [&[&str]; 5] = [&[], &["message"], &["message*"], &["join", "message.*"], &["absent", "*"]];
    let mut seen = 0;
    for kinds in kinds {
        for author in [None, Some("ann")] {
            for (with_flags, without_flags) in [(0, 0), (1, 0), (0, 6), (5, 2), (1, 1)] {
                for (after, before) in [(0, u64::MAX), (10, 41), (59, 61)] {
                    for (descending, limit) in [(false, 3), (true, 3), (false, 1_000), (true, usize::MAX)] {
                        let query = Read {
                            stream: "s".into(),
                            kinds: kinds.iter().map(|kind| Key::from(*kind)).collect(),
                            author: author.map(Key::from),
                            with_flags,
                            without_flags,
                            after,
                            before,
                            descending,
                            limit,
                        };
                        let found = store.read(query.clone()).await.expect("read");
                        assert_eq!(found, plain(&all, &query), "{query:?}");
                        seen += found.len();
                    }
                }
            }
        }
    }
    assert!(seen > 1_000, "the filters were hardly tried");
}

async fn patterns_match_prefixes_literally(store: Subject) {
    let all = filled(&store).await;
    for pattern in
        ["message*", "message_*", "message.*", "m*", "*", "", "messag", "%", "m%*", "мет*", "MESSAGE*", "**"]
    {
        let query = Read { kinds: vec![pattern.into()], ..Read::after("s", 0, 1_000) };
        let found = store.read(query.clone()).await.expect("read");
        assert_eq!(found, plain(&all, &query), "{pattern}");
    }
}

async fn bounds_are_exclusive_and_may_be_odd(store: Subject) {
    let all = filled(&store).await;
    for after in [0, 1, 59, 60, 61, u64::from(u32::MAX), u64::MAX] {
        for before in [0, 1, 2, 60, 61, 62, u64::from(u32::MAX) + 1, u64::MAX] {
            for (descending, limit) in [(false, 0), (false, 1), (true, 1), (true, 100)] {
                let query = Read { before, descending, ..Read::after("s", after, limit) };
                let found = store.read(query.clone()).await.expect("read");
                assert_eq!(found, plain(&all, &query), "{query:?}");
            }
        }
    }
}
