//! Kafka closes a segment only when the next record comes, and compacts closed segments only: in a
//! partition at rest an erased key would stay on disk for as long as nobody else comes or goes.

use runtime::log::Outgoing;
use schemas::headers::Headers;
use schemas::ids::{Generation, Pseudonym};
use schemas::partitioner::partition;
use schemas::topics::Topic;

use super::Housekeeping;

impl Housekeeping {
    /// A tombstone of nobody for each partition of the topics that hold keys. They are the same each
    /// time, so compaction leaves one of each at most.
    pub(super) fn nudge(&self) -> anyhow::Result<()> {
        let mut records = Vec::new();
        for topic in [Topic::CitizenKey, Topic::TransitKey] {
            let partitions = self.log.partitions(topic)?;
            records.extend((0..partitions).map(|at| nobody(topic, at, partitions)));
        }
        self.log.writer("housekeeping-nudge")?.write(records)?;
        Ok(())
    }
}

/// The first number that lies in this partition, spelt as the topic's keys are. A pseudonym so small is
/// nobody's: one in 2^100 is.
fn nobody(topic: Topic, at: u32, partitions: u32) -> Outgoing {
    let name = |number: u32| {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        let citizen = Pseudonym(bytes).to_string();
        if topic == Topic::CitizenKey { citizen } else { citizen[16..].to_owned() }
    };
    let partition_by = (0..).map(name).find(|it| partition(it.as_bytes(), partitions) == at);
    let partition_by = partition_by.unwrap_or_default();
    let key = if topic == Topic::CitizenKey {
        format!("{partition_by}+{}", Generation([0; 16]))
    } else {
        partition_by.clone()
    };
    Outgoing {
        topic,
        key: key.into_bytes(),
        partition_by: partition_by.into_bytes(),
        value: None,
        headers: Headers::default(),
    }
}
