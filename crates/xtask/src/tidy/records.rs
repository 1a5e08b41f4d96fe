//! Decision records have the four parts that make one, and a number in their name.

use super::Text;
use super::rules::Complaint;

const PARTS: &[&str] = &["Status", "Context", "Decision", "Consequences"];

/// What a decision record lacks.
pub(super) fn incomplete(file: &Text) -> Vec<Complaint> {
    let name = file.name();
    let Some(record) = name.strip_prefix("docs/decisions/").filter(|name| name.ends_with(".md")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let numbered = record.len() > 5
        && record.is_char_boundary(4)
        && record[..4].chars().all(|c| c.is_ascii_digit())
        && record[4..].starts_with('-');
    if !numbered {
        found.push((None, "a decision record is named 0000-title.md".to_owned()));
    }
    let headings: Vec<&str> = file.text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let missing = PARTS.iter().filter(|part| !headings.iter().any(|heading| heading.trim() == **part));
    found.extend(missing.map(|part| (None, format!("a decision record has a part `## {part}`"))));
    found
}
