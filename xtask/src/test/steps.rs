//! The steps that are commands.

use std::io::IsTerminal;

use anyhow::Result;

use super::tally::Tally;
use crate::console::say;
use crate::parts::{Place, kafka, postfix, redis};
use crate::process::{self, cargo, run_in_front, run_in_front_seen};
use crate::readers;

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
                cargo.env("STAFFETTA_TEST_KAFKA_FOLDER", kafka.folder());
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
        match readers::python(&readers::RECORDS) {
            Ok(python) => {
                cargo.env("STAFFETTA_TEST_PYTHON", python);
            }
            Err(error) => report("the verifier in another language", &error, &mut tally),
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

/// The chart, its alerts and its dashboards.
pub fn chart() -> Result<Tally> {
    crate::helm::quickly()
}

/// Whether every kept mutant still applies; then some hundred worlds, each judged by a model of its own.
pub fn simulate() -> Result<Tally> {
    let mut tally = crate::mutants::check()?;
    tally.add(crate::simulate::short()?);
    Ok(tally)
}

/// Zero only when no message was lost, doubled or unknown to the providers' books.
pub fn bench_smoke() -> Result<Tally> {
    Ok(Tally::one(crate::bench::smoke()?.success()))
}

/// On what the demo runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    Embedded,
    Real,
}

/// The demo ends with zero only when every message has the end it should have. On a real Kafka, readers
/// in another language then look at what it left.
pub fn demo(servers: Servers) -> Result<Tally> {
    crate::demo::to_its_end(servers == Servers::Real, |kafka| match kafka {
        Some(bootstrap) => read_by_others(bootstrap),
        None => Ok(Tally::default()),
    })
}

/// As many as the demo sends.
const DEMO_MESSAGES: &str = "2000";
const PREFIX: &str = "table-";

fn read_by_others(bootstrap: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let file = |name: &str| process::workspace().join(name).display().to_string();
    let (readme, schema) = (file("README.md"), file("schemas/avro/message_status.avsc"));
    let broker = ["--bootstrap", bootstrap];
    let status = ["--schema", &schema, "--messages", DEMO_MESSAGES];
    tally.add(Tally::one(readers::agrees("status.py", &[&broker[..], &status].concat())?));
    let table = ["--readme", &readme];
    let records = [&broker[..], &table, &["--records"]].concat();
    tally.add(Tally::one(readers::agrees("topics.py", &records)?));
    let applied = [&broker[..], &table, &["--prefix", PREFIX]].concat();
    let agree =
        crate::demo::apply_topics(bootstrap, PREFIX)? && readers::agrees("topics.py", &applied)?;
    tally.add(Tally::one(agree));
    Ok(tally)
}
