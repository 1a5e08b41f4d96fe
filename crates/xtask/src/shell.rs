//! Running other programs: echoed, without a standard input, with a clear error when they fail.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Cargo, without what an outer `cargo run` told this process about the xtask package: build scripts
/// that watch these variables would otherwise build again and again.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_outer_package(&mut command);
    command
}

/// Removes the variables that describe the package of an outer `cargo run`.
pub(crate) fn forget_outer_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let described = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        if described {
            command.env_remove(&name);
        }
    }
}

/// A command as somebody would type it.
pub(crate) fn line(command: &Command) -> String {
    let quoted = |text: &OsStr| {
        let text = text.to_string_lossy().into_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    };
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    std::iter::once(program).chain(command.get_args()).map(quoted).collect::<Vec<_>>().join(" ")
}

/// Runs a command whose output goes where ours goes.
///
/// # Errors
/// When the program is missing or does not end with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("$ {line}");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("`{line}` can't be run"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns what it wrote to its standard output.
///
/// # Errors
/// When the program is missing, does not end with 0, or writes something that is not UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("`{line}` can't be run"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` wrote something that is not UTF-8"))
}

/// Runs a command quietly and returns both outputs and whether it ended with 0.
///
/// # Errors
/// When the program can't be run at all.
pub(crate) fn quiet(command: &mut Command) -> Result<(bool, String)> {
    let line = line(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("`{line}` can't be run"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}

/// Where a program is on the `PATH`.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_pasted_into_a_shell() {
        let mut command = Command::new("/usr/bin/echo");
        command.args(["--plain=1", "two words", "it's", ""]);
        assert_eq!(line(&command), r"echo --plain=1 'two words' 'it'\''s' ''");
    }

    #[test]
    fn a_failing_program_is_an_error_that_names_it() {
        let error = run(&mut Command::new("false")).expect_err("false fails");
        assert!(error.to_string().contains("`false` failed"), "{error}");
        let error = run(&mut Command::new("no-such-program-here")).expect_err("it is not there");
        assert!(error.to_string().contains("can't be run"), "{error}");
    }
}
