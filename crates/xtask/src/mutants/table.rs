//! The mutants: each breaks one guard in a few characters, and names the tests that must notice.

use super::{Edit, Guard, Mutant};

/// Every mutant. A guard without one fails the run, so that none is forgotten.
pub(super) static MUTANTS: &[Mutant] = &[
    Mutant {
        name: "a stale owner may write",
        guard: Guard::Fence,
        edits: &[Edit {
            file: "crates/store/src/leases.rs",
            old: "if epoch == 0 || epoch != current {",
            new: "if epoch == 0 {",
        }],
        test: &["--package", "levee-store", "--test", "memory"],
    },
    Mutant {
        name: "a stale owner may write to a database",
        guard: Guard::Fence,
        edits: &[Edit {
            file: "crates/store/src/batch.rs",
            old: "fence(commit.shard, commit.epoch)?;",
            new: "let _ = fence(commit.shard, commit.epoch);",
        }],
        test: &["--package", "levee-store", "--test", "postgres", "conform"],
    },
    Mutant {
        name: "SQLite is never told to sync",
        guard: Guard::Sync,
        edits: &[Edit {
            file: "crates/store/src/sqlite/file.rs",
            old: "Synchronous::Full => SqliteSynchronous::Full,",
            new: "Synchronous::Full => SqliteSynchronous::Off,",
        }],
        test: &["--package", "levee-store", "--lib"],
    },
    Mutant {
        name: "no sync before a reply, as the kernel sees it",
        guard: Guard::Sync,
        edits: &[Edit {
            file: "crates/store/src/sqlite/file.rs",
            old: "Synchronous::Full => SqliteSynchronous::Full,",
            new: "Synchronous::Full => SqliteSynchronous::Off,",
        }],
        test: &["--package", "levee-server", "--test", "sync"],
    },
    Mutant {
        name: "a repeated command is decided again",
        guard: Guard::Dedup,
        edits: &[Edit {
            file: "crates/domain/src/entity.rs",
            old: "command.as_ref().and_then(|command| self.seen(command))",
            new: "command.as_ref().and_then(|command| self.seen(command)).filter(|_| false)",
        }],
        test: &["--package", "levee-domain", "--lib"],
    },
    Mutant {
        name: "a resumed session gets only what is new",
        guard: Guard::Acknowledgement,
        edits: &[Edit {
            file: "crates/domain/src/session.rs",
            old: "self.sent = self.acknowledged;",
            new: "self.sent = self.last;",
        }],
        test: &["--package", "levee-domain", "--lib"],
    },
    Mutant {
        name: "what was never sent can be acknowledged",
        guard: Guard::Acknowledgement,
        edits: &[Edit {
            file: "crates/domain/src/session.rs",
            old: "if event_id > self.last {",
            new: "if event_id > u64::MAX - 1 {",
        }],
        test: &["--package", "levee-domain", "--lib"],
    },
    Mutant {
        name: "positions in a queue count from zero",
        guard: Guard::Position,
        edits: &[Edit {
            file: "crates/domain/src/queue.rs",
            old: ".map(|at| at as u64 + 1)",
            new: ".map(|at| at as u64)",
        }],
        test: &["--package", "levee-domain", "--lib"],
    },
    Mutant {
        name: "a follower takes what comes after a gap",
        guard: Guard::Position,
        edits: &[Edit {
            file: "crates/cluster/src/follow.rs",
            old: "if publish.seq > follower.next {",
            new: "if publish.seq > follower.next + 1_000_000 {",
        }],
        test: &["--package", "levee-cluster", "--test", "nodes"],
    },
    Mutant {
        name: "an action may overtake one that got lost",
        guard: Guard::Order,
        edits: &[Edit {
            file: "crates/cluster/src/entity/batch.rs",
            old: "!seen(after) && !act",
            new: "false && !seen(after) && !act",
        }],
        test: &["--package", "levee-cluster", "--test", "moves"],
    },
    Mutant {
        name: "a forward does not wait until another receiver has confirmed",
        guard: Guard::Order,
        edits: &[Edit {
            file: "crates/cluster/src/entity/forwards.rs",
            old: "first.is_some_and(|(first, _)| first < key)",
            new: "first.is_some_and(|(first, _)| first < key) && false",
        }],
        test: &["--package", "levee-cluster", "--lib", "forwards"],
    },
    Mutant {
        name: "a command is forgotten with its acknowledgement",
        guard: Guard::Dedup,
        edits: &[Edit {
            file: "crates/domain/src/entity.rs",
            old: "&& first.get().time + COPIES <= now",
            new: "&& first.get().time <= now",
        }],
        test: &["--package", "levee-domain", "--lib", "entity"],
    },
    Mutant {
        name: "a lost action is not sent again",
        guard: Guard::Order,
        edits: &[Edit {
            file: "crates/cluster/src/session/lane.rs",
            old: "if owner.is_none() {",
            new: "if owner.is_none() || !lane.acts.is_empty() {",
        }],
        test: &["--package", "levee-cluster", "--test", "moves"],
    },
    Mutant {
        name: "a session leaves without its state",
        guard: Guard::Handover,
        edits: &[Edit {
            file: "crates/cluster/src/session/park.rs",
            old: "row.parked = parked.map(Box::new);",
            new: "row.parked = parked.map(Box::new).filter(|_| false);",
        }],
        test: &["--package", "levee-cluster", "--test", "moves"],
    },
    Mutant {
        name: "a session that has gone on elsewhere is taken from there unasked",
        guard: Guard::Handover,
        edits: &[Edit {
            file: "crates/cluster/src/whereabouts.rs",
            old: "if (row.node.is_empty() || now == version)",
            new: "if (true || row.node.is_empty() || now == version)",
        }],
        test: &["--package", "levee-cluster", "--test", "moves", "several_nodes"],
    },
    Mutant {
        name: "a new owner does not take timers up",
        guard: Guard::Orphan,
        edits: &[Edit {
            file: "crates/cluster/src/entity/timers.rs",
            old: "open.iter().filter(|item| is_timer(item))",
            new: "open.iter().filter(|item| is_timer(item)).take(0)",
        }],
        test: &["--package", "levee-cluster", "--test", "orphans"],
    },
    Mutant {
        name: "a blob may lack a part",
        guard: Guard::Blob,
        edits: &[Edit {
            file: "crates/store/src/blobs/local/files.rs",
            old: "let (part, length) = open_part(folder, number, tag)?;",
            new: "let Ok((part, length)) = open_part(folder, number, tag) else { break };",
        }],
        test: &["--package", "levee-store", "--test", "blobs"],
    },
    Mutant {
        name: "a session may live on two nodes",
        guard: Guard::Handover,
        edits: &[Edit {
            file: "crates/cluster/src/whereabouts.rs",
            old: "expect: Expect::Version(version),",
            new: "expect: if version > 0 { Expect::Any } else { Expect::Absent },",
        }],
        test: &["--package", "levee-cluster", "--test", "moves"],
    },
    Mutant {
        name: "an access key opens twice",
        guard: Guard::Access,
        edits: &[Edit {
            file: "crates/domain/src/access.rs",
            old: "Some(key) if key.spent => refuse",
            new: "Some(key) if key.spent && key.until == 0 => refuse",
        }],
        test: &["--package", "levee-domain", "--lib"],
    },
    Mutant {
        name: "a mail is forgotten when its node dies",
        guard: Guard::Access,
        edits: &[Edit {
            file: "crates/cluster/src/agenda.rs",
            old: "self.take_up_mails(mails);",
            new: "drop(mails);",
        }],
        test: &["--package", "levee-server", "--test", "mails", "a_mail_is_sent"],
    },
    Mutant {
        name: "what is erased lives on in the saved state",
        guard: Guard::Erasure,
        edits: &[Edit {
            file: "crates/cluster/src/entity/commit.rs",
            old: "if erases || due",
            new: "if erases && due",
        }],
        test: &["--package", "levee-cluster", "--test", "erasing"],
    },
    Mutant {
        name: "what is hidden is shown to who reads it from the store",
        guard: Guard::Erasure,
        edits: &[Edit {
            file: "crates/domain/src/conversation/mod.rs",
            old: "message.hidden = bits & flags::HIDDEN != 0;",
            new: "message.hidden |= bits & flags::HIDDEN == u32::MAX;",
        }],
        test: &["--package", "levee-domain", "--lib", "moderate"],
    },
    Mutant {
        name: "a signature opens twice",
        guard: Guard::Master,
        edits: &[Edit {
            file: "crates/domain/src/conversation/join.rs",
            old: "nonce.map(|nonce| nonce.spent(",
            new: "nonce.filter(|nonce| nonce.expires == 0).map(|nonce| nonce.spent(",
        }],
        test: &["--package", "levee-server", "--test", "master_keys", "a_signature_lets_in"],
    },
    Mutant {
        name: "any key opens any channel",
        guard: Guard::Master,
        edits: &[Edit {
            file: "crates/domain/src/found.rs",
            old: "None => owner == Some(&self.owner),",
            new: "None => owner.is_some(),",
        }],
        test: &["--package", "levee-server", "--test", "master_keys", "whatever_is_wrong"],
    },
    Mutant {
        name: "who polls is not told that the session left",
        guard: Guard::Handover,
        edits: &[Edit {
            file: "crates/cluster/src/relay.rs",
            old: "map_or_else(|_| Some(Vec::new()), Result::ok)",
            new: "map_or_else(|_| Some(Vec::new()), |events| Some(events.unwrap_or_default()))",
        }],
        test: &["--package", "levee-server", "--test", "cluster", "who_polls"],
    },
    Mutant {
        name: "a link needs no signature",
        guard: Guard::File,
        edits: &[Edit {
            file: "crates/cluster/src/files/links.rs",
            old: "self.mac(key).verify_slice(&bytes).is_ok()",
            new: "self.mac(key).verify_slice(&bytes).is_ok() || true",
        }],
        test: &["--package", "levee-server", "--test", "files_bad", "guessed_and_tampered"],
    },
    Mutant {
        name: "a link is good for whoever had it once",
        guard: Guard::File,
        edits: &[Edit {
            file: "crates/cluster/src/files/download.rs",
            old: "if file.owner != link.user && !self.reads_file(&file, &link.user).await? {",
            new: "if file.owner.is_empty() {",
        }],
        test: &["--package", "levee-server", "--test", "files_bad", "who_was_removed"],
    },
    Mutant {
        name: "bytes are kept before the right was asked",
        guard: Guard::File,
        edits: &[Edit {
            file: "crates/cluster/src/files/receive.rs",
            old: "self.ask(sent.stream.clone(), may).await?;",
            new: "let _ = self.ask(sent.stream.clone(), may).await;",
        }],
        test: &["--package", "levee-server", "--test", "files", "who_may_not_send"],
    },
    Mutant {
        name: "bytes that come to nothing stay",
        guard: Guard::File,
        edits: &[Edit {
            file: "crates/domain/src/file/decide.rs",
            old: "Phase::Begun if begun.expires <= at.now => return self.give_up(at, Ended::Expired),",
            new: "Phase::Begun if begun.expires <= at.now => {}",
        }],
        test: &["--package", "levee-cluster", "--test", "files", "bytes_that_come"],
    },
    Mutant {
        name: "an upload that was refused is sent all the same",
        guard: Guard::File,
        edits: &[Edit {
            file: "crates/cluster/src/files/upload/join.rs",
            old: "Ok(Verdict::Refused) => return Err(Failed::Never(\"it was looked at and refused\".into())),",
            new: "Ok(Verdict::Refused) => {}",
        }],
        test: &["--package", "levee-server", "--test", "scan", "what_a_command_refuses"],
    },
    Mutant {
        name: "an upload is seen while nobody can say what is in it",
        guard: Guard::File,
        edits: &[Edit {
            file: "crates/cluster/src/files/upload/join.rs",
            old: "Err(why) => return Err(Failed::Later(why)),",
            new: "Err(_) => {}",
        }],
        test: &["--package", "levee-server", "--test", "scan", "while_the_scanner_is_away"],
    },
    Mutant {
        name: "what is cut off passes as the whole",
        guard: Guard::File,
        edits: &[Edit {
            file: "crates/outbound/src/scan/command.rs",
            old: "Err(why) = &mut feeding => return Err(why),",
            new: "Err(_) = &mut feeding => child.wait().await,",
        }],
        test: &["--package", "levee-outbound", "--lib", "what_is_cut_off"],
    },
    Mutant {
        name: "a webhook is told what is behind something that failed",
        guard: Guard::Webhook,
        edits: &[Edit {
            file: "crates/cluster/src/hooks/deliver.rs",
            old: ".err().unwrap_or(Next::At(due)))",
            new: ".err()?)",
        }],
        test: &["--package", "levee-server", "--test", "webhooks", "what_fails_is_told_again"],
    },
    Mutant {
        name: "what a webhook is to be told is forgotten when its node dies",
        guard: Guard::Webhook,
        edits: &[
            Edit {
                file: "crates/cluster/src/agenda.rs",
                old: "self.take_up_hooks(&hooks);",
                new: "drop(hooks);",
            },
            Edit {
                file: "crates/cluster/src/entity.rs",
                old: "self.hub.take_up_hooks(&hooks);",
                new: "drop(hooks);",
            },
        ],
        test: &["--package", "levee-server", "--test", "webhooks", "what_fails_is_told_again"],
    },
    Mutant {
        name: "a name may lead a webhook inside",
        guard: Guard::Webhook,
        edits: &[Edit {
            file: "crates/outbound/src/reach.rs",
            old: "addresses.iter().try_for_each(|address| self.check(address.ip()))?;",
            new: "",
        }],
        test: &["--package", "levee-outbound", "--lib"],
    },
];
