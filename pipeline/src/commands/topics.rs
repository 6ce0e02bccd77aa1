//! `topics apply|list`.

use clap::{Subcommand, ValueEnum};
use runtime::kafka::{FirstOffsets, policy};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::topics::{Kept, Topic};
use serde_json::{Value, json};

use super::{executor, print};
use crate::config::{LogKind, Settings};
use crate::logs;
use crate::topology::{StageName, seats};

#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Creates missing topics, sets their policies, writes the groups' first offsets. Changes nothing
    /// that is already right.
    Apply {
        /// Where groups begin that have no offsets on topics that hold records: new ones, and those that
        /// were switched off for longer than the brokers remember. Without it they are refused.
        #[arg(long)]
        first_offsets: Option<First>,
    },
    /// Every topic with its key, partitioning and policy.
    List {
        /// Settings in Kafka's words, and the groups that read: for whoever makes topics and rights by
        /// other means. `min.insync.replicas` is left to them.
        #[arg(long)]
        json: bool,
    },
}

/// [`FirstOffsets`] as a word of the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum First {
    /// Handle everything that the topics keep, again where it was handled before.
    Beginning,
    /// Pass over what lies there.
    End,
}

/// Carries it out.
///
/// # Errors
/// The log's.
pub fn run(what: &Topics, settings: impl Fn() -> anyhow::Result<Settings>) -> anyhow::Result<()> {
    match what {
        Topics::List { json: true } => print(&serde_json::to_string_pretty(&catalogue())?),
        Topics::List { json: false } => {
            for topic in Topic::all() {
                print(&row(topic));
            }
        }
        Topics::Apply { first_offsets } => {
            let settings = settings()?;
            let executor = executor()?;
            let world = World::real(executor.handle().clone(), Codec::default(), 1.0);
            let first_offsets = first_offsets.map(|first| match first {
                First::Beginning => FirstOffsets::Beginning,
                First::End => FirstOffsets::End,
            });
            let log = logs::open_to_apply(&settings, &world, first_offsets)?;
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

/// Every topic and every group of stages, without prefix.
#[must_use]
pub fn catalogue() -> Value {
    let topics = Topic::all().into_iter().map(|topic| {
        let config = policy(topic.kept(), 1);
        json!({ "name": topic.name(), "config": config })
    });
    let groups = StageName::all().into_iter().flat_map(|stage| {
        stage.lanes().iter().map(move |lane| {
            let seat = stage.seat(*lane, 0);
            let reads: Vec<_> = seat.topics.iter().map(|topic| topic.name()).collect();
            json!({ "group": seat.group, "stage": stage.word(), "reads": reads })
        })
    });
    json!({ "topics": topics.collect::<Vec<_>>(), "groups": groups.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_makes_the_topics_of_the_catalogue_and_scales_by_its_groups() {
        let chart: Value =
            serde_json::from_str(include_str!("../../../helm/files/catalogue.json")).unwrap();
        let how = "staffetta topics list --json > helm/files/catalogue.json";
        assert_eq!(chart, catalogue(), "the chart is behind the code: {how}");
    }
}
