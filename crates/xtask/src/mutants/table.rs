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
        name: "SQLite is never told to sync",
        guard: Guard::Sync,
        edits: &[Edit {
            file: "crates/store/src/sqlite/file.rs",
            old: "Synchronous::Full => SqliteSynchronous::Full,",
            new: "Synchronous::Full => SqliteSynchronous::Off,",
        }],
        test: &["--package", "levee-store", "--lib"],
    },
];
