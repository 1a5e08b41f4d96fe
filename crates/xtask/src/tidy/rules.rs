//! Rules over one file at a time. Each returns a line number, where there is one, and a complaint.

use super::Text;
use std::path::Path;

/// A complaint about a file.
pub(super) type Complaint = (Option<usize>, String);

/// A source file says first what it owns.
pub(super) fn header(file: &Text) -> Vec<Complaint> {
    let name = file.name();
    let first = file.text.lines().next().unwrap_or_default();
    let complaint = match file.extension() {
        // Tests are named for what they test, and build scripts for what they are.
        "rs" if name.ends_with("build.rs") || name.ends_with("/tests.rs") || name.contains("/tests/") => None,
        "rs" if !first.starts_with("//!") => Some("begin with a //! header that says what the file owns"),
        "ts" | "tsx" if !first.starts_with("//") && !first.starts_with("/*") => {
            Some("begin with a comment that says what the file owns")
        }
        _ => None,
    };
    complaint.map(|text| (Some(1), text.to_owned())).into_iter().collect()
}

/// Marks of unfinished work, spelled so that this file does not contain them.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
];

/// What is not finished is not committed.
pub(super) fn unfinished(file: &Text) -> Vec<Complaint> {
    if !file.is_source() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in numbered(file) {
        let words = UNFINISHED.iter().filter(|mark| contains_word(line, mark));
        found.extend(words.map(|mark| (Some(number), format!("`{mark}` marks unfinished work"))));
    }
    found
}

/// Names that say nothing of what a thing is.
const EMPTY_NAMES: &[&str] = &["Manager", "Helper", "Helpers", "Util", "Utils", "Common", "Service"];

/// No type is a Manager, a Helper and the like.
pub(super) fn type_names(file: &Text) -> Vec<Complaint> {
    if !matches!(file.extension(), "rs" | "ts" | "tsx") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in numbered(file) {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        while let Some(word) = words.next() {
            if !matches!(word, "struct" | "enum" | "trait" | "type" | "class" | "interface" | "union") {
                continue;
            }
            let Some(name) = words.next() else { break };
            if let Some(empty) =
                EMPTY_NAMES.iter().find(|empty| camel_words(name).any(|part| part == **empty))
            {
                let complaint = format!("`{name}`: \"{empty}\" says nothing; name what it is");
                found.push((Some(number), complaint));
            }
        }
    }
    found
}

/// No source file and no crate has such a name either.
pub(super) fn path_name(path: &Path) -> Option<String> {
    let source =
        path.extension().is_some_and(|ending| ["rs", "ts", "tsx", "mjs"].iter().any(|e| ending == *e));
    if !source {
        return None;
    }
    let empty = |part: &str| EMPTY_NAMES.iter().any(|name| name.eq_ignore_ascii_case(part));
    let whole = path.with_extension("");
    let named =
        whole.iter().filter_map(|part| part.to_str()).any(|part| part.split(['-', '_', '.']).any(empty));
    named.then(|| format!("{}: a path names what it holds", path.display()))
}

/// No white space at the end of lines; a newline at the end of the file.
pub(super) fn whitespace(file: &Text) -> Vec<Complaint> {
    let known = matches!(
        file.extension(),
        "rs" | "ts"
            | "tsx"
            | "css"
            | "mjs"
            | "md"
            | "toml"
            | "yaml"
            | "yml"
            | "json"
            | "html"
            | "sh"
            | "tpl"
            | "txt"
    );
    if !known {
        return Vec::new();
    }
    let mut found: Vec<Complaint> = numbered(file)
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(number, _)| (Some(number), "white space at the end of the line".to_owned()))
        .collect();
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        found.push((None, "no newline at the end".to_owned()));
    }
    found
}

/// Folders that exist on somebody's own machine only, spelled so that this file does not contain them.
const OWN_MACHINE: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("../sha", "red/"),
    concat!("C:", "\\"),
];

/// What is committed works on every machine.
pub(super) fn own_machine(file: &Text) -> Vec<Complaint> {
    // Lock files hold addresses and hashes that nobody writes.
    if file.name().ends_with("package-lock.json") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in numbered(file) {
        for folder in OWN_MACHINE.iter().filter(|folder| begins_a_path(line, folder)) {
            found.push((Some(number), format!("`{folder}` is a folder of one machine")));
        }
    }
    found
}

/// Whether `folder` is in `line` as the beginning of a path, and not within a longer one or an address.
fn begins_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "-_.~}/".contains(c))
    })
}

fn numbered(file: &Text) -> impl Iterator<Item = (usize, &str)> {
    file.text.split('\n').enumerate().map(|(index, line)| (index + 1, line))
}

/// Whether `word` stands in `line` by itself.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        !joined(before) && (word.ends_with('(') || !joined(after))
    })
}

/// `SessionStore2` as `Session`, `Store2`.
fn camel_words(name: &str) -> impl Iterator<Item = &str> {
    let mut starts: Vec<usize> =
        name.char_indices().filter(|(at, c)| *at == 0 || c.is_ascii_uppercase()).map(|(at, _)| at).collect();
    starts.push(name.len());
    let pairs: Vec<(usize, usize)> = starts.windows(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.into_iter().map(move |(from, to)| name[from..to].trim_matches('_'))
}
