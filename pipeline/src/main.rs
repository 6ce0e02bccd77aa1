//! `staffetta`: one binary for every role.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    staffetta::commands::run(staffetta::commands::Cli::parse())
}
