//! `cargo xtask fuzz`: guided by coverage, on the pinned stable toolchain. libFuzzer needs code that counts
//! where it has been; rustc's own coverage pass makes it, for the crates of this workspace alone, so that
//! nothing from outside is compiled again. No sanitizer: those need a nightly toolchain, and our code has
//! no `unsafe` for them to watch but the bindings to librdkafka, which no stranger's byte reaches unread.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::console::say;
use crate::packages::{self, Need};
use crate::process::{cargo, run_in_front, workspace};

/// Examples:
///   cargo xtask fuzz                              every target for a minute
///   cargo xtask fuzz --seconds 600 smtp_replies   one target for ten
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// For each target
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The targets, by the names of the folders in fuzz/corpus; all where none is given
    targets: Vec<String>,
}

/// Set for cargo, which then calls this program in place of rustc for crates of the workspace.
const AS_RUSTC: &str = "STAFFETTA_FUZZ_AS_RUSTC";

/// What `cargo fuzz` passes, but for the sanitizer. `level=4` is every edge; the others are the tables that
/// libFuzzer reads.
const COUNTED: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Longer inputs exercise nothing more; `fuzz/src/lib.rs` bounds each target by itself.
const LONGEST: u32 = 8_192;

/// Where cargo called this program as its compiler: becomes that compiler, and never returns.
///
/// # Errors
/// The compiler cannot be started.
pub fn compile_if_asked() -> Result<()> {
    if std::env::var_os(AS_RUSTC).is_none() {
        return Ok(());
    }
    let mut words = std::env::args_os().skip(1);
    let rustc = words.next().context("cargo names no compiler")?;
    let failed = Command::new(&rustc).args(words).args(COUNTED).exec();
    Err(failed).with_context(|| format!("cannot start {}", rustc.display()))
}

impl Arguments {
    /// Ends with 1 if any target found something; the others ran all the same.
    ///
    /// # Errors
    /// What is to be built or started cannot be.
    pub fn run(&self) -> Result<ExitCode> {
        packages::ensure(&[&packages::BUILD[..], &[Need::Compiler]].concat())?;
        let kept = workspace().join("fuzz/corpus");
        let targets = targets(&kept, &self.targets)?;
        let program = build()?;
        let mut found = Vec::new();
        for target in targets {
            say(format_args!("\n=== {target}"));
            if !guided(&program, &kept.join(&target), &target, self.seconds)? {
                found.push(target);
            }
        }
        if found.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        say(format_args!(
            "\nfound something in {}: move the file named above to fuzz/corpus/<target>/ under a name \
             that says what it is, and mend what it shows",
            found.join(", ")
        ));
        Ok(ExitCode::FAILURE)
    }
}

fn targets(kept: &Path, asked: &[String]) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(kept).with_context(|| format!("{}", kept.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut known: Vec<String> = names.collect();
    known.sort();
    if let Some(stranger) = asked.iter().find(|name| !known.contains(name)) {
        bail!("no target is called {stranger}; there are {}", known.join(", "));
    }
    Ok(if asked.is_empty() { known } else { asked.to_vec() })
}

/// With the features of the whole workspace, so that what is built from outside is what is there.
fn build() -> Result<PathBuf> {
    let mut build = cargo();
    build.current_dir(workspace()).env(AS_RUSTC, "1");
    build.env("RUSTC_WORKSPACE_WRAPPER", std::env::current_exe()?);
    build.args(["build", "--locked", "--workspace", "--bin", "guided"]);
    build.args(["--features", "staffetta/simulators,fuzz/guided"]);
    if !run_in_front(&mut build)?.success() {
        bail!("the fuzzer does not build: see above");
    }
    Ok(workspace().join("target/debug/guided"))
}

/// True: nothing was found.
fn guided(program: &Path, kept: &Path, target: &str, seconds: u64) -> Result<bool> {
    let work = workspace().join("target/fuzz").join(target);
    std::fs::create_dir_all(&work)?;
    let mut found = OsString::from("-artifact_prefix=");
    found.push(workspace().join(format!("target/fuzz/{target}-found-")));
    let mut run = Command::new(program);
    run.env("STAFFETTA_FUZZ_TARGET", target).args([&work, kept]).arg(found).args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={LONGEST}"),
        "-timeout=5".to_owned(),
        "-rss_limit_mb=1024".to_owned(),
        "-malloc_limit_mb=256".to_owned(),
        "-print_final_stats=1".to_owned(),
        "-verbosity=1".to_owned(),
    ]);
    Ok(run_in_front(&mut run)?.success())
}
