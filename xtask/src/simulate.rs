//! `simulate`: the whole pipeline in one thread under one seed, world after world, judged by a model of
//! its own. A failing seed is told together with the command that repeats it.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::demo::exit_code;
use crate::packages;
use crate::process::{cargo, run_in_front, workspace};
use crate::test::Tally;

/// The suite's worlds: ten seconds on two idle cores …
const SHORT: &str = "500";
/// … and no more of them after so many seconds, however busy the machine is.
const AT_MOST: &str = "25";

/// Examples:
///   cargo xtask simulate --seeds 20000
///   cargo xtask simulate --seeds 1 --seed 4711 --tell
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// So many worlds
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    seeds: u64,
    /// The first world's seed; the others follow
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Tell everything that happened in the first world
    #[arg(long)]
    tell: bool,
    /// End at the first mistake
    #[arg(long)]
    first: bool,
    /// Begin no world after so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Worlds at once; as many as there are processors unless told
    #[arg(long, value_name = "N")]
    threads: Option<u64>,
}

impl Arguments {
    pub fn run(&self) -> Result<ExitCode> {
        packages::ensure(&packages::BUILD)?;
        let mut command = Command::new(build()?);
        command.args(["--seeds", &self.seeds.to_string(), "--seed", &self.seed.to_string()]);
        command.args(self.tell.then_some("--tell")).args(self.first.then_some("--first"));
        for (flag, value) in [("--seconds", self.seconds), ("--threads", self.threads)] {
            if let Some(value) = value {
                command.args([flag, &value.to_string()]);
            }
        }
        Ok(exit_code(run_in_front(&mut command)?))
    }
}

/// The suite's short run.
pub fn short() -> Result<Tally> {
    let mut simulate = Command::new(build()?);
    let status = run_in_front(simulate.args(["--seeds", SHORT, "--seconds", AT_MOST]))?;
    Ok(Tally::one(status.success()))
}

/// Exactly as the tests build it: other features of what is shared would mean building all of it anew.
fn build() -> Result<PathBuf> {
    let mut build = cargo();
    build.current_dir(workspace()).args(["build", "--quiet", "--locked", "--workspace"]);
    build.args(["--features", "staffetta/simulators", "--bin", "simulate"]);
    if !run_in_front(&mut build)?.success() {
        bail!("the simulation does not build");
    }
    // This program lies in cargo's folder of unoptimised ones.
    let own = std::env::current_exe().context("where is this program?")?;
    Ok(own.with_file_name("simulate"))
}
