//! `cargo xtask deny`: a second opinion on licences, bans and sources, by cargo-deny. Building that
//! takes minutes, so the suite has a check of its own and this stays apart. Advisories are not asked
//! for: their database is a repository that has to be fetched from elsewhere.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::process::{self, cargo, run_in_front};

const VERSION: &str = "0.20.2";

pub fn run() -> Result<ExitCode> {
    let tools = process::workspace().join("target/tools");
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        let mut install = cargo();
        install.args(["install", "--locked", "--version", VERSION, "--root"]).arg(&tools);
        if !run_in_front(install.arg("cargo-deny"))?.success() {
            bail!("cargo-deny {VERSION} does not install");
        }
    }
    let mut deny = Command::new(program);
    deny.current_dir(process::workspace());
    deny.args(["--offline", "--all-features", "check", "licenses", "bans", "sources"]);
    let good = run_in_front(&mut deny)?.success();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
