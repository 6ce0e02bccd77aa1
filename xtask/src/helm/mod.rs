//! `cargo xtask helm`: whether the chart renders what a cluster takes and Staffetta starts on, refuses
//! what is wrong, and whether its alerts fire.

mod render;
mod tools;
mod watching;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::console::say;
use crate::process;
use crate::test::Tally;
use tools::Tool;

pub fn run() -> Result<ExitCode> {
    let tally = check()?;
    say(&tally);
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check() -> Result<Tally> {
    let mut tally = render::variants()?;
    tally.add(render::refusals()?);
    tally.add(watching::check()?);
    Ok(tally)
}

/// The same within `cargo xtask test`, which does not wait minutes for tools to be built.
pub fn quickly() -> Result<Tally> {
    let mut tally = Tally::default();
    if Tool::ALL.into_iter().all(Tool::is_here) {
        tally.add(check()?);
    } else {
        tally.add(watching::check()?);
        tally.skip(
            "rendering the chart: its tools are not built; `cargo xtask helm` builds them".into(),
        );
    }
    Ok(tally)
}

fn chart() -> PathBuf {
    process::workspace().join("helm")
}

/// Where what was rendered lies.
fn folder() -> Result<PathBuf> {
    let folder = process::workspace().join("target/helm");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
