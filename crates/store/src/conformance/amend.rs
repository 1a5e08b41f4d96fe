//! Amendments: exactly the records that they name, for every reader, and only with the rest of their commit.

use bytes::Bytes;
use futures_util::future::join_all;

use super::{Held, Subject, checks, hold, record};
use crate::{Amendment, Commit, DirectoryChange, Expect, NewRecord, Read, Record, Snapshot, StoreError};

checks![
    flags_are_set_and_cleared,
    a_bit_that_is_set_and_cleared_is_set,
    bounds_of_amendments_are_exclusive_and_may_be_odd,
    only_records_of_the_author_are_amended,
    only_records_with_all_of_the_flags_are_amended,
    a_body_is_replaced_for_every_reader,
    reads_by_flags_see_the_new_ones,
    nothing_else_of_a_record_changes,
    amendments_are_made_one_after_the_other,
    own_records_are_never_amended,
    another_streams_records_are_never_amended,
    a_commit_that_fails_amends_nothing,
    failing_neighbours_keep_nobody_from_amending,
    amendments_alone_are_a_commit,
    an_unknown_stream_has_nothing_to_amend,
    a_position_moves_with_a_commit_that_amends_and_appends,
    snapshots_stay_as_they_are,
    many_amendments_fit_one_commit,
];

const ALL: Amendment = Amendment {
    after: 0,
    before: u64::MAX,
    with_flags: 0,
    author: None,
    set_flags: 0,
    clear_flags: 0,
    body: None,
};
pub(super) const AUTHORS: [&str; 3] = ["", "ann", "Ann"];

