//! Reads of earlier records for decisions that look at more than the state.

use levee_domain::past::{Past, PastRecord, Records, Rows, Wanted};
use levee_domain::view::Stream;
use levee_store::{Read, Store, StoreError};

/// How many records one read brings: bodies may be long, and most are not kept.
const PAGE: usize = 100;

/// Reads what a decision wants to look at.
///
/// # Errors
/// What the store says.
pub(crate) async fn find(store: &dyn Store, stream: &Stream, wanted: &Wanted) -> Result<Past, StoreError> {
    match wanted {
        Wanted::Records(records) => find_records(store, stream, records).await,
        Wanted::Rows(rows) => find_rows(store, rows).await,
    }
}

/// Reads rows of the directory.
///
/// # Errors
/// What the store says.
pub(crate) async fn find_rows(store: &dyn Store, wanted: &Rows) -> Result<Past, StoreError> {
    let mut rows = Vec::new();
    for range in &wanted.ranges {
        let found = store.list(wanted.namespace, &range.prefix, &range.after, range.limit).await?;
        rows.extend(found.into_iter().map(|entry| (entry.key, entry.value)));
    }
    Ok(Past { rows, ..Past::default() })
}

async fn find_records(store: &dyn Store, stream: &Stream, wanted: &Records) -> Result<Past, StoreError> {
    let through = last_until(store, stream, wanted.until).await?;
    let mut read = Read {
        before: wanted.before.min(through.saturating_add(1)),
        with_flags: wanted.with_flags,
        without_flags: wanted.without_flags,
        author: wanted.author.clone(),
        descending: true,
        ..Read::after(stream.key(), wanted.after, PAGE)
    };
    let mut records = Vec::new();
    while records.len() < wanted.limit {
        read.limit = PAGE.min(wanted.limit - records.len());
        let page = store.read(read.clone()).await?;
        let all = page.len() < read.limit;
        for record in page {
            read.before = record.seq;
            let body = wanted.bodies.then_some(record.record.body);
            records.push(PastRecord { seq: record.seq, flags: record.record.flags, body });
        }
        if all {
            break;
        }
    }
    records.reverse();
    Ok(Past { records, through, rows: Vec::new() })
}

/// The sequence of a stream's last record that is not later than a time: times ascend with the sequences.
///
/// # Errors
/// What the store says.
pub(crate) async fn last_until(store: &dyn Store, stream: &Stream, until: u64) -> Result<u64, StoreError> {
    let mut last = store.head(&stream.key()).await?;
    if until == u64::MAX {
        return Ok(last);
    }
    let mut first = 0;
    while first < last {
        let middle = first + (last - first).div_ceil(2);
        let records = store.read(Read::after(stream.key(), middle - 1, 1)).await?;
        match records.first() {
            Some(record) if record.record.time <= until => first = middle,
            _ => last = middle - 1,
        }
    }
    Ok(last)
}
