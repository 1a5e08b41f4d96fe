//! Where the workspace and its build directory are, and which files belong to the workspace.

use crate::shell;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace on disk.
pub(crate) struct Repo {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's build directory, wherever the environment or the configuration puts it.
    pub(crate) target: PathBuf,
    /// The workspace's packages and what they depend on.
    pub(crate) packages: Vec<Package>,
}

/// A package, as `cargo metadata` tells it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What it depends on.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency of a package.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    /// The name of the package it depends on.
    pub(crate) name: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

impl Repo {
    /// Asks cargo, starting from the package that cargo runs, or else from the current folder.
    pub(crate) fn find() -> Result<Self> {
        let mut command = shell::cargo();
        if let Some(package) = std::env::var_os("CARGO_MANIFEST_DIR") {
            command.current_dir(package);
        }
        command.args(["metadata", "--offline", "--no-deps", "--format-version", "1"]);
        let output = shell::output(&mut command)?;
        let metadata: Metadata = serde_json::from_str(&output).context("cargo metadata is not understood")?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            packages: metadata.packages,
        })
    }

    /// The folder of the TypeScript sources.
    pub(crate) fn web(&self) -> PathBuf {
        self.root.join("crates/web")
    }

    /// A folder of our own below the build directory.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.target.join("xtask").join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("{} can't be made", path.display()))?;
        Ok(path)
    }

    /// The files that are in git, or would be after `git add`: relative, sorted, existing.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ]);
        let listed = shell::output(&mut git)?;
        let mut files: Vec<PathBuf> = listed
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .filter(|path| self.root.join(path).is_file())
            .collect();
        if files.is_empty() {
            bail!("git lists no files in {}", self.root.display());
        }
        files.sort();
        Ok(files)
    }

    /// The text of a file, or `None` when it is not UTF-8.
    pub(crate) fn text(&self, path: &Path) -> Result<Option<String>> {
        let bytes = std::fs::read(self.root.join(path))
            .with_context(|| format!("{} can't be read", path.display()))?;
        Ok(String::from_utf8(bytes).ok())
    }
}