fn body(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

/// Records with the flags 0, 1, 2, …, by the authors in turn.
pub(super) fn records(count: u32) -> Vec<NewRecord> {
    let author = |at: u32| AUTHORS[at as usize % AUTHORS.len()].into();
    (0..count).map(|at| NewRecord { author: author(at), flags: at, ..record(&at.to_string()) }).collect()
}

/// A stream `s` of eight records, with neighbours on both sides.
async fn filled(store: &Subject) -> Held {
    let held = hold(store, "n1", 3).await;
    for stream in ["r", "s", "t"] {
        store.commit(Commit { records: records(8), ..held.commit(stream) }).await.expect("commit");
    }
    held
}

async fn amend(store: &Subject, held: Held, amend: Vec<Amendment>) {
    store.commit(Commit { amend, ..held.commit("s") }).await.expect("amend");
}

pub(super) async fn all(store: &Subject, stream: &str) -> Vec<Record> {
    store.read(Read::after(stream, 0, 10_000)).await.expect("read")
}

async fn flags(store: &Subject, stream: &str) -> Vec<u32> {
    all(store, stream).await.iter().map(|found| found.record.flags).collect()
}

async fn flags_are_set_and_cleared(store: Subject) {
    let held = filled(&store).await;
    amend(&store, held, vec![Amendment { set_flags: 1 << 31, clear_flags: 5, ..ALL }]).await;
    let expected: Vec<u32> = (0..8).map(|flags| flags & 2 | 1 << 31).collect();
    assert_eq!(flags(&store, "s").await, expected);
    amend(&store, held, vec![Amendment { clear_flags: u32::MAX, ..ALL }]).await;
    assert_eq!(flags(&store, "s").await, [0; 8]);
    amend(&store, held, vec![Amendment { set_flags: u32::MAX, ..ALL }]).await;
    assert_eq!(flags(&store, "s").await, [u32::MAX; 8]);
}

async fn a_bit_that_is_set_and_cleared_is_set(store: Subject) {
    let held = filled(&store).await;
    amend(&store, held, vec![Amendment { set_flags: 1, clear_flags: 3, ..ALL }]).await;
    assert_eq!(flags(&store, "s").await, [1, 1, 1, 1, 5, 5, 5, 5]);
}

async fn bounds_of_amendments_are_exclusive_and_may_be_odd(store: Subject) {
    let held = filled(&store).await;
    for after in [0, 1, 4, 7, 8, 9, u64::from(u32::MAX), u64::MAX] {
        for before in [0, 1, 2, 5, 6, 8, 9, u64::from(u32::MAX) + 1, u64::MAX] {
            let range = Amendment { after, before, set_flags: 64, ..ALL };
            amend(&store, held, vec![Amendment { clear_flags: 64, ..ALL }, range]).await;
            let inside = |seq: u64| seq > after && seq < before;
            let expected: Vec<u32> = (1..9).map(|seq| seq as u32 - 1 + u32::from(inside(seq)) * 64).collect();
            assert_eq!(flags(&store, "s").await, expected, "{after} {before}");
        }
    }
}

async fn only_records_of_the_author_are_amended(store: Subject) {
    let held = filled(&store).await;
    for (author, expected) in [
        ("ann", [0, 65, 2, 3, 68, 5, 6, 71]),
        ("", [64, 65, 2, 67, 68, 5, 70, 71]),
        ("nobody", [64, 65, 2, 67, 68, 5, 70, 71]),
    ] {
        amend(&store, held, vec![Amendment { author: Some(author.into()), set_flags: 64, ..ALL }]).await;
        assert_eq!(flags(&store, "s").await, expected, "{author:?}");
    }
}

async fn only_records_with_all_of_the_flags_are_amended(store: Subject) {
    let held = filled(&store).await;
    amend(&store, held, vec![Amendment { with_flags: 5, set_flags: 64, ..ALL }]).await;
    assert_eq!(flags(&store, "s").await, [0, 1, 2, 3, 4, 69, 6, 71]);
    let of_ann = Amendment { with_flags: 64, author: Some("ann".into()), after: 1, before: 9, ..ALL };
    amend(&store, held, vec![Amendment { clear_flags: 64, ..of_ann }]).await;
    assert_eq!(flags(&store, "s").await, [0, 1, 2, 3, 4, 69, 6, 7]);
}

async fn a_body_is_replaced_for_every_reader(store: Subject) {
    let held = filled(&store).await;
    // Whatever remembers records has them now.
    assert_eq!(all(&store, "s").await[3].record.body, "3");
    let one = Amendment { after: 3, before: 5, body: body("gone"), ..ALL };
    let empty = Amendment { after: 6, before: 8, body: body(""), ..ALL };
    amend(&store, held, vec![one, empty]).await;
    let bodies: Vec<Bytes> = all(&store, "s").await.into_iter().map(|found| found.record.body).collect();
    assert_eq!(bodies, ["0", "1", "2", "gone", "4", "5", "", "7"]);
    let newest = Read { descending: true, ..Read::after("s", 0, 5) };
    assert_eq!(store.read(newest).await.expect("read")[4].record.body, "gone");
    let alone = store.read(Read::after("s", 3, 1)).await.expect("read");
    assert_eq!((alone[0].seq, &alone[0].record.body[..]), (4, &b"gone"[..]));
    assert_eq!(flags(&store, "s").await, [0, 1, 2, 3, 4, 5, 6, 7]);
}

async fn reads_by_flags_see_the_new_ones(store: Subject) {
    let held = filled(&store).await;
    amend(&store, held, vec![Amendment { after: 2, before: 6, set_flags: 64, clear_flags: 1, ..ALL }]).await;
    for (with_flags, without_flags, expected) in [
        (64, 0, vec![3, 4, 5]),
        (0, 64, vec![1, 2, 6, 7, 8]),
        (1, 0, vec![2, 6, 8]),
        (2, 65, vec![7]),
        (66, 0, vec![3, 4]),
    ] {
        let query = Read { with_flags, without_flags, ..Read::after("s", 0, 100) };
        let found = store.read(query).await.expect("read");
        let found: Vec<u64> = found.iter().map(|found| found.seq).collect();
        assert_eq!(found, expected, "with {with_flags}, without {without_flags}");
    }
}

async fn nothing_else_of_a_record_changes(store: Subject) {
    let held = filled(&store).await;
    let mut expected = all(&store, "s").await;
    amend(&store, held, vec![Amendment { set_flags: 64, body: body("new"), ..ALL }]).await;
    for found in &mut expected {
        found.record.flags |= 64;
        found.record.body = Bytes::from_static(b"new");
    }
    assert_eq!(all(&store, "s").await, expected);
    assert_eq!(store.head("s").await.expect("head"), 8);
}

async fn amendments_are_made_one_after_the_other(store: Subject) {
    let held = filled(&store).await;
    let marked = |with_flags, text| Amendment { with_flags, body: body(text), ..ALL };
    let amendments = vec![
        Amendment { after: 1, before: 4, set_flags: 64, ..ALL },
        marked(64, "marked"),
        Amendment { after: 2, before: 6, set_flags: 128, clear_flags: 64, ..ALL },
        marked(64, "still"),
        marked(128, "other"),
    ];
    amend(&store, held, amendments).await;
    let bodies: Vec<Bytes> = all(&store, "s").await.into_iter().map(|found| found.record.body).collect();
    assert_eq!(bodies, ["0", "still", "other", "other", "other", "5", "6", "7"]);
    assert_eq!(flags(&store, "s").await, [0, 65, 130, 131, 132, 5, 6, 7]);
}

async fn own_records_are_never_amended(store: Subject) {
    let held = filled(&store).await;
    let change = vec![Amendment { set_flags: 64, body: body("gone"), ..ALL }];
    let first = Commit { amend: change.clone(), ..held.append("new", 0, &["a"]) };
    // Both in one batch, if the store makes batches: the second amends the first one's record.
    let second = Commit { amend: change.clone(), ..held.append("new", 1, &["b", "c"]) };
    let beside = Commit { amend: change, ..held.append("s", 8, &["d"]) };
    let results = join_all([first, second, beside].map(|commit| store.commit(commit))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(super::bodies(&store, "new").await, ["gone", "b", "c"]);
    assert_eq!(flags(&store, "new").await, [64, 0, 0]);
    let last = all(&store, "s").await.pop().expect("the new record");
    assert_eq!((last.seq, last.record), (9, record("d")));
}

async fn another_streams_records_are_never_amended(store: Subject) {
    let held = filled(&store).await;
    let before = (all(&store, "r").await, all(&store, "t").await);
    amend(&store, held, vec![Amendment { set_flags: 64, body: body("gone"), ..ALL }]).await;
    assert_eq!((all(&store, "r").await, all(&store, "t").await), before);
}

/// What an amended commit needs to fail in its last part.
fn claim(expect: Expect) -> DirectoryChange {
    DirectoryChange { namespace: "names".into(), key: "claimed".into(), expect, value: body("new") }
}

async fn a_commit_that_fails_amends_nothing(store: Subject) {
    let held = filled(&store).await;
    let before = all(&store, "s").await;
    let change = vec![Amendment { set_flags: 64, body: body("gone"), ..ALL }];
    let stale = Held { epoch: held.epoch + 1, ..held };
    for commit in [stale.append("s", 8, &["x"]), stale.commit("s"), Held { epoch: 0, ..held }.commit("s")] {
        let result = store.commit(Commit { amend: change.clone(), ..commit }).await;
        assert!(matches!(result, Err(StoreError::Fenced { .. })), "{result:?}");
    }
    for after in [0, 7, 9] {
        let result = store.commit(Commit { amend: change.clone(), ..held.append("s", after, &["x"]) }).await;
        assert!(matches!(result, Err(StoreError::Conflict { head: 8, .. })), "{result:?}");
    }
    for commit in [held.append("s", 8, &["x"]), held.commit("s")] {
        let taken = Commit { amend: change.clone(), directory: vec![claim(Expect::Version(7))], ..commit };
        let result = store.commit(taken).await;
        assert!(matches!(result, Err(StoreError::Taken { .. })), "{result:?}");
    }
    assert_eq!(all(&store, "s").await, before);
}

async fn failing_neighbours_keep_nobody_from_amending(store: Subject) {
    let held = filled(&store).await;
    let mut commits = Vec::new();
    for at in 0..40u32 {
        let (after, before) = (u64::from(at / 5), u64::from(at / 5) + 2);
        let gone = Amendment { after, before, set_flags: 1 << 20, body: body("gone"), ..ALL };
        let wrong = vec![Amendment { set_flags: 1 << 21, ..ALL }];
        let fails = |commit: Commit| Commit { amend: wrong.clone(), ..commit };
        commits.push(match at % 5 {
            0 => fails(held.append("s", 3, &["x"])),
            1 => fails(Held { epoch: held.epoch + 1, ..held }.append("s", 8, &["x"])),
            2 => fails(Commit { directory: vec![claim(Expect::Version(7))], ..held.commit("s") }),
            3 => Commit { amend: vec![gone], ..held.append("other", u64::from(at / 5), &["x"]) },
            _ => Commit { amend: vec![gone], ..held.commit("s") },
        });
    }
    let results = join_all(commits.into_iter().map(|commit| store.commit(commit))).await;
    for (at, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), at % 5 > 2, "{at}: {result:?}");
    }
    let found = all(&store, "s").await;
    assert_eq!(found.len(), 8);
    for found in found {
        assert_eq!((found.record.flags >> 20, &found.record.body[..]), (1, &b"gone"[..]), "{}", found.seq);
    }
    // Each of these meant the record that it appended itself.
    assert_eq!(super::bodies(&store, "other").await, ["x"; 8]);
}

