//! Each rule with a file that breaks it and one that does not.

use super::*;

fn text(path: &str, text: &str) -> Text {
    Text { path: path.into(), text: text.into() }
}

fn complaints(path: &str, content: &str) -> Vec<String> {
    check(&[text(path, content)], &[path.into()], &|path| path == Path::new("docs/there.md"))
}

#[track_caller]
fn broken(path: &str, content: &str, complaint: &str) {
    let found = complaints(path, content);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(complaint), "{found:?}");
}

#[track_caller]
fn fine(path: &str, content: &str) {
    assert_eq!(complaints(path, content), Vec::<String>::new());
}

#[test]
fn a_file_that_is_too_long_is_named() {
    fine("crates/a/src/a.rs", &format!("//! Owns a.\n{}", "\n".repeat(499)));
    broken("crates/a/src/a.rs", &format!("//! Owns a.\n{}", "\n".repeat(500)), "501 lines");
    broken("crates/web/a.css", &"a {}\n".repeat(501), "501 lines");
    fine("docs/long.md", &"word\n".repeat(2000));
}

#[test]
fn an_exception_that_is_not_needed_is_named() {
    broken(LONGER[0].0, "// Generated.\n", "take it off the list");
    fine(LONGER[0].0, &"// Generated.\n".repeat(900));
}

#[test]
fn sources_begin_with_what_they_own() {
    broken("crates/a/src/a.rs", "use b;\n", "a.rs:1: begin with a //! header");
    broken("crates/a/src/a.rs", "// Owns a.\n", "begin with a //! header");
    fine("crates/a/build.rs", "fn main() {}\n");
    fine("crates/a/src/a/tests.rs", "use super::*;\n");
    fine("crates/a/tests/story.rs", "fn main() {}\n");
    broken("crates/web/a.tsx", "import b;\n", "begin with a comment");
    fine("crates/web/a.ts", "/* Owns a. */\n");
}

#[test]
fn unfinished_work_is_named() {
    for mark in [concat!("to", "do!()"), concat!("unimple", "mented!()"), concat!("// FIX", "ME: later")] {
        broken("crates/a/src/a.rs", &format!("//! Owns a.\n{mark}\n"), "a.rs:2: ");
    }
    broken("crates/web/a.css", concat!("/* XX", "X */\n"), "unfinished");
    fine("crates/a/src/a.rs", concat!("//! Owns a.\nlet a = \"XX", "XX\";\n"));
}

#[test]
fn empty_names_are_named() {
    broken(
        "crates/a/src/a.rs",
        concat!("//! Owns a.\npub struct Session", "Manager;\n"),
        "\"Manager\" says nothing",
    );
    broken(
        "crates/web/a.ts",
        concat!("// Owns a.\nexport class Chat", "Service {}\n"),
        "\"Service\" says nothing",
    );
    fine("crates/a/src/a.rs", "//! Owns a.\npub struct Serviceable;\nuse x::HttpService;\n");
    broken("crates/a/src/util.rs", "//! Owns a.\n", "a path names what it holds");
    broken("crates/levee-common/src/a.rs", "//! Owns a.\n", "a path names what it holds");
    fine("helm/levee/templates/service.yaml", "kind: Service\n");
}

#[test]
fn white_space_is_named() {
    broken("docs/a.md", "two  \nthree\n", "a.md:1: white space");
    broken("docs/a.md", "no end", "no newline");
    fine("docs/a.png", "binary enough ");
}

#[test]
fn one_machine_is_not_every_machine() {
    for folder in ["/ho", "/ro", "/wo"].iter().zip(["me/me/a", "ot/a", "rk/a"]) {
        broken("docs/a.md", &format!("See {}{}.\n", folder.0, folder.1), "a folder of one machine");
    }
    fine("docs/a.md", concat!("See https://example.org/wo", "rk/a and crates/wo", "rk/a.\n"));
}

#[test]
fn links_lead_somewhere() {
    fine("docs/a.md", "[t](there.md#part), [u](../docs/there.md), [h](https://example.org), [p](#part)\n");
    broken(
        "docs/a.md",
        "one\n[t](gone.md)\n",
        "a.md:2: link `gone.md` leads nowhere: there is no docs/gone.md",
    );
    broken("docs/a.md", "[t](../../outside.md)\n", "leaves the workspace");
    broken("docs/a.md", "[`code`](gone.md)\n", "leads nowhere");
    broken("docs/a.md", "[name]: gone.md\n", "leads nowhere");
    fine("docs/a.md", "`[t](gone.md)`\n\n```\n[t](gone.md)\n```\n");
}

#[test]
fn decision_records_are_whole() {
    let whole = "# A\n\n## Status\n\n## Context\n\n## Decision\n\n## Consequences\n";
    fine("docs/decisions/0001-a.md", whole);
    broken("docs/decisions/0001-a.md", &whole.replace("## Status\n\n", ""), "`## Status`");
    broken("docs/decisions/a.md", whole, "named 0000-title.md");
}
