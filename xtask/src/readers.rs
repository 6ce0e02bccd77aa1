//! Programs in another language that read what ours wrote. They lie in `xtask/readers/`; what they
//! need is pinned there and installed into an environment of their own below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::console::Waiting;
use crate::packages::{self, Need};
use crate::process;

/// What an environment holds: nothing but these, for nothing pinned here may bring in others.
pub struct Pins {
    name: &'static str,
    file: &'static str,
    /// With the checksum of every file that may be installed.
    pinned: &'static str,
}

/// For what reads topics, records and mails.
pub const RECORDS: Pins = Pins {
    name: "readers",
    file: "requirements.txt",
    pinned: include_str!("../readers/requirements.txt"),
};

/// For what reads the rendered chart.
pub const CHARTS: Pins =
    Pins { name: "charts", file: "charts.txt", pinned: include_str!("../readers/charts.txt") };

/// The interpreter of an environment, made on first use and whenever the pins have changed.
pub fn python(pins: &Pins) -> Result<PathBuf> {
    let sum = hex::encode(Sha256::digest(pins.pinned));
    let folder = process::workspace().join("target").join(format!("{}-{}", pins.name, &sum[..12]));
    let python = folder.join("bin/python");
    if !python.is_file() {
        packages::ensure(&[Need::Python])?;
        make(pins, &folder)?;
    }
    Ok(python)
}

/// Beside the right place and renamed when whole: a cut installation leaves nothing that looks made.
fn make(pins: &Pins, folder: &Path) -> Result<()> {
    let base = packages::python().context("python3 was here a moment ago")?;
    let partial = folder.with_extension(format!("partial-{}", std::process::id()));
    let waiting = Waiting::on("installing the readers in another language with pip");
    let made = install(&base, pins, &partial).and_then(|()| {
        fs::rename(&partial, folder).with_context(|| format!("cannot make {}", folder.display()))
    });
    let _ = fs::remove_dir_all(&partial);
    waiting.done(if made.is_ok() { "installed" } else { "failed" });
    made
}

fn install(base: &Path, pins: &Pins, folder: &Path) -> Result<()> {
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
    }
    process::output(Command::new(base).args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--require-hashes", "--requirement"]).arg(script(pins.file));
    process::output(&mut pip).map(drop).context("a package index must be reachable by pip")
}

/// A file of `xtask/readers/`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    process::workspace().join("xtask/readers").join(name)
}

/// Runs one in front; whether it found everything as it should be.
pub fn agrees(name: &str, arguments: &[&str]) -> Result<bool> {
    let mut command = Command::new(python(&RECORDS)?);
    command.arg("-B").arg(script(name)).args(arguments);
    Ok(process::run_in_front(&mut command)?.success())
}
