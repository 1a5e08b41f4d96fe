//! Relative links in Markdown lead somewhere.

use super::Text;
use super::rules::Complaint;
use std::path::{Component, Path, PathBuf};

/// The links of a Markdown file that lead nowhere.
pub(super) fn broken(file: &Text, exists: &dyn Fn(&Path) -> bool) -> Vec<Complaint> {
    if file.extension() != "md" {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            let complaint = match resolve(&file.path, target) {
                Resolved::Elsewhere => None,
                Resolved::Outside => Some(format!("link `{target}` leaves the workspace")),
                Resolved::Inside(path) if exists(&path) => None,
                Resolved::Inside(path) => {
                    Some(format!("link `{target}` leads nowhere: there is no {}", path.display()))
                }
            };
            found.extend(complaint.map(|text| (Some(index + 1), text)));
        }
    }
    found
}

/// What `[text](target)` and `[name]: target` point at in a line, but not in `code`.
fn targets(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (index, piece) in line.split('`').enumerate() {
        // Every other piece is within backticks; a link whose text is code keeps its `](…)` outside.
        if index % 2 == 1 {
            continue;
        }
        let mut rest = piece;
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let end = rest.find(')').unwrap_or(rest.len());
            found.push(rest[..end].split_whitespace().next().unwrap_or_default());
            rest = &rest[end..];
        }
    }
    if let Some((name, target)) = line.split_once("]: ")
        && name.starts_with('[')
        && !name.contains(']')
    {
        found.push(target.split_whitespace().next().unwrap_or_default());
    }
    found
}

enum Resolved {
    /// Another host, or a place on the same page.
    Elsewhere,
    /// Above the workspace's root.
    Outside,
    /// A path relative to the root.
    Inside(PathBuf),
}

fn resolve(from: &Path, target: &str) -> Resolved {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let scheme = target.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(char::is_alphanumeric));
    if scheme || path.is_empty() {
        return Resolved::Elsewhere;
    }
    let mut resolved: Vec<Component<'_>> =
        from.parent().map(|folder| folder.components().collect()).unwrap_or_default();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(_) => resolved.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                if resolved.pop().is_none() {
                    return Resolved::Outside;
                }
            }
            Component::RootDir | Component::Prefix(_) => return Resolved::Outside,
        }
    }
    // The root itself is always there.
    if resolved.is_empty() { Resolved::Elsewhere } else { Resolved::Inside(resolved.iter().collect()) }
}
