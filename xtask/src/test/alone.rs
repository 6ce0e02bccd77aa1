//! Each crate by itself: in the whole workspace one crate's features serve all the others, so a
//! feature that a crate uses and does not ask for is missed only by who takes that crate alone.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::tally::Tally;
use crate::console::say;
use crate::process;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

pub fn check() -> Result<Tally> {
    let mut tally = Tally::default();
    for package in packages()? {
        let mut cargo = process::cargo();
        cargo
            .current_dir(process::workspace())
            .args(["check", "--quiet", "--locked", "-p", &package]);
        let good = process::run_in_front(&mut cargo)?.success();
        say(format_args!("cargo check -p {package} ... {}", if good { "ok" } else { "BROKEN" }));
        tally.add(Tally::one(good));
    }
    Ok(tally)
}

fn packages() -> Result<Vec<String>> {
    let mut cargo = process::cargo();
    cargo.current_dir(process::workspace());
    cargo.args(["metadata", "--no-deps", "--locked", "--format-version", "1"]);
    let metadata: Metadata = serde_json::from_str(&process::output(&mut cargo)?)
        .context("cargo metadata has another shape")?;
    Ok(metadata.packages.into_iter().map(|package| package.name).collect())
}
