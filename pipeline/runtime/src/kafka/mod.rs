//! The log on Kafka: the only place that names `rdkafka`.
//!
//! Promises what [`crate::log`] asks for, and besides:
//! - one transaction at a time per member, whatever number of producers take turns (`turns`);
//! - an unknown outcome is never guessed: every producer of the member is thrown away, its id
//!   initialised again, and the group's committed offsets say what happened;
//! - nobody who sits in a taken seat commits anything: producer epochs and group generation fence.
//!
//! Knows neither stages nor the worker.

mod appender;
mod apply;
mod cluster;
mod context;
mod delivery;
mod errors;
mod ffi;
mod member;
mod names;
mod reader;
mod ring;
mod settings;
mod turns;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemas::topics::Topic;

pub use self::apply::policy;
pub use self::settings::{FirstOffsets, KafkaSettings};

use self::appender::KafkaAppender;
use self::cluster::Cluster;
use self::member::KafkaMember;
use self::reader::KafkaReader;
use self::writer::KafkaWriter;
use crate::log::{Appender, Log, LogError, Member, Reader, Seat, Start, TopicPartition, Writer};

/// A Kafka cluster, or a namespace of one.
pub struct KafkaLog {
    cluster: Arc<Cluster>,
}

impl KafkaLog {
    /// Checks `settings` and that the cluster answers.
    ///
    /// # Errors
    /// `Broken` for settings that cannot work, naming the one at fault; `Unavailable` where no broker
    /// answers within `call_timeout`.
    pub fn connect(settings: KafkaSettings) -> Result<Self, LogError> {
        settings.check()?;
        Ok(Self { cluster: Arc::new(Cluster::connect(settings)?) })
    }
}

impl Log for KafkaLog {
    fn join(&self, seat: &Seat) -> Result<Box<dyn Member>, LogError> {
        Ok(Box::new(KafkaMember::join(self.cluster.clone(), seat)?))
    }

    fn reader(&self, topics: &[Topic], start: &Start) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(KafkaReader::open(self.cluster.clone(), topics, start)?))
    }

    fn appender(&self) -> Result<Arc<dyn Appender>, LogError> {
        Ok(Arc::new(KafkaAppender::open(self.cluster.clone())?))
    }

    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(KafkaWriter::open(self.cluster.clone(), name)?))
    }

    fn apply(&self, topics: &[Topic], partitions: u32, groups: &[Seat]) -> Result<(), LogError> {
        let made = apply::topics(&self.cluster, topics, partitions)?;
        apply::first_offsets(&self.cluster, groups, &made)
    }

    fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        self.cluster.partitions(topic)
    }

    fn end(&self, at: TopicPartition) -> Result<u64, LogError> {
        Ok(self.cluster.watermarks(at)?.1)
    }

    fn behind(&self, seat: &Seat) -> Result<u64, LogError> {
        self.cluster.behind(seat)
    }
}
