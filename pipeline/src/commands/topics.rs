//! `topics apply|list`.

use clap::Subcommand;
use runtime::world::World;
use schemas::codec::Codec;
use schemas::topics::{Kept, Topic};

use super::{executor, print};
use crate::config::{LogKind, Settings};
use crate::logs;
use crate::topology::seats;

#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Creates missing topics, sets their policies, writes the groups' first offsets. Changes nothing
    /// that is already right.
    Apply,
    /// Every topic with its key, partitioning and policy.
    List,
}

/// Carries it out.
///
/// # Errors
/// The log's.
pub fn run(what: &Topics, settings: impl Fn() -> anyhow::Result<Settings>) -> anyhow::Result<()> {
    match what {
        Topics::List => {
            for topic in Topic::all() {
                print(&row(topic));
            }
        }
        Topics::Apply => {
            let settings = settings()?;
            let executor = executor()?;
            let world = World::real(executor.handle().clone(), Codec::default(), 1.0);
            let log = logs::open(&settings, &world)?;
            log.apply(&Topic::all(), settings.log.partitions, &seats())?;
            let place = match settings.log.kind {
                LogKind::Kafka => settings.log.bootstrap,
                LogKind::Embedded => settings.log.folder.display().to_string(),
            };
            print(&format!("{} topics are as they should be on {place}", Topic::all().len()));
        }
    }
    Ok(())
}

/// One topic as the README's table has it.
#[must_use]
pub fn row(topic: Topic) -> String {
    let kept = match topic.kept() {
        Kept::For(time) => format!("delete, {} days", time.as_secs() / 86_400),
        Kept::Compacted => "compact".to_owned(),
    };
    format!("| `{topic}` | {} | {} | {kept} |", topic.key(), topic.partitioned_by())
}