async fn amendments_alone_are_a_commit(store: Subject) {
    let held = filled(&store).await;
    let change = Amendment { after: 1, before: 3, body: body("new"), ..ALL };
    let alone = Commit { after: 77, amend: vec![change], ..held.commit("s") };
    store.commit(alone).await.expect("`after` is not looked at");
    assert_eq!(all(&store, "s").await[1].record.body, "new");
    assert_eq!(store.head("s").await.expect("head"), 8);
    store.commit(held.append("s", 8, &["i"])).await.expect("the stream goes on");
}

async fn an_unknown_stream_has_nothing_to_amend(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let amend = vec![Amendment { set_flags: 1, body: body("x"), ..ALL }];
    store.commit(Commit { amend, ..held.commit("new") }).await.expect("commit");
    assert_eq!(store.head("new").await.expect("head"), 0);
    store.commit(held.append("new", 0, &["a"])).await.expect("the stream begins");
    assert_eq!(all(&store, "new").await, [Record { seq: 1, record: record("a") }]);
}

async fn a_position_moves_with_a_commit_that_amends_and_appends(store: Subject) {
    let held = filled(&store).await;
    let before = store.positions().await.expect("positions");
    let amend = vec![Amendment { set_flags: 64, ..ALL }];
    store.commit(Commit { amend, ..held.append("s", 8, &["i"]) }).await.expect("commit");
    let now = store.positions().await.expect("positions");
    let changed: Vec<usize> = (0..1024).filter(|shard| now[*shard] != before[*shard]).collect();
    assert_eq!(changed, [3]);
}

