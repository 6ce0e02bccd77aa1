//! Single records, acknowledged by all in-sync replicas; the caller learns honestly what is not known.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

use super::cluster::Cluster;
use super::context;
use super::errors;
use super::ffi;
use crate::log::{AppendError, Appender, LogError, Outgoing, Position, TopicPartition};

/// Partition and offset, or what is known of the failure.
type Report = Result<(i32, i64), AppendError>;

struct Reports;

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        context::trace(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "kafka", %error, "{reason}");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<oneshot::Sender<Report>>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Self::DeliveryOpaque) {
        let report = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, message)) if ffi::never_appended(message) => {
                Err(AppendError::NotTaken(error.to_string()))
            }
            Err((error, _)) => Err(AppendError::Unknown(error.to_string())),
        };
        // A caller who has gone away does not want to know.
        let _ = answer.send(report);
    }
}

type Acknowledged = ThreadedProducer<Reports>;

pub(super) struct KafkaAppender {
    cluster: Arc<Cluster>,
    producer: RwLock<Arc<Acknowledged>>,
}

impl KafkaAppender {
    pub(super) fn open(cluster: Arc<Cluster>) -> Result<Self, LogError> {
        // So that no append has to ask: it runs on an async executor and must not block.
        cluster.learn()?;
        Self::start(cluster)
    }

    /// Asks nobody: brokers may be away.
    pub(super) fn start(cluster: Arc<Cluster>) -> Result<Self, LogError> {
        let producer = RwLock::new(Arc::new(started(&cluster)?));
        Ok(Self { cluster, producer })
    }

    /// Hands the record over; the answer comes through the channel.
    fn hand_over(&self, record: &Outgoing) -> Result<oneshot::Receiver<Report>, AppendError> {
        let Some(partitions) = self.cluster.known_partitions(record.topic) else {
            let name = self.cluster.names.topic(record.topic);
            return Err(AppendError::NotTaken(format!(
                "topic {name} is missing: run `topics apply` and start again"
            )));
        };
        let (answer, report) = oneshot::channel();
        let producer = self.producer.read().clone();
        let prepared = self.cluster.prepared(record, partitions, Box::new(answer));
        match producer.send(prepared) {
            Ok(()) => Ok(report),
            Err((error, _)) => {
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
                    self.renew(&producer);
                }
                Err(AppendError::NotTaken(error.to_string()))
            }
        }
    }

    /// An idempotent producer that lost count (log cut short on the broker) takes nothing more.
    fn renew(&self, dead: &Arc<Acknowledged>) {
        let mut current = self.producer.write();
        if Arc::ptr_eq(&current, dead) {
            match started(&self.cluster) {
                Ok(producer) => *current = Arc::new(producer),
                Err(error) => tracing::warn!(target: "kafka", %error, "no new appender"),
            }
        }
    }
}

fn started(cluster: &Cluster) -> Result<Acknowledged, LogError> {
    let config = cluster.settings.appending();
    config.create_with_context(Reports).map_err(|error| errors::passing(&error))
}

#[async_trait]
impl Appender for KafkaAppender {
    async fn append(&self, record: Outgoing) -> Result<Position, AppendError> {
        let report = self.hand_over(&record)?;
        let lost = |_| AppendError::Unknown("the producer ended before the answer came".into());
        let (partition, offset) = report.await.map_err(lost)??;
        let number = |_| AppendError::Unknown("acknowledged without a position".into());
        Ok(Position {
            at: TopicPartition {
                topic: record.topic,
                partition: u32::try_from(partition).map_err(number)?,
            },
            offset: u64::try_from(offset).map_err(number)?,
        })
    }
}
