//! From what `perf` recorded to shares per layer: the kernel's by the call that led there, our own by
//! the function that ran.

use crate::shell;
use anyhow::Result;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// What is recorded.
pub(super) const NAMES: [&str; 3] = ["relay", "unstored", "stored"];
/// How many functions are shown.
const TOP: usize = 12;

/// Parts of names, and the layer that a function belongs to whose name contains one of them. The first
/// that fits counts, so that what a general part does for a special one is the special one's.
static LAYERS: &[(&str, &[&str])] = &[
    ("metrics and traces", &["prometheus", "tracing"]),
    ("store", &["levee_store", "sqlx", "sqlite3", "pcache1", "wal", "Wal"]),
    ("json", &["serde_json", "serde_core", "levee_proto::actions", "levee_proto::envelope", "zmij", "itoa"]),
    ("session", &["levee_cluster::session", "levee_domain::session"]),
    ("entity", &["levee_cluster::entity", "levee_domain", "levee_proto::attrs"]),
    ("router and following", &["levee_cluster", "levee_proto::ids"]),
    ("sockets and frames", &["levee_gateway", "actix_web_actors", "actix_http", "actix_codec", "relay::"]),
    ("actix: mailboxes, dispatch", &["actix"]),
    ("tokio: tasks, readiness", &["tokio", "mio::", "futures_", "PollFn", "flume"]),
    (
        "memory: allocating",
        &["malloc", "calloc", "realloc", "free", "unlink_chunk", "mi_", "_rjem", "bytes::"],
    ),
    ("memory: copying, comparing", &["memmove", "memcmp", "memset", "memcpy", "from_utf8"]),
];

/// Calls of the kernel by a frame on the way to them.
static CALLS: &[(&str, &[&str])] = &[
    ("kernel: send", &["sys_sendto", "sys_sendmsg"]),
    ("kernel: receive", &["sys_recvfrom", "sys_recvmsg"]),
    ("kernel: wait for sockets", &["epoll_wait", "sys_epoll"]),
    ("kernel: disk", &["fsync", "fdatasync", "sys_pwrite", "sys_pread", "sys_write", "ext4", "blk_"]),
    ("kernel: wake and wait for threads", &["futex", "eventfd"]),
    ("kernel: memory", &["page_fault", "sys_mmap", "sys_munmap", "sys_madvise", "sys_brk"]),
];

/// A sample: the thread, and the functions from where it ran to where it came from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sample {
    thread: String,
    /// Each with whether it is the kernel's.
    frames: Vec<(String, bool)>,
}

/// Prints shares per layer and the functions that take most, for each recording there is.
///
/// # Errors
/// When `perf` can't read what it wrote.
pub(super) fn print(folder: &Path) -> Result<()> {
    for name in NAMES {
        let file = folder.join(format!("{name}.data"));
        if !file.exists() {
            continue;
        }
        let mut perf = Command::new("perf");
        perf.args(["script", "--no-inline", "--fields", "comm,ip,sym,dso", "--input"]).arg(&file);
        let (_, text) = shell::quiet(&mut perf)?;
        let samples = parse(&text);
        println!("\n{name}: {} samples", samples.len());
        for (layer, share) in shares(samples.iter().map(layer)) {
            println!("  {share:>5.1} %  {layer}");
        }
        let threads = shares(samples.iter().map(|sample| sample.thread.as_str()));
        let threads: Vec<_> = threads.iter().map(|(name, share)| format!("{name} {share:.0} %")).collect();
        println!("  threads: {}", threads.join(", "));
        println!("  functions:");
        let functions = samples.iter().filter_map(|sample| Some(sample.frames.first()?.0.as_str()));
        for (function, share) in shares(functions).into_iter().take(TOP) {
            println!("  {share:>5.1} %  {function}");
        }
    }
    Ok(())
}

/// What `perf script` prints: a line with the thread's name, a line per function, an empty line.
fn parse(text: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut sample = Sample::default();
    for line in text.lines() {
        let words = line.trim();
        if words.is_empty() {
            if !sample.frames.is_empty() {
                samples.push(std::mem::take(&mut sample));
            }
        } else if !line.starts_with(char::is_whitespace) {
            sample = Sample { thread: words.to_owned(), frames: Vec::new() };
        } else if let Some((_, function)) = words.split_once(' ') {
            let (function, object) = function.rsplit_once(" (").unwrap_or((function, ""));
            sample.frames.push((function.to_owned(), object.starts_with("[kernel")));
        }
    }
    if !sample.frames.is_empty() {
        samples.push(sample);
    }
    samples
}

fn layer(sample: &Sample) -> &'static str {
    let has = |name: &str, parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let Some((function, in_kernel)) = sample.frames.first() else { return "unknown" };
    if *in_kernel {
        let on_the_way =
            |parts: &[&str]| sample.frames.iter().any(|(name, kernel)| *kernel && has(name, parts));
        let call = CALLS.iter().find(|(_, parts)| on_the_way(parts));
        return call.map_or("kernel: other", |(layer, _)| layer);
    }
    if sample.thread.starts_with("levee-store") {
        return "store";
    }
    LAYERS.iter().find(|(_, parts)| has(function, parts)).map_or("other", |(layer, _)| layer)
}

/// How often each comes, in percent, the most frequent first.
fn shares<'a>(all: impl Iterator<Item = &'a str>) -> Vec<(&'a str, f64)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    let whole = counts.values().sum::<usize>().max(1) as f64;
    let mut shares: Vec<_> =
        counts.into_iter().map(|(name, count)| (name, count as f64 * 100.0 / whole)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
actix-rt|system \n\
\t          564fa0 <levee_cluster::session::SessionActor as actix::handler::Handler<M>>::handle (/tmp/levee)\n\
\n\
levee-store-sql \n\
\tffffffff817bb633 ext4_write_inode ([kernel.kallsyms])\n\
\tffffffff8170f68f __x64_sys_fsync ([kernel.kallsyms])\n\
\t           fec4a fsync (/usr/lib/libc.so.6)\n\
\n\
levee-store-sql \n\
\t           98a74 malloc (/usr/lib/libc.so.6)\n";

    #[test]
    fn samples_are_told_apart_by_layer() {
        let samples = parse(TEXT);
        let layers: Vec<_> = samples.iter().map(layer).collect();
        assert_eq!(layers, ["session", "kernel: disk", "store"]);
        assert_eq!(samples[1].thread, "levee-store-sql");
    }

    #[test]
    fn shares_add_up_and_the_largest_is_first() {
        assert_eq!(shares(["a", "b", "b", "b"].into_iter()), [("b", 75.0), ("a", 25.0)]);
    }
}
