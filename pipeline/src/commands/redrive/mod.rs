//! `redrive list|show|resend|drop`: dead letters, by an operator's hand.

mod settle;
mod tell;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use consumers::keys::Keys;
use parking_lot::RwLock;
use producers::redrive::{Filter, Letters, Origin, opened};
use runtime::log::Log;
use runtime::world::World;
use schemas::codec::Codec;
use schemas::ids::{MessageId, ServiceId};
use schemas::topics::Topic;
use sealing::{Keyring, SystemEntropy, TransitKeys};
use tokio::runtime::Runtime;

use super::{executor, print};
use crate::config::Settings;
use crate::{followers, logs};

#[derive(Debug, Subcommand)]
pub enum Redrive {
    /// The letters that wait, oldest first, and how many there are of each kind.
    List {
        #[command(flatten)]
        which: Which,
        /// Those already ended, with who ended them.
        #[arg(long)]
        resolved: bool,
        /// One JSON object a letter.
        #[arg(long)]
        json: bool,
    },
    /// One letter with its record's headers and kind; what is personal stays sealed.
    Show {
        /// `topic/partition/offset`, as `list` prints it.
        origin: Origin,
        #[arg(long)]
        json: bool,
    },
    /// Sends letters again: each opens a new epoch of its message, and the stage decides anew.
    Resend {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
        /// The mended value of the one letter named: the record's bytes, framed.
        #[arg(long, conflicts_with = "restart")]
        value: Option<PathBuf>,
        /// Begins the message anew from `message.accepted`, whatever the letter holds.
        #[arg(long)]
        restart: bool,
    },
    /// Ends letters: their messages stay FAILED.
    Drop {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
    },
}

/// Which letters: all that is named must hold.
#[derive(Debug, Args)]
pub struct Which {
    /// Letters by name: `topic/partition/offset`.
    origins: Vec<Origin>,
    #[arg(long)]
    message: Option<MessageId>,
    /// A cause as `list` prints it, e.g. `undecodable`.
    #[arg(long)]
    cause: Option<String>,
    /// The stage that set it aside.
    #[arg(long)]
    stage: Option<String>,
    /// The topic that the record came from.
    #[arg(long)]
    topic: Option<String>,
    #[arg(long)]
    service: Option<String>,
    /// Set aside at least so long ago: `90s`, `15m`, `6h`, `2d`.
    #[arg(long, value_parser = age)]
    older_than: Option<Duration>,
    /// Set aside at most so long ago.
    #[arg(long, value_parser = age)]
    newer_than: Option<Duration>,
}

/// How a change is carried out.
#[derive(Debug, Args)]
pub struct How {
    /// Letters a second at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Says what would be done and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Who does it; stands in `dead.resolution`.
    #[arg(long, env = "USER", default_value = "operator")]
    operator: String,
    /// Needed where no filter is given: every letter that waits.
    #[arg(long)]
    all: bool,
}

impl Which {
    fn filter(&self) -> Filter {
        Filter {
            origins: self.origins.clone(),
            message: self.message,
            cause: self.cause.clone(),
            stage: self.stage.clone(),
            topic: self.topic.clone(),
            service: self.service.clone().map(ServiceId::from),
            older_than: self.older_than,
            newer_than: self.newer_than,
        }
    }
}

/// A number and one of `s`, `m`, `h`, `d`.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no age: give a number with s, m, h or d, as in 15m");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// What the commands work with.
pub(super) struct Office {
    pub log: Arc<dyn Log>,
    pub world: World,
    pub transit: TransitKeys,
    _executor: Runtime,
}

/// Carries it out.
///
/// # Errors
/// The log's; a letter that was named and is not there; no filter and no `--all`.
pub fn run(what: &Redrive, settings: &Settings) -> anyhow::Result<()> {
    let office = Office::open(settings)?;
    match what {
        Redrive::List { which, resolved, json } => {
            let letters = office.letters(&which.filter())?;
            tell::list(&letters, *resolved, *json, office.world.now())
        }
        Redrive::Show { origin, json } => office.show(origin, *json),
        Redrive::Resend { which, how, value, restart } => {
            let verdict = settle::verdict(&which.filter(), value.as_deref(), *restart)?;
            settle::run(&office, &which.filter(), how, &verdict)
        }
        Redrive::Drop { which, how } => {
            settle::run(&office, &which.filter(), how, &producers::redrive::Verdict::Drop)
        }
    }
}

impl Office {
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let executor = executor()?;
        let codec = Codec::with_registry_ids(settings.registry_ids.clone());
        let world = World::real(executor.handle().clone(), codec, settings.time_scale);
        let log = logs::open(settings, &world)?;
        let keys = Keys {
            keyring: Arc::new(Keyring::load(&settings.keyring.file)?),
            transit: Arc::new(RwLock::new(TransitKeys::default())),
            entropy: Arc::new(SystemEntropy),
        };
        let (followed, clock) = (keys.clone(), world.clone());
        let apply = move |record: &_| followers::apply_key(&followed, &clock, record);
        let mut follower = followers::Follower::open(log.as_ref(), Topic::TransitKey, apply)?;
        follower.catch_up(log.partitions(Topic::TransitKey)?)?;
        let transit = keys.transit.read().clone();
        Ok(Self { log, world, transit, _executor: executor })
    }

    fn letters(&self, filter: &Filter) -> anyhow::Result<Letters> {
        Ok(Letters::read(self.log.as_ref(), &self.world.codec, filter, self.world.now())?)
    }

    fn show(&self, origin: &Origin, json: bool) -> anyhow::Result<()> {
        let letters =
            self.letters(&Filter { origins: vec![origin.clone()], ..Filter::default() })?;
        let ended = letters.resolved.first();
        let letter = letters.open.first().or(ended.map(|resolved| &resolved.letter));
        let letter = letter.ok_or_else(|| {
            anyhow::anyhow!(
                "no letter {origin}: see `staffetta redrive list`, also with --resolved"
            )
        })?;
        let original = opened(letter, &self.transit);
        tell::show(letter, ended.map(|resolved| &resolved.resolution), &original, json);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_with_its_unit() {
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(age("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in ["", "15", "m", "1w", "-1s", "99999999999999999999d", "1\u{e8}"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
