//! `cargo xtask test`: everything that must hold, in one command. Every step runs whatever happened
//! before it, so that one run reports all that is wrong.

mod alone;
mod architecture;
mod licences;
mod steps;
mod tally;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::console::{say, seconds};
use crate::{interrupt, packages};
pub use tally::Tally;

/// Ends with the line `N passed, N failed`; exit code 1 when anything failed.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Leave out what needs a real Kafka or Redis, and say so
    #[arg(long)]
    quick: bool,
    /// Run these steps only, and name the others as skipped
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Step>,
}

/// In the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Formatting
    Format,
    /// Clippy, warnings denied
    Lints,
    /// Documentation, warnings denied
    Docs,
    /// Each crate by itself
    Alone,
    /// Licences and sources of every dependency
    Licences,
    /// What depends on what
    Architecture,
    /// House rules that no lint knows
    Tidy,
    /// The chart for Kubernetes, its alerts and its dashboards
    Chart,
    /// Unit, property and integration tests, conformance on both logs
    Tests,
    /// Every kept mutant still applies; some hundred simulated worlds
    Simulate,
    /// The demo on the embedded log
    Demo,
    /// The whole-chain benchmark with a few hundred messages: whether it works, no figure
    BenchSmoke,
    /// The demo on a real Kafka and Redis
    DemoReal,
}

impl Step {
    fn needs_servers(self) -> bool {
        match self {
            Self::DemoReal => true,
            Self::Format
            | Self::Lints
            | Self::Docs
            | Self::Alone
            | Self::Licences
            | Self::Architecture
            | Self::Tidy
            | Self::Chart
            | Self::Tests
            | Self::Simulate
            | Self::Demo
            | Self::BenchSmoke => false,
        }
    }

    fn run(self, quick: bool) -> Result<Tally> {
        match self {
            Self::Format => steps::format(),
            Self::Lints => steps::lints(),
            Self::Docs => steps::docs(),
            Self::Alone => alone::check(),
            Self::Licences => licences::check(),
            Self::Architecture => architecture::check(),
            Self::Tidy => steps::tidy(),
            Self::Chart => steps::chart(),
            Self::Tests => steps::tests(quick),
            Self::Simulate => steps::simulate(),
            Self::Demo => steps::demo(steps::Servers::Embedded),
            Self::BenchSmoke => steps::bench_smoke(),
            Self::DemoReal => steps::demo(steps::Servers::Real),
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    packages::ensure(&packages::BUILD)?;
    let mut total = Tally::default();
    for step in Step::value_variants() {
        let left_out = (!arguments.only.is_empty() && !arguments.only.contains(step))
            || (arguments.quick && step.needs_servers());
        if left_out {
            total.skip(format!("{step:?}: not asked for"));
            continue;
        }
        say(format_args!("\n=== {step:?}"));
        let since = Instant::now();
        let tally = step.run(arguments.quick).unwrap_or_else(|error| {
            say(format_args!("{error:#}"));
            Tally::failed()
        });
        let verdict = if tally.is_good() { "ok" } else { "FAILED" };
        say(format_args!("=== {step:?}: {verdict} ({})", seconds(since.elapsed())));
        total.add(tally);
        if interrupt::requested() {
            total.add(Tally::failed());
            say("interrupted: the steps after this one did not run");
            break;
        }
    }
    say("");
    for skipped in total.skipped() {
        say(format_args!("SKIPPED {skipped}"));
    }
    say(&total);
    Ok(if total.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
