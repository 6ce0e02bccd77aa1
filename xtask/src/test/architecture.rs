//! What depends on what, asked of `cargo tree`. A negative answer proves nothing while the question
//! may be misspelt, so each has a twin that must be answered with yes.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::tally::Tally;
use crate::console::say;
use crate::process;

/// `cargo tree -p <package> -i <other>`, and what else it needs.
struct Question {
    package: &'static str,
    other: &'static str,
    more: &'static [&'static str],
}

struct Rule {
    absent: Question,
    twin: Question,
}

const fn ask(package: &'static str, other: &'static str) -> Question {
    Question { package, other, more: &[] }
}

const fn rule(package: &'static str, other: &'static str, twin: &'static str) -> Rule {
    Rule { absent: ask(package, other), twin: ask(twin, other) }
}

const WITH_SIMULATORS: &[&str] = &["--features", "simulators"];

const RULES: [Rule; 23] = [
    // a rule of the product neither waits nor moves records
    rule("policy", "tokio", "consumers"),
    rule("policy", "runtime", "consumers"),
    rule("runtime", "policy", "consumers"),
    // records and topics stand below everything
    rule("schemas", "tokio", "consumers"),
    // sealing and the edge know neither rules nor logs, the edge no message either
    rule("sealing", "policy", "consumers"),
    rule("sealing", "runtime", "consumers"),
    rule("edge", "schemas", "consumers"),
    rule("edge", "policy", "consumers"),
    rule("edge", "runtime", "consumers"),
    // a double that shares our code shares our mistakes
    rule("simulators", "schemas", "staffetta"),
    rule("simulators", "policy", "staffetta"),
    rule("simulators", "runtime", "staffetta"),
    rule("simulators", "sealing", "staffetta"),
    rule("simulators", "edge", "staffetta"),
    rule("simulators", "producers", "staffetta"),
    rule("simulators", "consumers", "staffetta"),
    // a checker that shares the rules shares their mistakes
    rule("chaos", "policy", "staffetta"),
    rule("chaos", "consumers", "staffetta"),
    rule("chaos", "producers", "staffetta"),
    rule("chaos", "sealing", "staffetta"),
    rule("chaos", "edge", "staffetta"),
    // this command starts what a clean machine has not built yet
    rule("xtask", "rdkafka", "runtime"),
    // what is released holds no double
    Rule {
        absent: ask("staffetta", "simulators"),
        twin: Question { package: "staffetta", other: "simulators", more: WITH_SIMULATORS },
    },
];

pub fn check() -> Result<Tally> {
    let mut tally = Tally::default();
    for rule in &RULES {
        let (absent, twin) = (&rule.absent, &rule.twin);
        let verdict = match (absent.is_yes()?, twin.is_yes()?) {
            (false, true) => "ok",
            (true, _) => "BROKEN",
            (false, false) => "PROVES NOTHING: its twin is answered with no",
        };
        say(format_args!("! {absent}   twin {twin} ... {verdict}"));
        tally.add(Tally::one(verdict == "ok"));
    }
    Ok(tally)
}

impl Question {
    fn is_yes(&self) -> Result<bool> {
        let out = process::cargo()
            .current_dir(process::workspace())
            .args(["tree", "--locked", "--depth", "0", "-p", self.package, "-i", self.other])
            .args(self.more)
            .stdin(Stdio::null())
            .output()
            .context("cannot start cargo tree")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        answer(self.other, out.status.success(), &text(&out.stdout), &text(&out.stderr))
    }
}

/// Yes is a tree with the package at its root; no is one of cargo's two ways to say so; anything
/// else is an error, never an answer.
fn answer(package: &str, success: bool, out: &str, err: &str) -> Result<bool> {
    if success && out.starts_with(&format!("{package} v")) {
        return Ok(true);
    }
    if success && out.trim().is_empty() && err.contains("nothing to print") {
        return Ok(false);
    }
    if !success && err.contains(&format!("`{package}` did not match any packages")) {
        return Ok(false);
    }
    bail!("cargo tree does not say whether {package} is there: {out}{err}")
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cargo tree -p {} -i {}", self.package, self.other)?;
        self.more.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_no_and_nonsense_are_told_apart() {
        let no = "error: package ID specification `tokio` did not match any packages";
        assert!(answer("tokio", true, "tokio v1.54.1\n", "").unwrap());
        assert!(!answer("tokio", false, "", no).unwrap());
        assert!(!answer("tokio", true, "", "warning: nothing to print.\n").unwrap());
        assert!(answer("tokio", false, "", "error: no such command").is_err());
        assert!(answer("tokio", false, "", &no.replace("tokio", "polcy")).is_err());
        assert!(answer("tokio", true, "", "").is_err());
    }

    /// A question that the document claims and nobody asks would be a hope.
    #[test]
    fn every_command_of_the_document_is_asked() {
        let document = include_str!("../../../ARCHITECTURE.md");
        let asked: Vec<String> = RULES.iter().map(|rule| rule.absent.to_string()).collect();
        let quoted = document.split("`! ").skip(1).filter_map(|rest| rest.split('`').next());
        let claimed: Vec<&str> = quoted.filter(|command| !command.contains('<')).collect();
        assert!(claimed.len() > 5, "{claimed:?}");
        for command in claimed {
            assert!(asked.iter().any(|asked| asked == command), "{command} is not asked");
        }
    }
}
