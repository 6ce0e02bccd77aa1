//! `bench`: build the binary and the benchmarks, start the Kafka that was asked for without an address,
//! run the benchmark in front, end the Kafka after it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::demo::exit_code;
use crate::packages;
use crate::parts::{Place, kafka};
use crate::process::{cargo, run_in_front, workspace};

/// Examples:
///   cargo xtask bench journey                          on the embedded log
///   cargo xtask bench journey --kafka                  on a Kafka started for it
///   cargo xtask bench journey --kafka 127.0.0.1:9092 --rate 500 --seconds 30 --json
///   cargo xtask bench journey --help                   what else it takes
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Bench {
    /// Which benchmark, and its own flags
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    more: Vec<OsString>,
}

/// How both programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    /// For figures.
    Release,
    /// For a smoke test: exactly what the tests have built already.
    Tests,
}

impl Bench {
    pub fn run(self) -> Result<ExitCode> {
        packages::ensure(&packages::BUILD)?;
        let smoke = self.more.iter().any(|word| word == "--smoke");
        let program = build(if smoke { Build::Tests } else { Build::Release })?;
        Ok(exit_code(measure(program, self.more)?))
    }
}

/// `bench journey --smoke`: whether everything works, no figure.
pub fn smoke() -> Result<ExitStatus> {
    measure(build(Build::Tests)?, vec!["journey".into(), "--smoke".into()])
}

fn measure(program: PathBuf, mut arguments: Vec<OsString>) -> Result<ExitStatus> {
    let kafka = match kafka_without_address(&arguments) {
        Some(at) => {
            let kafka = kafka::up(Place::passing("kafka"), kafka::Nodes::One)?;
            arguments.insert(at, kafka.bootstrap.clone().into());
            Some(kafka)
        }
        None => None,
    };
    let status = run_in_front(Command::new(program).args(arguments))?;
    drop(kafka);
    Ok(status)
}

/// Where the address is missing behind `--kafka`.
fn kafka_without_address(arguments: &[OsString]) -> Option<usize> {
    let flag = arguments.iter().position(|word| word == "--kafka")?;
    let next = arguments.get(flag + 1);
    let missing = next.is_none_or(|word| word.to_string_lossy().starts_with('-'));
    missing.then_some(flag + 1)
}

/// Builds both in one go, so that they lie side by side; gives the benchmarks' place.
fn build(how: Build) -> Result<PathBuf> {
    let mut build = cargo();
    build.arg("build").arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    build.args(["--features", "staffetta/simulators"]);
    match how {
        Build::Release => build.args(["--release", "-p", "staffetta", "-p", "benches"]),
        // Other packages beside them would mean other features of what they share: built once more.
        Build::Tests => build.arg("--workspace"),
    };
    if !run_in_front(&mut build)?.success() {
        bail!("staffetta and its benchmarks do not build");
    }
    // This program lies in cargo's folder of unoptimised ones.
    let own = std::env::current_exe().context("where is this program?")?;
    let folder = match how {
        Build::Release => {
            own.parent().and_then(|folder| folder.parent()).map(|f| f.join("release"))
        }
        Build::Tests => own.parent().map(PathBuf::from),
    };
    Ok(folder.context("this program lies in no folder of cargo's")?.join("benches"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<usize>) {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        assert_eq!(kafka_without_address(&words), expected, "{line}");
    }

    #[test]
    fn a_kafka_is_started_only_where_one_is_asked_for_without_an_address() {
        check("journey", None);
        check("journey --kafka", Some(2));
        check("journey --kafka --json", Some(2));
        check("journey --kafka 127.0.0.1:9 --json", None);
    }
}
