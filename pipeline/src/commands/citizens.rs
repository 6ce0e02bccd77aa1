//! `citizens load FILE`: bringing many citizens on board at once, into an empty system.

use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use producers::citizens::{Onboarding, onboard};
use runtime::world::World;
use schemas::codec::Codec;
use sealing::{Keyring, SystemEntropy};

use super::{executor, print};
use crate::config::Settings;
use crate::logs;

#[derive(Debug, Subcommand)]
pub enum Citizens {
    /// One JSON object a line: `fiscal_code`, `profile`, `preferences`, `activations`, `devices`. Each
    /// citizen begins a new registration, so load a file once.
    Load { file: PathBuf },
}

/// Carries it out.
///
/// # Errors
/// The file's, naming the line and never what stands in it; the log's.
pub fn run(what: &Citizens, settings: &Settings) -> anyhow::Result<()> {
    let Citizens::Load { file } = what;
    let executor = executor()?;
    let codec = Codec::with_registry_ids(settings.registry_ids.clone());
    let world = World::real(executor.handle().clone(), codec, 1.0);
    let keyring = Keyring::load(&settings.keyring.file)?;
    let log = logs::open(settings, &world)?;
    let lines = std::fs::File::open(file).with_context(|| format!("{}", file.display()))?;
    let with = Onboarding {
        keyring: &keyring,
        entropy: &SystemEntropy,
        codec: &world.codec,
        now: world.now(),
    };
    let mut writer = log.writer("citizens")?;
    let done = onboard(BufReader::new(lines), with, writer.as_mut())?;
    print(&format!(
        "{} citizens on board in {} records, {} without a profile skipped",
        done.citizens, done.records, done.skipped
    ));
    Ok(())
}
