//! What librdkafka calls back: log lines, and who owns which partition now.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

/// librdkafka's lines name brokers, topics and groups, never what records hold.
pub(super) fn trace(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(target: "kafka", facility, "{line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "kafka", facility, "{line}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{line}"),
    }
}

/// A client of which nothing but its log lines matters.
pub(super) struct Plain;

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        trace(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "kafka", %error, "{reason}");
    }
}

impl ConsumerContext for Plain {}

impl ProducerContext for Plain {
    type DeliveryOpaque = ();

    /// A failed delivery fails the commit: nothing to do here.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// A partition as the cluster names it.
pub(super) type Named = (String, i32);

/// What changed since it was last asked.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) assigned: Vec<Named>,
    pub(super) revoking: Vec<Named>,
    pub(super) lost: Vec<Named>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.assigned.is_empty() && self.revoking.is_empty() && self.lost.is_empty()
    }
}

/// Ownership of partitions. A revocation is only noted here: the worker first commits what it has
/// finished, then [`release`] gives the partitions up, and only then does the group go on.
#[derive(Default)]
pub(super) struct Ownership {
    changes: Mutex<Changes>,
    closing: AtomicBool,
}

impl Ownership {
    pub(super) fn changed(&self) -> bool {
        !self.changes.lock().is_empty()
    }

    pub(super) fn take(&self) -> Changes {
        mem::take(&mut *self.changes.lock())
    }

    /// From here on partitions are given up at once: nobody will poll again.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

impl ClientContext for Ownership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        trace(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "kafka", %error, "{reason}");
    }
}

impl ConsumerContext for Ownership {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let named = names_in(partitions);
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            noted(take_over(consumer, partitions));
            self.changes.lock().assigned.extend(named);
        } else if self.closing.load(Ordering::Acquire) || consumer.assignment_lost() {
            noted(release(consumer, partitions));
            self.changes.lock().lost.extend(named);
        } else {
            self.changes.lock().revoking.extend(named);
        }
    }
}

/// Begins to fetch `partitions` from the group's committed offsets.
fn take_over(
    consumer: &BaseConsumer<Ownership>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(partitions),
    }
}

/// Gives `partitions` up, which lets the group go on.
pub(super) fn release(
    consumer: &BaseConsumer<Ownership>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    }
}

fn noted(result: KafkaResult<()>) {
    if let Err(error) = result {
        tracing::warn!(target: "kafka", %error, "a change of ownership was refused");
    }
}

fn names_in(partitions: &TopicPartitionList) -> Vec<Named> {
    let elements = partitions.elements();
    elements.iter().map(|one| (one.topic().to_owned(), one.partition())).collect()
}
