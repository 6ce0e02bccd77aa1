//! Licences and sources of everything that is linked, by the lists in `deny.toml`. It reads what each
//! package says of itself; it does not look for advisories, which needs a database of its own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::tally::Tally;
use crate::console::say;
use crate::process;

const LISTS: &str = include_str!("../../../deny.toml");
/// Cargo's name for its public registry, whichever mirror serves it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Deny {
    licenses: Lists,
}

#[derive(Deserialize)]
struct Lists {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

pub fn check() -> Result<Tally> {
    let deny: Deny = toml::from_str(LISTS).context("deny.toml has no list of licences")?;
    let metadata = metadata()?;
    let findings = findings(&metadata, &deny.licenses);
    for finding in &findings {
        say(finding);
    }
    say(format_args!("{} packages by deny.toml", metadata.packages.len()));
    Ok(Tally::one(findings.is_empty() && metadata.packages.len() > 1))
}

/// For this platform only: what is built here.
fn metadata() -> Result<Metadata> {
    let rustc = process::output(std::process::Command::new("rustc").arg("-vV"))?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say for which host it is")?;
    let mut cargo = process::cargo();
    cargo.current_dir(process::workspace()).args(["metadata", "--locked", "--format-version", "1"]);
    let text = process::output(cargo.args(["--all-features", "--filter-platform", host]))?;
    serde_json::from_str(&text).context("cargo metadata has another shape")
}

fn findings(metadata: &Metadata, lists: &Lists) -> Vec<String> {
    let exceptions: BTreeMap<&str, &BTreeSet<String>> =
        lists.exceptions.iter().map(|one| (one.name.as_str(), &one.allow)).collect();
    let mut used = BTreeSet::new();
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let ours = metadata.workspace_members.contains(&package.id);
        let name = format!("{} {}", package.name, package.version);
        if !ours && package.source.as_deref() != Some(REGISTRY) {
            findings.push(format!("{name} comes from {:?}", package.source));
        }
        let Some(licence) = &package.license else {
            findings.push(format!("{name} names no licence"));
            continue;
        };
        let own = exceptions.get(package.name.as_str());
        match allows(licence, &|one| lists.allow.contains(one)) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => findings.push(format!("{name}: {licence}: {error:#}")),
        }
        let excepted =
            |one: &str| lists.allow.contains(one) || own.is_some_and(|own| own.contains(one));
        if allows(licence, &excepted).unwrap_or(false) {
            used.insert(package.name.as_str());
        } else {
            findings.push(format!("{name} is under {licence}, which deny.toml does not allow"));
        }
    }
    for name in exceptions.keys().filter(|name| !used.contains(*name)) {
        findings.push(format!("deny.toml's exception for {name} is no longer needed"));
    }
    findings
}

/// An SPDX expression: one side of an OR is enough, both sides of an AND are needed; AND binds
/// closer. The slash is the registry's old spelling of OR.
fn allows(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let answer = any(&mut words, allowed)?;
    if let Some(word) = words.next() {
        bail!("unexpected {word}");
    }
    Ok(answer)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut answer = all(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        answer |= all(words, allowed)?;
    }
    Ok(answer)
}

fn all(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut answer = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        answer &= one(words, allowed)?;
    }
    Ok(answer)
}

fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    match words.next().context("the expression ends too early")? {
        "(" => {
            let answer = any(words, allowed)?;
            words.next_if_eq(&")").context("a parenthesis is not closed")?;
            Ok(answer)
        }
        name => match words.next_if_eq(&"WITH") {
            None => Ok(allowed(name)),
            Some(with) => {
                let exception = words.next().context("WITH what?")?;
                Ok(allowed(&format!("{name} {with} {exception}")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_read_as_spdx_defines_it() {
        let check = |expression: &str, expected: bool| {
            let answer = allows(expression, &|name| ["A", "B", "A WITH e"].contains(&name));
            assert_eq!(answer.unwrap(), expected, "{expression}");
        };
        check("A", true);
        check("C", false);
        check("C OR A", true);
        check("C/A", true);
        check("A AND C", false);
        check("C AND C OR A", true);
        check("C AND (C OR A)", false);
        check("B AND (C OR A)", true);
        check("A WITH e", true);
        check("B WITH e", false);
    }

    #[test]
    fn a_broken_expression_is_no_answer() {
        for expression in ["", "A OR", "(A", "A B", "A WITH"] {
            assert!(allows(expression, &|_| true).is_err(), "{expression}");
        }
    }

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
        }
    }

    fn check(foreign: Package, expected: usize) {
        let lists = Lists {
            allow: BTreeSet::from(["MIT".to_owned()]),
            exceptions: vec![Exception {
                name: "special".to_owned(),
                allow: BTreeSet::from(["LGPL-3.0-only".to_owned()]),
            }],
        };
        let special = package("special", Some("LGPL-3.0-only"), Some(REGISTRY));
        let metadata = Metadata {
            packages: vec![package("ours", Some("MIT"), None), special, foreign],
            workspace_members: BTreeSet::from(["ours".to_owned()]),
        };
        assert_eq!(findings(&metadata, &lists).len(), expected);
    }

    #[test]
    fn a_licence_or_source_outside_the_lists_is_found() {
        check(package("fine", Some("MIT OR GPL-3.0-only"), Some(REGISTRY)), 0);
        check(package("closed", Some("LGPL-3.0-only"), Some(REGISTRY)), 1);
        check(package("silent", None, Some(REGISTRY)), 1);
        check(package("elsewhere", Some("MIT"), Some("git+https://example.org/x")), 1);
        check(package("neighbour", Some("MIT"), None), 1);
    }

    #[test]
    fn an_exception_that_nothing_needs_is_found() {
        let deny: Deny = toml::from_str(LISTS).unwrap();
        let metadata = Metadata { packages: Vec::new(), workspace_members: BTreeSet::new() };
        let expected = deny.licenses.exceptions.len();
        assert_eq!(findings(&metadata, &deny.licenses).len(), expected);
    }
}
