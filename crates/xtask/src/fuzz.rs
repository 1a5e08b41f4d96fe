//! A fuzzer feeds what anybody may send, each target for a bounded time.

use crate::repo::Repo;
use crate::shell;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// How long each target is fed, in seconds, unless the environment says otherwise.
const SECONDS: &str = "15";
/// What an input may weigh, in bytes.
const LONGEST: &str = "4096";
/// Has the compiler count which code an input reaches. Stable Rust can do that; it is what cargo-fuzz does, but for
/// the sanitizers, and there is no unsafe code here.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// How much is shown of what a target that failed has said.
const LINES: usize = 60;

/// The targets, each with what it begins with.
static TARGETS: &[(&str, &[&[u8]])] = &[
    (
        "fuzz-frames",
        &[
            br#"{"action":"create_session","message_types":["*"],"user_attrs":{"name":"A"}}"#,
            b"{\"action\":\"send_message\",\"action_id\":1,\"channel_id\":\"00aa\",\"message_type\":\"a\",\"frames\":2}\xff{}\xff{}",
            br#"{"action":"request_audience","action_id":1,"queue_id":"00aa","audience_metadata":{"secure":"a.b"}}"#,
            br#"{"action":"join_channel","channel_id":"00aa","payload":["x",{"a":1.5e300}],"event_id":9}"#,
        ],
    ),
    ("fuzz-bodies", &[b"\x01a\x00\x7e\x00\x01b", b"\x0a\x05\x0a\x03abc\x0a\x00", b"\x7f\x00\x00\x00\x00\x00\x00\x00\x01c"]),
    (
        "fuzz-tokens",
        &[
            b"22nlihvg.1444077534.EGk2DnQT.AAAA.1",
            b"22nlihvg-1444077534-EGk2DnQT-AAAA-1",
            b"22nlihvg.mONwgi61ZoInzc3E2l2WdFtZ8L0dy9PVaNjshFvw8KeZQDEqYbrTYrnEECG9kApqWKefcwUM0zDfUno99xWl6Q",
            b"eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJleHAiOjE0NDQwNzc1MzQsInN1YiI6IngifQ.AAAA",
            b"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiayJ9..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
        ],
    ),
];

/// Builds the targets and feeds each.
///
/// # Errors
/// When one fails: the input is kept and its path printed.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let seconds = std::env::var("LEVEE_FUZZ_SECONDS").unwrap_or_else(|_| SECONDS.to_owned());
    let folder = repo.target.join("fuzz");
    let build = [
        "build",
        "--profile",
        "fuzz",
        "--locked",
        "--package",
        "levee-fuzz",
        "--features",
        "fuzzer",
        "--bins",
    ];
    // A target of its own, so that the flags meet neither build scripts nor what others have built.
    let host = host()?;
    let mut cargo = shell::cargo();
    cargo.current_dir(&repo.root).args(build).args(["--target", &host]);
    shell::run(cargo.env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", FLAGS))?;
    for (name, inputs) in TARGETS {
        let corpus = folder.join(name);
        fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(corpus.join(format!("first-{number}")), input)?;
        }
        println!("{name}: {seconds} s; LEVEE_FUZZ_SECONDS=3600 does it for an hour");
        feed(&folder.join(&host).join("fuzz").join(name), &corpus, &seconds)?;
    }
    Ok(())
}

fn feed(target: &Path, corpus: &Path, seconds: &str) -> Result<()> {
    let failures = corpus.with_extension("failures");
    fs::create_dir_all(&failures)?;
    let mut command = Command::new(target);
    command.arg(corpus).args([format!("-max_total_time={seconds}"), format!("-max_len={LONGEST}")]);
    command.args([
        "-timeout=5",
        "-rss_limit_mb=512",
        "-print_final_stats=1",
        "-verbosity=0",
        "-print_funcs=0",
    ]);
    command.arg(format!("-artifact_prefix={}/", failures.display()));
    let log = corpus.with_extension("log");
    command.stderr(fs::File::create(&log).with_context(|| log.display().to_string())?);
    let fed = shell::run(&mut command);
    let said = fs::read_to_string(&log).unwrap_or_default();
    let told = |line: &&str| fed.is_err() || line.starts_with("stat::");
    let mut lines: Vec<&str> = said.lines().rev().filter(told).take(LINES).collect();
    lines.reverse();
    println!("{}", lines.join("\n"));
    fed.with_context(|| format!("what it failed with is in {}", failures.display()))
}

/// The name of this machine's kind, as the compiler has it.
fn host() -> Result<String> {
    let text = shell::output(Command::new("rustc").arg("-vV"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc names no host")?.to_owned())
}
