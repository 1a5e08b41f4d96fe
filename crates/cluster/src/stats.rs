//! A queue's statistics: what it has written down of its hours, added to what it still counts.

use crate::letter::Outcome;
use crate::publish;
use levee_domain::queue::stats::Wanted;
use levee_domain::queue::{Queue, QueueRecord, STATS};
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Rejection};
use levee_store::{Read, Store, StoreError};
use std::sync::Arc;

/// How many records are looked through at most for one answer: those of two years and more.
const LOOKED_AT: usize = 20_000;
/// How many records one read brings.
const PAGE: usize = 500;

/// The answer to `get_queue_stats`.
pub(crate) async fn load(store: Arc<dyn Store>, stream: Stream, mut wanted: Wanted) -> Outcome {
    let unreadable = || Rejection::new(ErrorType::Internal).because("statistics can't be read now");
    match read(&*store, &stream, &mut wanted).await {
        Ok(true) => match wanted.answer() {
            Ok(body) => Outcome::Events(vec![(Arc::new(body), None)]),
            Err(rejection) => Outcome::Rejected(rejection),
        },
        Ok(false) => Outcome::Rejected(Rejection::malformed("stats_hour is too long ago")),
        Err(error) => {
            tracing::warn!(%error, %stream, "statistics can't be read");
            Outcome::Rejected(unreadable())
        }
    }
}

/// Adds what was written down; false if there is too much of it to look through.
async fn read(store: &dyn Store, stream: &Stream, wanted: &mut Wanted) -> Result<bool, StoreError> {
    let mut read = Read {
        before: wanted.through + 1,
        kinds: vec![STATS.into()],
        descending: true,
        ..Read::after(stream.key(), 0, PAGE)
    };
    for _ in 0..LOOKED_AT / PAGE {
        let records = store.read(read.clone()).await?;
        let Some(last) = records.last() else { return Ok(true) };
        read.before = last.seq;
        let all = records.len() < PAGE || last.record.time < wanted.since();
        for record in &records {
            match publish::decode::<Queue>(record).map(|entry| entry.record) {
                Ok(QueueRecord::Settled { hour, sums }) => wanted.add(hour, &sums),
                Ok(_) => {}
                Err(error) => return Err(StoreError::Damaged(format!("record {}: {error}", record.seq))),
            }
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use levee_domain::queue::stats::{HOUR, name};
    use levee_proto::ids;
    use levee_store::memory::MemoryStore;
    use levee_store::{Commit, NewRecord, NodeRow};
    use serde_json::{Value, json};

    const DAY: u64 = 24;

    /// A record of an hour, written a day after it or later.
    fn settled(hour: u64, later: u64, requests: i64) -> NewRecord {
        let body = json!({"v": 1, "r": {"settled": {"hour": hour, "sums": {"requested": requests}}}});
        NewRecord {
            time: (hour + DAY + later) * HOUR,
            kind: STATS.into(),
            body: body.to_string().into(),
            ..NewRecord::default()
        }
    }

    async fn requests(store: &Arc<dyn Store>, stream: &Stream, from: u64, through: u64) -> Value {
        let wanted = Wanted { from, until: from + 3, through, ..Wanted::default() };
        match load(store.clone(), stream.clone(), wanted).await {
            Outcome::Events(events) => {
                let event: Value = serde_json::from_str(events[0].0.header()).unwrap();
                let of = |hour: u64| event["queue_stats"][name(hour).unwrap()]["request_count"].clone();
                json!([of(from), of(from + 1), of(from + 2)])
            }
            other => panic!("{other:?}"),
        }
    }

    #[actix::test]
    async fn hours_are_added_up_from_all_that_was_written_down_of_them_and_not_from_what_came_after() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let node =
            NodeRow { node: "n".into(), public_address: "n".into(), ready: true, speaks: 1, heard: true };
        store.heartbeat(node, 60_000).await.unwrap();
        let epoch = store.take("n", &[3]).await.unwrap()[0].epoch;
        let stream = Stream::queue(&ids::derive(3, &["queue"]));
        // More than one read brings, and what came to an hour long after it.
        let mut records: Vec<_> = (1000..2400).map(|hour| settled(hour, 0, 2)).collect();
        records.push(settled(1001, 1500, 5));
        let through = records.len() as u64;
        records.push(settled(1001, 1600, 9));
        let commit = Commit { shard: 3, epoch, stream: stream.key(), records, ..Commit::default() };
        store.commit(commit).await.unwrap();
        assert_eq!(requests(&store, &stream, 1000, through).await, json!([2, 7, 2]));
        assert_eq!(requests(&store, &stream, 1000, through + 1).await, json!([2, 16, 2]));
        assert_eq!(requests(&store, &stream, 2398, through).await, json!([2, 2, null]));
        assert_eq!(requests(&store, &stream, 5000, through).await, json!([null, null, null]));
    }
}
