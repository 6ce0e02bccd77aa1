//! The command line.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{
    bench, chaos, demo, deny, fuzz, helm, incident, mutants, servers, simulate, test, tidy,
};

/// What a developer of Staffetta can do.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build Staffetta with its simulators and show a whole run
    Demo(Box<demo::Arguments>),
    /// Check everything: what the continuous integration runs
    Test(test::Arguments),
    /// Check the house rules that no lint knows
    Tidy,
    /// Ask cargo-deny about licences, bans and sources; installs it below target/ if it is missing
    Deny,
    /// Check the Helm chart, its alerts and its dashboards; builds helm, kubeconform and kube-score below target/
    Helm,
    /// Hurt what runs and see which alert a real Prometheus fires; takes minutes
    Incident(incident::Arguments),
    /// A real Apache Kafka on this machine
    #[command(subcommand)]
    Kafka(servers::Kafka),
    /// A real Redis on this machine
    #[command(subcommand)]
    Redis(servers::Redis),
    /// A real Postfix on this machine
    #[command(subcommand)]
    Postfix(servers::Postfix),
    /// Measure: build the benchmarks in release mode and run one
    Bench(bench::Bench),
    /// Simulate the whole pipeline under drawn faults, one world a seed
    Simulate(simulate::Arguments),
    /// Plant known bugs into a copy of the sources and show that each is caught
    Mutants(mutants::Arguments),
    /// Hurt what runs and prove that nothing is lost: a failure campaign on real parts
    Chaos(chaos::Arguments),
    /// Hostile input, guided by coverage, for as long as you like; the suite replays what is kept
    Fuzz(fuzz::Arguments),
}

impl Command {
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Self::Demo(arguments) => arguments.run(),
            Self::Test(arguments) => test::run(&arguments),
            Self::Tidy => tidy::run(),
            Self::Deny => deny::run(),
            Self::Helm => helm::run(),
            Self::Incident(arguments) => arguments.run(),
            Self::Kafka(command) => command.run(),
            Self::Redis(command) => command.run(),
            Self::Postfix(command) => command.run(),
            Self::Bench(arguments) => arguments.run(),
            Self::Simulate(arguments) => arguments.run(),
            Self::Mutants(arguments) => arguments.run(),
            Self::Chaos(arguments) => arguments.run(),
            Self::Fuzz(arguments) => arguments.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
