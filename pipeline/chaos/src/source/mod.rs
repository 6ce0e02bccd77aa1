//! Where the checker reads: its own consumer on Kafka; on the embedded log, which nobody but its own
//! process can read while that lives, the log's reader after the processes have ended.

mod embedded;
mod kafka;

pub use embedded::EmbeddedSource;
pub use kafka::KafkaSource;

use anyhow::Result;
use schemas::topics::Topic;

use crate::records::Raw;

/// Reads topics whole.
pub trait Source {
    /// Every committed record of a topic, each partition in its order.
    fn read(&self, topic: Topic) -> Result<Vec<Raw>>;
}
