//! The framework itself: what it refuses to take for a proof.

use super::*;

const EDIT: Edit = Edit { file: "a.rs", old: "if stale {", new: "if false {" };

#[test]
fn an_edit_needs_its_text_exactly_once() {
    assert_eq!(apply("x; if stale { y }", &EDIT), Ok("x; if false { y }".to_owned()));
    assert!(apply("x; if fresh { y }", &EDIT).expect_err("gone").contains("no longer contains"));
    assert!(apply("if stale {} if stale {}", &EDIT).expect_err("twice").contains("2 times"));
}

#[test]
fn tests_are_counted_over_all_binaries() {
    let output = "running 3 tests\ntest result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured\n\
                  test result: ok. 4 passed; 0 failed; 5 ignored; 0 measured; 9 filtered out\n";
    assert_eq!(tests_run(output), 7);
    assert_eq!(tests_run("error: no such test"), 0);
}

#[test]
fn every_edit_of_the_table_finds_its_text() {
    // Tests run in the folder of their package.
    let root = Path::new("../..");
    for mutant in MUTANTS {
        assert!(!mutant.edits.is_empty() && !mutant.test.is_empty(), "{}", mutant.name);
        for edit in mutant.edits {
            let text = std::fs::read_to_string(root.join(edit.file)).expect(edit.file);
            assert_ne!(apply(&text, edit).expect(mutant.name), text, "{}", mutant.name);
        }
    }
}

#[test]
fn a_guard_without_a_mutant_is_reported() {
    let one = Mutant { name: "one", guard: Guard::Dedup, edits: &[EDIT], test: &["--lib"] };
    let others = [
        "fence",
        "acknowledgement",
        "position",
        "sync",
        "order",
        "handover",
        "orphan",
        "blob",
        "access",
        "erasure",
        "master",
        "file",
        "webhook",
    ];
    assert_eq!(without_mutant(&[one]), others);
    let lost = report(&[], &["fence"]);
    assert!(lost.contains("MISSING") && lost.ends_with("0 killed, 1 not"), "{lost}");
}
