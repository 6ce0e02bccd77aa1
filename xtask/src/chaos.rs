//! `chaos`: build the binary under test and the campaign, start a Kafka of its own, run the campaign
//! in front. Everything else, Redis included, the campaign starts, hurts and ends itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::demo::exit_code;
use crate::packages::{self, Need};
use crate::parts::{Place, kafka};
use crate::process::{self, cargo, run_in_front};
use crate::servers::NodeCount;

/// Examples:
///   cargo xtask chaos --scenario kill
///   cargo xtask chaos --scenario redis-stop --log embedded --messages 2000 --seed 7
///   cargo xtask chaos --scenario crash-points --log embedded --rate 40
///   cargo xtask chaos --minutes 20 --nodes 3 --seed 7
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// kill, redis-stop, flushall or crash-points
    #[arg(long, required_unless_present = "minutes")]
    scenario: Option<String>,
    /// Draw faults from the seed for so long, every stage in two processes of its own, on Kafka
    #[arg(long, value_name = "M", conflicts_with = "scenario")]
    minutes: Option<u64>,
    /// Brokers of the Kafka
    #[arg(long, value_enum, default_value_t = NodeCount::One)]
    nodes: NodeCount,
    /// The log under test
    #[arg(long, value_enum, default_value_t = Log::Kafka)]
    log: Log,
    /// How many messages to send
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Draws the order of the messages and the moments of the faults
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Requests begun a second
    #[arg(long, value_name = "R")]
    rate: Option<u64>,
    /// Where the report is written as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<OsString>,
    /// Anything else for the campaign
    #[arg(last = true)]
    more: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Log {
    Kafka,
    Embedded,
}

impl Arguments {
    pub fn run(self) -> Result<ExitCode> {
        packages::ensure(&packages::BUILD)?;
        packages::ensure(&[Need::Redis])?;
        let program = build(self.scenario.as_deref() == Some(CRASH_POINTS))?;
        let kafka = match self.log {
            Log::Kafka => Some(kafka::up(Place::passing("kafka"), self.nodes.into())?),
            Log::Embedded => None,
        };
        let mut chaos = Command::new(program);
        if let Some(kafka) = &kafka {
            chaos.arg("--kafka").arg(&kafka.bootstrap);
            chaos.arg("--replication").arg(kafka.processes().len().to_string());
            for broker in kafka.processes() {
                chaos.arg("--broker").arg(broker.pid.to_string());
            }
        }
        chaos.args(self.passed_on());
        let status = run_in_front(&mut chaos)?;
        drop(kafka);
        Ok(exit_code(status))
    }

    fn passed_on(self) -> Vec<OsString> {
        let redis = process::find("redis-server").map(PathBuf::into_os_string);
        let pairs = [
            ("--scenario", self.scenario.map(OsString::from)),
            ("--minutes", self.minutes.map(|minutes| minutes.to_string().into())),
            ("--redis-server", redis),
            ("--messages", self.messages.map(|count| count.to_string().into())),
            ("--seed", self.seed.map(|seed| seed.to_string().into())),
            ("--rate", self.rate.map(|rate| rate.to_string().into())),
            ("--report", self.report),
        ];
        let mut out = Vec::new();
        for (flag, value) in pairs {
            if let Some(value) = value {
                out.extend([flag.into(), value]);
            }
        }
        out.extend(self.more);
        out
    }
}

/// The scenario whose processes must be able to end themselves.
const CRASH_POINTS: &str = "crash-points";

/// Builds both binaries in one go; where the campaign lies, the other beside it.
fn build(with_crash_points: bool) -> Result<PathBuf> {
    let manifest = process::workspace().join("Cargo.toml");
    let mut build = cargo();
    build.arg("build").arg("--manifest-path").arg(&manifest);
    build.args(["-p", "staffetta", "-p", "chaos", "--features", "staffetta/simulators"]);
    if with_crash_points {
        build.args(["--features", "staffetta/crash-points"]);
    }
    if !run_in_front(&mut build)?.success() {
        bail!("staffetta and its campaigns do not build");
    }
    let mut metadata = cargo();
    metadata.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
    let metadata: serde_json::Value =
        serde_json::from_str(&process::output(metadata.arg(manifest))?)?;
    let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(PathBuf::from(target).join("debug").join("chaos"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn what_the_campaign_understands_is_passed_on() {
        let line = ["chaos", "--scenario", "kill", "--seed", "7", "--", "--time-scale", "30"];
        let arguments = Line::try_parse_from(line).unwrap().arguments;
        assert_eq!(arguments.log, Log::Kafka);
        let passed = arguments.passed_on();
        let has = |pair: [&str; 2]| passed.windows(2).any(|two| two == pair);
        assert!(has(["--scenario", "kill"]) && has(["--seed", "7"]));
        assert!(has(["--time-scale", "30"]));
        assert!(!passed.iter().any(|word| word == "--messages"));
    }

    #[test]
    fn a_campaign_is_a_scenario_or_some_minutes() {
        let parses = |line: &[&str]| Line::try_parse_from([&["chaos"], line].concat()).is_ok();
        assert!(parses(&["--minutes", "20", "--nodes", "3"]));
        assert!(!parses(&[]));
        assert!(!parses(&["--minutes", "20", "--scenario", "kill"]));
    }
}
