//! `keys create|rotate|rewrap|drop-old|show`.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use runtime::log::Log;
use runtime::world::World;
use schemas::codec::Codec;
use sealing::{Keyring, SystemEntropy};

use super::{executor, print};
use crate::config::{LogKind, Settings};
use crate::housekeeping::rekeying::{Outdated, Progress, Rekeyed, Rekeying};
use crate::logs;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Makes the keyring file; refuses where one exists.
    Create,
    /// Adds a master key; new keys are wrapped by it, older ones open as before. The pepper never
    /// rotates: under another one nobody would be known any more.
    Rotate,
    /// Wraps all keys on the log by the newest master key. After `rotate`, once every process has
    /// been restarted. Safe to repeat; on the embedded log `run` does it by itself.
    Rewrap,
    /// Drops all master keys but the newest, for ever; refuses while a key on the log needs one.
    /// Backups of the log from before `rewrap` open only with a copy of the old keyring.
    DropOld,
    /// Names the newest master key; shows no key.
    Show,
}

/// Carries it out.
///
/// # Errors
/// The keyring file's; the log's.
pub fn run(what: &Keys, settings: &Settings) -> anyhow::Result<()> {
    let executor = executor()?;
    let codec = Codec::with_registry_ids(settings.registry_ids.clone());
    let world = World::real(executor.handle().clone(), codec, 1.0);
    let (file, now) = (&settings.keyring.file, world.now());
    match what {
        Keys::Create => {
            Keyring::create(file, &SystemEntropy, now)?;
            print(&format!("{} made; keep a copy where this machine cannot reach", file.display()));
        }
        Keys::Rotate => {
            let id = Keyring::rotate_master(file, &SystemEntropy, now)?;
            print(&format!(
                "master key {id} added; restart the processes that use {}, then run `staffetta keys \
                 rewrap`",
                file.display()
            ));
        }
        Keys::Rewrap => rewrap(settings, &world)?,
        Keys::DropOld => drop_old(settings, &world)?,
        Keys::Show => print(&Keyring::load(file)?.masters().newest().to_string()),
    }
    Ok(())
}

fn rewrap(settings: &Settings, world: &World) -> anyhow::Result<()> {
    let keyring = Keyring::load(&settings.keyring.file)?;
    let log = logs::open(settings, world)?;
    let stop = AtomicBool::new(false);
    let rekeying = rekeying(log.as_ref(), &keyring, world, &stop);
    let bar = ProgressBar::new(1).with_style(
        ProgressStyle::with_template("{bar:30} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut show = |at: Progress| {
        bar.set_length(u64::try_from(at.partitions).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(at.partition).unwrap_or(u64::MAX));
        bar.set_message(format!("{} keys written", at.written));
    };
    let mut done = rekeying.run(&mut show)?;
    if settings.log.kind == LogKind::Kafka {
        // An erasure that began before our last record may become visible only when its transaction
        // ends: then one more look finds it.
        bar.set_message("waiting for open transactions to end");
        std::thread::park_timeout(Duration::from_millis(settings.log.transaction_timeout_ms));
        let more = rekeying.run(&mut show)?;
        done = Rekeyed {
            citizens: done.citizens + more.citizens,
            transit: done.transit + more.transit,
            buried: done.buried + more.buried,
            unopened: more.unopened,
        };
    }
    bar.finish_and_clear();
    let Rekeyed { citizens, transit, buried, unopened } = done;
    print(&format!(
        "{citizens} citizen keys and {transit} transit keys wrapped by {}, {buried} of ended \
         registrations ended once more",
        keyring.masters().newest()
    ));
    anyhow::ensure!(
        unopened == 0,
        "{unopened} keys open by no master key of this keyring: find the keyring that wrapped them"
    );
    Ok(())
}

fn drop_old(settings: &Settings, world: &World) -> anyhow::Result<()> {
    let file = &settings.keyring.file;
    let keyring = Keyring::load(file)?;
    let log = logs::open(settings, world)?;
    let stop = AtomicBool::new(false);
    let outdated = rekeying(log.as_ref(), &keyring, world, &stop).outdated()?;
    let Outdated { citizens, transit, unread } = outdated;
    anyhow::ensure!(
        unread == 0,
        "{unread} keys on the log cannot be read here: give this command the registry_ids of the \
         processes that write, or use their version"
    );
    anyhow::ensure!(
        outdated == Outdated::default(),
        "{citizens} citizen keys and {transit} transit keys are still wrapped by an older master \
         key: run `staffetta keys rewrap`. Transit keys in their last day are left to run out: \
         then try again in a day or two"
    );
    let dropped = Keyring::drop_older_masters(file, keyring.masters().newest())?;
    print(&format!(
        "{dropped} older master keys dropped; destroy the copies of the old {}, and restart the \
         processes that use it",
        file.display()
    ));
    Ok(())
}

fn rekeying<'a>(
    log: &'a dyn Log,
    keyring: &'a Keyring,
    world: &'a World,
    stop: &'a AtomicBool,
) -> Rekeying<'a> {
    Rekeying { log, keyring, entropy: &SystemEntropy, world, stop }
}
