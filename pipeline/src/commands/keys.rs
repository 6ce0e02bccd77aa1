//! `keys create|rotate|show`.

use clap::Subcommand;
use runtime::world::World;
use schemas::codec::Codec;
use sealing::{Keyring, SystemEntropy};

use super::{executor, print};
use crate::config::Settings;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Makes the keyring file; refuses where one exists.
    Create,
    /// Adds a master key; new citizen keys are wrapped by it, older ones open as before.
    Rotate,
    /// Names the newest master key; shows no key.
    Show,
}

/// Carries it out.
///
/// # Errors
/// The keyring file's.
pub fn run(what: &Keys, settings: &Settings) -> anyhow::Result<()> {
    let executor = executor()?;
    let now = World::real(executor.handle().clone(), Codec::default(), 1.0).now();
    let file = &settings.keyring.file;
    match what {
        Keys::Create => {
            Keyring::create(file, &SystemEntropy, now)?;
            print(&format!("{} made; keep a copy where this machine cannot reach", file.display()));
        }
        Keys::Rotate => {
            let id = Keyring::rotate_master(file, &SystemEntropy, now)?;
            print(&format!(
                "master key {id} added; restart the processes that use {}",
                file.display()
            ));
        }
        Keys::Show => print(&Keyring::load(file)?.masters().newest().to_string()),
    }
    Ok(())
}
