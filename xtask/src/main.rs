//! `cargo xtask`: what a developer of Staffetta can do.
//!
//! Exit codes: 0 as wished; 1 something failed; 2 the command line is wrong; `demo`, `bench`,
//! `simulate` and `chaos` end with the code of the program they run.

mod bench;
mod chaos;
mod cli;
mod console;
mod demo;
mod deny;
mod fuzz;
mod helm;
mod incident;
mod interrupt;
mod mutants;
mod packages;
mod parts;
mod process;
mod readers;
mod servers;
mod simulate;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if let Err(error) = fuzz::compile_if_asked() {
        console::note(format_args!("xtask: {error:#}"));
        return ExitCode::FAILURE;
    }
    let command = cli::Cli::parse().command;
    match interrupt::listen().and_then(|()| command.run()) {
        Ok(code) => code,
        Err(error) => {
            console::note(format_args!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
