//! `cargo xtask bench`: what the whole pipeline carries, measured from outside.
//!
//! Exit codes: 0 measured; 1 it could not be; 2 the command line is wrong; 3 it ran and lost or
//! doubled messages.

mod console;
mod figures;
mod floor;
mod http;
mod journey;
mod logs;
mod machine;
mod meter;
mod pacer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Benchmarks of Staffetta.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Messages through the whole chain, beside a bare chain of copies on the same log
    Journey(journey::Options),
    /// The bare chain of copies alone; `journey` runs it
    #[command(hide = true)]
    Floor(floor::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Journey(options) => journey::run(&options),
        Command::Floor(options) => floor::run(&options).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        console::note(format_args!("bench: {error:#}"));
        ExitCode::FAILURE
    })
}
