//! What rustfmt, clippy and eslint don't see: lengths, headers, names, links, decision records.

mod links;
mod records;
mod rules;
#[cfg(test)]
mod tests;

use crate::repo::Repo;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Lines that a file may have; we aim at `AIM`.
const LIMIT: usize = 500;
const AIM: usize = 300;

/// Files that may be longer, each with its reason. A row that is not needed is an error too.
static LONGER: &[(&str, &str)] = &[(
    "crates/web/client/src/wire.generated.ts",
    "generated from the protocol's tables: nobody reads it from top to bottom",
)];

/// A text file of the workspace.
struct Text {
    path: PathBuf,
    text: String,
}

impl Text {
    /// The path with forward slashes.
    fn name(&self) -> String {
        self.path.to_string_lossy().replace('\\', "/")
    }

    fn extension(&self) -> &str {
        self.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
    }

    fn is_source(&self) -> bool {
        matches!(self.extension(), "rs" | "ts" | "tsx" | "css" | "mjs")
    }
}

/// Checks the workspace; prints what is wrong.
///
/// # Errors
/// When something is wrong.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let paths = repo.files()?;
    let mut texts = Vec::new();
    for path in &paths {
        if let Some(text) = repo.text(path)? {
            texts.push(Text { path: path.clone(), text });
        }
    }
    let wrong = check(&texts, &paths, &|path: &Path| repo.root.join(path).exists());
    for complaint in &wrong {
        println!("{complaint}");
    }
    if !wrong.is_empty() {
        bail!("{} things are untidy", wrong.len());
    }
    let long = texts.iter().filter(|file| is_measured(file) && lines(file) > AIM).count();
    println!("{} files are tidy ({long} of them have more than {AIM} lines, where we aim)", paths.len());
    Ok(())
}

/// What is wrong, a line each: path, line where there is one, complaint.
fn check(texts: &[Text], paths: &[PathBuf], exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in texts {
        let name = file.name();
        wrong.extend(length(file));
        let found = rules::header(file)
            .into_iter()
            .chain(rules::unfinished(file))
            .chain(rules::type_names(file))
            .chain(rules::whitespace(file))
            .chain(rules::own_machine(file))
            .chain(links::broken(file, exists))
            .chain(records::incomplete(file));
        wrong.extend(found.map(|(line, complaint)| match line {
            Some(line) => format!("{name}:{line}: {complaint}"),
            None => format!("{name}: {complaint}"),
        }));
    }
    wrong.extend(paths.iter().filter_map(|path| rules::path_name(path)));
    for (path, reason) in LONGER {
        let needed = texts.iter().any(|file| file.name() == *path && lines(file) > LIMIT);
        if texts.iter().any(|file| file.name() == *path) && !needed {
            wrong.push(format!(
                "{path}: is short enough now: take it off the list of longer files ({reason})"
            ));
        }
    }
    wrong
}

fn is_measured(file: &Text) -> bool {
    matches!(file.extension(), "rs" | "ts" | "tsx" | "css")
}

fn lines(file: &Text) -> usize {
    file.text.lines().count()
}

fn length(file: &Text) -> Option<String> {
    let (name, lines) = (file.name(), lines(file));
    let excused = LONGER.iter().any(|(path, _)| *path == name);
    (is_measured(file) && lines > LIMIT && !excused)
        .then(|| format!("{name}: {lines} lines, the limit is {LIMIT}: split it by what it owns"))
}
