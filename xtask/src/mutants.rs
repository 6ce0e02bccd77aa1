//! `mutants`: plants known bugs into a copy of the sources, one by one, and shows that each is caught: by
//! the simulation, or, where its log cannot show it, by a law that the patch names.
//!
//! A patch below `pipeline/simulate/mutants/` begins with three lines for people and for this command:
//! `Rule: …`, the rule that it breaks; `Hurts: …`, whom and how; and `Caught by: simulate` or
//! `Caught by: law <name> of <package>`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::console::{note, say, seconds};
use crate::process::{self, cargo, run_in_front, workspace};
use crate::test::Tally;
use crate::{interrupt, packages};

mod copy;

const FOLDER: &str = "pipeline/simulate/mutants";
/// Worlds that a bug has to show itself in; the sources as they are must stand all of them.
const WORLDS: &str = "2000";

/// Examples:
///   cargo xtask mutants
///   cargo xtask mutants final-status-twice time-to-live-ignored
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// These only, by the names of their files in `pipeline/simulate/mutants/`
    #[arg(value_name = "NAME")]
    only: Vec<String>,
}

/// One planted bug.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mutant {
    name: String,
    patch: PathBuf,
    rule: String,
    hurts: String,
    catcher: Catcher,
}

/// Who has to notice it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Catcher {
    Simulation,
    Law { name: String, package: String },
}

/// Whether every patch still applies to the sources as they are.
pub fn check() -> Result<Tally> {
    let mut tally = Tally::default();
    for mutant in mutants(&[])? {
        let mut git = Command::new("git");
        git.current_dir(workspace()).args(["apply", "--check"]).arg(&mutant.patch);
        let applies = process::output(&mut git);
        let word = if applies.is_ok() { "applies" } else { "DOES NOT APPLY: make it anew" };
        say(format_args!("mutant {} ... {word}", mutant.name));
        tally.add(Tally::one(applies.is_ok()));
    }
    Ok(tally)
}

impl Arguments {
    pub fn run(&self) -> Result<ExitCode> {
        packages::ensure(&packages::BUILD)?;
        let mutants = mutants(&self.only)?;
        let lab = Lab::new();
        lab.sound(&mutants)?;
        let mut survivors = 0;
        for mutant in &mutants {
            let since = Instant::now();
            let caught = lab.try_out(mutant)?;
            let took = seconds(since.elapsed());
            let Mutant { name, rule, hurts, .. } = mutant;
            match caught {
                Some(by) => say(format_args!("{name:<46} caught: {by} ({took})")),
                None => {
                    say(format_args!("{name:<46} SURVIVED ({took}): {rule}; else {hurts}"));
                    survivors += 1;
                }
            }
            if interrupt::requested() {
                bail!("interrupted");
            }
        }
        lab.restore()?;
        say(format_args!("{} of {} caught", mutants.len() - survivors, mutants.len()));
        Ok(if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Those of the folder, in order of their names.
fn mutants(only: &[String]) -> Result<Vec<Mutant>> {
    let folder = workspace().join(FOLDER);
    let mut mutants = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
        let patch = entry?.path();
        let Some(name) = patch.file_stem().and_then(|name| name.to_str()) else { continue };
        if patch.extension().is_none_or(|it| it != "patch") {
            continue;
        }
        let text = std::fs::read_to_string(&patch)?;
        let name = name.to_owned();
        let head = head(&text).with_context(|| format!("the head of {name}"))?;
        let Head { rule, hurts, catcher } = head;
        mutants.push(Mutant { name, patch, rule, hurts, catcher });
    }
    mutants.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(unknown) = only.iter().find(|name| !mutants.iter().any(|it| it.name == **name)) {
        bail!("there is no mutant {unknown} in {FOLDER}");
    }
    mutants.retain(|mutant| only.is_empty() || only.contains(&mutant.name));
    Ok(mutants)
}

/// What a patch says before its first difference.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    rule: String,
    hurts: String,
    catcher: Catcher,
}

fn head(text: &str) -> Result<Head> {
    let line = |start: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(start));
        let said = found.map(str::trim).filter(|said| !said.is_empty());
        said.map(str::to_owned).with_context(|| format!("says nothing behind `{start}`"))
    };
    let by = line("Caught by:")?;
    let law = by.strip_prefix("law ").and_then(|law| law.split_once(" of "));
    let catcher = match law {
        Some((name, package)) => {
            Catcher::Law { name: name.trim().to_owned(), package: package.trim().to_owned() }
        }
        None if by == "simulate" => Catcher::Simulation,
        None => bail!("`{by}` is neither `simulate` nor `law <name> of <package>`"),
    };
    Ok(Head { rule: line("Rule:")?, hurts: line("Hurts:")?, catcher })
}

