//! `demo`: build the binary, start the real servers it was asked to use, run it in front, end the
//! servers after it.

use std::ffi::OsString;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Result, bail};
use clap::Args;

use crate::console::note;
use crate::packages;
use crate::parts::{Place, kafka, redis};
use crate::process::{cargo, run_in_front};
use crate::test::Tally;

/// Examples:
///   cargo xtask demo                       on the embedded log, stays up until Ctrl-C
///   cargo xtask demo --exit --kafka --redis   starts both servers, ends with the verdict
#[derive(Debug, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// End after the verdict; not zero when anything does not add up
    #[arg(long)]
    exit: bool,
    /// Run on a real Kafka: at this address, or started for the demo
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "")]
    kafka: Option<String>,
    /// Keep the views in a real Redis: at this address, or started for the demo
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "")]
    redis: Option<String>,
    /// Where the sender API listens
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Folder for the log, the objects and the keys
    #[arg(long, value_name = "DIR")]
    data: Option<OsString>,
    /// How many messages to send
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// The services that may send
    #[arg(long, value_name = "FILE")]
    services: Option<OsString>,
    /// The citizens, their devices and choices
    #[arg(long, value_name = "FILE")]
    citizens: Option<OsString>,
    /// The messages to send, each with its expected end
    #[arg(long, value_name = "FILE")]
    messages_file: Option<OsString>,
    /// Written (JSON) when everything answers
    #[arg(long, value_name = "PATH")]
    ready_file: Option<OsString>,
    /// Anything else for `staffetta demo`
    #[arg(last = true)]
    more: Vec<OsString>,
}

/// The servers that live as long as the demo.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "held for their end only")]
struct Servers {
    kafka: Option<kafka::Kafka>,
    redis: Option<redis::Redis>,
}

/// `demo --exit`, on the embedded log or on a Kafka and a Redis of its own. `after` is asked while
/// these still run, with the address of the Kafka.
pub fn to_its_end(real: bool, after: impl FnOnce(Option<&str>) -> Result<Tally>) -> Result<Tally> {
    let server = real.then(String::new);
    let demo =
        Arguments { exit: true, kafka: server.clone(), redis: server, ..Arguments::default() };
    let (status, servers) = demo.run_beside_servers()?;
    let mut tally = Tally::one(status.success());
    tally.add(after(servers.kafka.as_ref().map(|kafka| kafka.bootstrap.as_str()))?);
    Ok(tally)
}

/// `staffetta topics apply` under a prefix, on a single broker; whether it succeeded.
pub fn apply_topics(bootstrap: &str, prefix: &str) -> Result<bool> {
    let mut apply = program(&["topics".into(), "apply".into()]);
    apply.env("STAFFETTA_LOG__KIND", "kafka").env("STAFFETTA_LOG__BOOTSTRAP", bootstrap);
    apply.env("STAFFETTA_LOG__PREFIX", prefix).env("STAFFETTA_LOG__REPLICATION", "1");
    Ok(run_in_front(&mut apply)?.success())
}

impl Arguments {
    pub fn run(self) -> Result<ExitCode> {
        Ok(exit_code(self.run_beside_servers()?.0))
    }

    fn run_beside_servers(self) -> Result<(ExitStatus, Servers)> {
        packages::ensure(&packages::BUILD)?;
        build()?;
        let (passed_on, servers) = self.start_servers()?;
        let status = run_in_front(&mut program(&passed_on))?;
        Ok((status, servers))
    }

    fn start_servers(self) -> Result<(Vec<OsString>, Servers)> {
        let mut servers = Servers::default();
        let kafka = match self.kafka.clone() {
            Some(address) if address.is_empty() => {
                let kafka = kafka::up(Place::passing("kafka"), kafka::Nodes::One)?;
                let address = kafka.bootstrap.clone();
                servers.kafka = Some(kafka);
                Some(address)
            }
            given => given,
        };
        let redis = match self.redis.clone() {
            Some(address) if address.is_empty() => {
                let redis = redis::up(Place::passing("redis"))?;
                let address = redis.address.clone();
                servers.redis = Some(redis);
                Some(address)
            }
            given => given,
        };
        Ok((self.passed_on(kafka, redis), servers))
    }

    fn passed_on(self, kafka: Option<String>, redis: Option<String>) -> Vec<OsString> {
        let mut out: Vec<OsString> = vec!["demo".into()];
        if self.exit {
            out.push("--exit".into());
        }
        let pairs = [
            ("--kafka", kafka.map(OsString::from)),
            ("--redis", redis.map(OsString::from)),
            ("--listen", self.listen.map(OsString::from)),
            ("--data", self.data),
            ("--messages", self.messages.map(|count| count.to_string().into())),
            ("--services", self.services),
            ("--citizens", self.citizens),
            ("--messages-file", self.messages_file),
            ("--ready-file", self.ready_file),
        ];
        for (flag, value) in pairs {
            if let Some(value) = value {
                out.extend([flag.into(), value]);
            }
        }
        out.extend(self.more);
        out
    }
}

/// `cargo` for the binary with its simulators; the manifest is named, so that the caller's own
/// folder stays the one from which relative paths are read.
fn staffetta(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.arg(command).arg("--manifest-path").arg(crate::process::workspace().join("Cargo.toml"));
    cargo.args(["--package", "staffetta", "--features", "simulators"]);
    cargo
}

pub fn build() -> Result<()> {
    let status = run_in_front(&mut staffetta("build"))?;
    if !status.success() {
        bail!("staffetta does not build");
    }
    Ok(())
}

/// `cargo run` replaces itself with the program, so signals and the exit code are the program's.
fn program(arguments: &[OsString]) -> Command {
    let mut command = staffetta("run");
    command.arg("--quiet").arg("--").args(arguments);
    command
}

pub fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(code(status))
}

/// The child's own code; 128 and the signal's number where a signal ended it, as shells say it.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    if let Some(signal) = status.signal() {
        note(format_args!("ended by signal {signal}"));
    }
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
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

    fn check(line: &[&str], expected: &[&str]) {
        let line = ["demo"].iter().chain(line);
        let arguments = Line::try_parse_from(line).unwrap().arguments;
        let (kafka, redis) = (arguments.kafka.clone(), arguments.redis.clone());
        assert_eq!(arguments.passed_on(kafka, redis), expected);
    }

    #[test]
    fn what_the_demo_understands_is_passed_on() {
        check(&[], &["demo"]);
        check(&["--exit", "--messages", "7"], &["demo", "--exit", "--messages", "7"]);
        check(&["--kafka", "127.0.0.1:9"], &["demo", "--kafka", "127.0.0.1:9"]);
        check(
            &["--ready-file", "r", "--data", "d", "--", "--seed", "3"],
            &["demo", "--data", "d", "--ready-file", "r", "--seed", "3"],
        );
    }

    #[test]
    fn a_server_without_an_address_is_asked_for() {
        let line = ["demo", "--kafka", "--redis", "--exit"];
        let arguments = Line::try_parse_from(line).unwrap().arguments;
        assert_eq!((arguments.kafka.as_deref(), arguments.redis.as_deref()), (Some(""), Some("")));
        assert!(arguments.exit);
    }

    #[test]
    fn the_exit_code_is_the_childs() {
        let check = |script: &str, expected: u8| {
            let status = run_in_front(Command::new("sh").args(["-c", script])).unwrap();
            assert_eq!(code(status), expected, "{script}");
        };
        check("exit 0", 0);
        check("exit 7", 7);
        check("kill -TERM $$", 143);
    }
}
