//! A copy of the tree to break. It stays between runs, so that only what changed is built again.

use crate::repo::Repo;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The copy and its build directory.
pub(super) struct Copy {
    pub(super) root: PathBuf,
    pub(super) target: PathBuf,
}

impl Copy {
    /// Brings the copy up to date: with the files of the tree as they are now, committed or not.
    ///
    /// # Errors
    /// When something can't be read or written.
    pub(super) fn of(repo: &Repo) -> Result<Self> {
        let scratch = repo.scratch("mutants")?;
        let copy = Self { root: scratch.join("tree"), target: scratch.join("target") };
        let files = repo.files()?;
        for file in &files {
            renew(&repo.root.join(file), &copy.root.join(file))?;
        }
        copy.forget_others(&files)?;
        Ok(copy)
    }

    /// Removes what the tree no longer has: a leftover module or test would change what runs.
    fn forget_others(&self, files: &[PathBuf]) -> Result<()> {
        let known: BTreeSet<&Path> = files.iter().map(PathBuf::as_path).collect();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.strip_prefix(&self.root).is_ok_and(|relative| !known.contains(relative)) {
                    std::fs::remove_file(&path)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes a file only when its content differs: its time is what cargo goes by.
fn renew(from: &Path, to: &Path) -> Result<()> {
    let content = std::fs::read(from).with_context(|| format!("{} can't be read", from.display()))?;
    if std::fs::read(to).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(to, content).with_context(|| format!("{} can't be written", to.display()))
}