async fn snapshots_stay_as_they_are(store: Subject) {
    let held = filled(&store).await;
    let state = Snapshot { seq: 8, body: Bytes::from_static(b"state") };
    store.save("s", state.clone()).await.expect("save");
    let change = vec![Amendment { set_flags: 64, body: body("gone"), ..ALL }];
    amend(&store, held, change.clone()).await;
    assert_eq!(store.load("s").await.expect("load"), Some(state));
    let commit = Commit { amend: change, snapshot: body("newer"), ..held.append("s", 8, &["i"]) };
    store.commit(commit).await.expect("commit");
    let newer = Snapshot { seq: 9, body: Bytes::from_static(b"newer") };
    assert_eq!(store.load("s").await.expect("load"), Some(newer));
}

async fn many_amendments_fit_one_commit(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    store.commit(Commit { records: records(3_000), ..held.commit("s") }).await.expect("commit");
    let one = |seq: u64| Amendment { after: seq - 1, before: seq + 1, body: body("gone"), ..ALL };
    amend(&store, held, (1..=3_000).filter(|seq| seq % 2 == 0).map(one).collect()).await;
    let gone = |found: &Record| found.record.body == "gone";
    let found = all(&store, "s").await;
    assert!(found.len() == 3_000 && found.iter().all(|found| gone(found) == (found.seq % 2 == 0)));
}
