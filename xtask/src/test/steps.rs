//! The steps that are commands.

use std::io::IsTerminal;

use anyhow::Result;

use super::tally::Tally;
use crate::console::say;
use crate::parts::{Place, kafka, postfix, redis};
use crate::process::{self, cargo, run_in_front, run_in_front_seen};

/// With the simulators, or half of the demo would go unchecked.
const EVERYTHING: [&str; 4] = ["--workspace", "--locked", "--features", "staffetta/simulators"];

fn cargo_here(command: &str) -> std::process::Command {
    let mut cargo = cargo();
    cargo.current_dir(process::workspace()).arg(command);
    if std::io::stdout().is_terminal() {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    cargo
}

fn verdict(command: &mut std::process::Command) -> Result<Tally> {
    Ok(Tally::one(run_in_front(command)?.success()))
}

pub fn format() -> Result<Tally> {
    verdict(cargo_here("fmt").args(["--all", "--check"]))
}

pub fn tidy() -> Result<Tally> {
    Ok(Tally::one(crate::tidy::check()? == 0))
}

pub fn lints() -> Result<Tally> {
    let mut cargo = cargo_here("clippy");
    verdict(cargo.args(EVERYTHING).arg("--all-targets").args(["--", "-D", "warnings"]))
}

pub fn docs() -> Result<Tally> {
    let mut cargo = cargo_here("doc");
    verdict(cargo.args(EVERYTHING).arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}

/// Every test of the workspace. Those that need a server live in a module `kafka`, `redis` or `postfix` and
/// find its address in the environment; `quick` leaves these modules out.
pub fn tests(quick: bool) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut cargo = cargo_here("test");
    cargo.args(EVERYTHING).arg("--no-fail-fast");
    let mut servers = (None, None, None);
    if quick {
        cargo.args(["--", "--skip", "kafka::", "--skip", "redis::", "--skip", "postfix::"]);
        tally.skip(
            "every test in a module `kafka`, `redis` or `postfix`: --quick starts no server".into(),
        );
    } else {
        match kafka::up(Place::passing("kafka"), kafka::Nodes::One) {
            Ok(kafka) => {
                cargo.env("STAFFETTA_TEST_KAFKA", &kafka.bootstrap);
                servers.0 = Some(kafka);
            }
            Err(error) => report("kafka", &error, &mut tally),
        }
        match redis::up(Place::passing("redis")) {
            Ok(redis) => {
                cargo.env("STAFFETTA_TEST_REDIS", &redis.address);
                servers.1 = Some(redis);
            }
            Err(error) => report("redis", &error, &mut tally),
        }
        match postfix::up(Place::passing_for_all("postfix")) {
            Ok(postfix) => {
                cargo.env("STAFFETTA_TEST_SMTP", postfix.for_tests());
                servers.2 = Some(postfix);
            }
            Err(error) => report("postfix", &error, &mut tally),
        }
    }
    let mut results = Tally::default();
    let status = run_in_front_seen(&mut cargo, |line| results.read(line))?;
    drop(servers);
    // A program that does not compile, or dies, prints no result.
    if (!status.success() && results.is_good()) || !results.has_any() {
        results.add(Tally::failed());
    }
    tally.add(results);
    Ok(tally)
}

/// The tests that need the server fail as well, and say so; this line says why.
fn report(what: &str, error: &anyhow::Error, tally: &mut Tally) {
    say(format_args!("{what} could not be started: {error:#}"));
    tally.add(Tally::failed());
}

/// On what the demo runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    Embedded,
    Real,
}

/// The demo ends with zero only when every message has the end it should have.
pub fn demo(servers: Servers) -> Result<Tally> {
    let status = crate::demo::to_its_end(servers == Servers::Real)?;
    Ok(Tally::one(status.success()))
}