/// A copy of the sources with a build folder of its own, so that no planted bug meets a shipped build.
struct Lab {
    tree: PathBuf,
    target: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let folder = workspace().join("target/mutants");
        Self { tree: folder.join("tree"), target: folder.join("target") }
    }

    /// The tracked files as they lie in the workspace now; what is equal keeps its age, so that only
    /// changed crates are built anew.
    fn restore(&self) -> Result<()> {
        copy::tracked(&workspace(), &self.tree)
    }

    /// Without a bug nobody raises an alarm: else catching proves nothing.
    fn sound(&self, mutants: &[Mutant]) -> Result<()> {
        self.restore()?;
        if mutants.iter().any(|mutant| mutant.catcher == Catcher::Simulation)
            && let Some(alarm) = self.simulation()?
        {
            bail!("the sources as they are do not stand the simulation: {alarm}");
        }
        for mutant in mutants {
            if let Catcher::Law { name, package } = &mutant.catcher
                && let Some(alarm) = self.law(name, package)?
            {
                bail!("the sources as they are: {alarm}");
            }
        }
        Ok(())
    }

    /// What caught it; absent if nothing did.
    fn try_out(&self, mutant: &Mutant) -> Result<Option<String>> {
        self.restore()?;
        let mut git = Command::new("git");
        // Outside any repository, so that the patch applies to this folder.
        git.current_dir(&self.tree)
            .env("GIT_CEILING_DIRECTORIES", self.tree.parent().unwrap_or(&self.tree));
        git.arg("apply").arg(&mutant.patch);
        process::output(&mut git).with_context(|| format!("{} does not apply", mutant.name))?;
        match &mutant.catcher {
            Catcher::Simulation => self.simulation(),
            Catcher::Law { name, package } => self.law(name, package),
        }
        .with_context(|| mutant.name.clone())
    }

    fn cargo(&self, words: &[&str]) -> Command {
        let mut cargo = cargo();
        cargo.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        // Nobody looks for a line of code here; without them it links faster.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").args(words);
        cargo
    }

    /// The first mistake that the simulation finds.
    fn simulation(&self) -> Result<Option<String>> {
        let mut build = self.cargo(&["build", "--quiet", "--locked", "--package", "simulate"]);
        if !run_in_front(&mut build)?.success() {
            bail!("does not build");
        }
        let program = self.target.join("debug/simulate");
        let mut simulate = Command::new(&program);
        let out = simulate.args(["--seeds", WORLDS, "--first"]).output();
        let out = out.with_context(|| format!("cannot start {}", program.display()))?;
        let said = String::from_utf8_lossy(&out.stdout);
        if out.status.success() {
            return Ok(None);
        }
        let seed = said.lines().find(|line| line.starts_with("seed "));
        let law = said.lines().skip_while(|line| !line.starts_with("seed ")).nth(1);
        let (Some(seed), Some(law)) = (seed, law) else {
            note(&said);
            bail!("the simulation ended with {} and names no seed", out.status);
        };
        let law = law.trim().split(": ").next().unwrap_or_default();
        Ok(Some(format!("{} {law}", seed.trim())))
    }

    /// The law's name, if it does not hold.
    fn law(&self, name: &str, package: &str) -> Result<Option<String>> {
        let mut test =
            self.cargo(&["test", "--quiet", "--locked", "--package", package, "--lib", name]);
        let out = test.output().context("cannot start cargo")?;
        let said = String::from_utf8_lossy(&out.stdout);
        if out.status.success() && said.contains("1 passed") {
            return Ok(None);
        }
        if said.contains(&format!("{name} stdout")) || said.contains("1 failed") {
            return Ok(Some(format!("law {name} of {package}")));
        }
        note(format_args!("{said}{}", String::from_utf8_lossy(&out.stderr)));
        bail!("cargo test says nothing of the law {name} of {package}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_which_rule_it_breaks_whom_that_hurts_and_who_must_notice() {
        let check = |by: &str| {
            let text = format!("Rule: a rule\nHurts: somebody\nCaught by: {by}\n\ndiff --git");
            head(&text).ok().map(|head| head.catcher)
        };
        let law = Catcher::Law { name: "a::b".into(), package: "runtime".into() };
        assert_eq!(check("simulate"), Some(Catcher::Simulation));
        assert_eq!(check("law a::b of runtime"), Some(law));
        assert_eq!(check("somebody"), None);
        assert!(head("Rule: a rule\nHurts:\nCaught by: simulate").is_err());
    }

    #[test]
    fn at_least_a_dozen_bugs_are_kept_for_the_simulation() {
        let mutants = mutants(&[]).unwrap();
        let simulated = mutants.iter().filter(|it| it.catcher == Catcher::Simulation).count();
        assert!(simulated >= 12, "{simulated} of {}", mutants.len());
    }
}
