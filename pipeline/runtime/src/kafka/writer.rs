//! Several records as one transaction, without a group behind them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

use super::cluster::{Cluster, Unsent};
use super::context;
use super::errors::{self, Verdict};
use super::ffi;
use super::reader::KafkaReader;
use super::ring;
use crate::log::{
    AppendError, LogError, Outgoing, Position, Reader, Start, TopicPartition, Writer,
};

/// Partition and offset of a record that was acknowledged.
type Place = Option<(i32, i64)>;

/// Notes where each record of the open transaction went; the opaque is its index.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Vec<Place>>>);

impl ClientContext for Places {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        context::trace(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "kafka", %error, "{reason}");
    }
}

impl ProducerContext for Places {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        if let (Ok(message), Some(place)) = (result, self.0.lock().get_mut(index)) {
            *place = Some((message.partition(), message.offset()));
        }
    }
}

struct Producing {
    producer: ThreadedProducer<Places>,
    places: Places,
}

pub(super) struct KafkaWriter {
    cluster: Arc<Cluster>,
    id: String,
    /// None after an unknown outcome, until the id is initialised again.
    producing: Option<Producing>,
    fenced: bool,
    /// How often the id was initialised.
    starts: u64,
}

impl KafkaWriter {
    pub(super) fn open(cluster: Arc<Cluster>, name: &str) -> Result<Self, LogError> {
        let id = cluster.names.writer(name);
        let producing = Some(started(&cluster, &id)?);
        Ok(Self { cluster, id, producing, fenced: false, starts: 1 })
    }

    /// After an unknown outcome: a new start of the id decides it, then the records are there or not.
    fn find_out(&mut self, places: &[Option<Position>], why: &str) -> Result<(), AppendError> {
        self.producing = None;
        self.starts += 1;
        let unknown = |error: LogError| AppendError::Unknown(format!("{why}; then: {error}"));
        self.producing = Some(started(&self.cluster, &self.id).map_err(|error| {
            self.fenced |= error == LogError::Fenced;
            unknown(error)
        })?);
        let Some(Some(first)) = places.first() else {
            return Err(AppendError::NotTaken(why.to_owned()));
        };
        match is_visible(&self.cluster, *first) {
            Ok(true) => Ok(()),
            Ok(false) => Err(AppendError::NotTaken(why.to_owned())),
            Err(error) => Err(unknown(error)),
        }
    }

    fn failed(&mut self, verdict: Verdict, why: String) -> AppendError {
        match verdict {
            Verdict::Fenced => {
                self.fenced = true;
                AppendError::Fenced
            }
            Verdict::Abort | Verdict::Hopeless => {
                let limit = self.cluster.settings.commit_timeout;
                let abort = |it: &Producing| it.producer.abort_transaction(limit).is_ok();
                // An abort that fails leaves nothing committed either: the next start ends it.
                if !self.producing.as_ref().is_some_and(abort) {
                    self.producing = None;
                }
                AppendError::NotTaken(why)
            }
            Verdict::Again | Verdict::Unknown => {
                self.producing = None;
                AppendError::Unknown(why)
            }
        }
    }
}

impl Writer for KafkaWriter {
    fn write(&mut self, records: Vec<Outgoing>) -> Result<Vec<Position>, AppendError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        if self.fenced {
            return Err(AppendError::Fenced);
        }
        let producing = match self.producing.take() {
            Some(producing) => producing,
            None => {
                self.starts += 1;
                started(&self.cluster, &self.id)
                    .map_err(|error| AppendError::NotTaken(error.to_string()))?
            }
        };
        let producing = self.producing.insert(producing);
        let prepared = flushed(&self.cluster, producing, &records);
        let places = positions(&records, &producing.places);
        if let Err((verdict, why)) = prepared {
            // Nothing was committed yet, whatever the verdict.
            let fenced = verdict == Verdict::Fenced;
            return Err(self.failed(if fenced { verdict } else { Verdict::Abort }, why));
        }
        let limit = self.cluster.settings.commit_timeout;
        if let Err(error) = producing.producer.commit_transaction(limit) {
            let (verdict, why) = (errors::verdict(&error), errors::said(&error));
            match verdict {
                Verdict::Unknown | Verdict::Again => self.find_out(&places, &why)?,
                Verdict::Abort | Verdict::Hopeless | Verdict::Fenced => {
                    return Err(self.failed(verdict, why));
                }
            }
        }
        let all: Option<Vec<_>> = places.into_iter().collect();
        all.ok_or_else(|| AppendError::Unknown("committed without a position".into()))
    }

    fn term(&self) -> u64 {
        self.starts
    }
}

/// Begins, sends and flushes; the next step is the decision.
fn flushed(
    cluster: &Cluster,
    producing: &Producing,
    records: &[Outgoing],
) -> Result<(), (Verdict, String)> {
    let deadline = Instant::now() + cluster.settings.transaction_timeout / 2;
    let said = |error: KafkaError| (errors::verdict(&error), errors::said(&error));
    *producing.places.0.lock() = vec![None; records.len()];
    producing.producer.begin_transaction().map_err(said)?;
    for (index, record) in records.iter().enumerate() {
        cluster.send(&producing.producer, record, index, deadline).map_err(
            |error| match error {
                Unsent::Log(error) => (Verdict::Abort, error.to_string()),
                Unsent::Refused(error) => said(error),
            },
        )?;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    ffi::flush(&producing.producer, left).map_err(|code| said(KafkaError::Flush(code)))
}

fn positions(records: &[Outgoing], places: &Places) -> Vec<Option<Position>> {
    let places = places.0.lock();
    let position = |(record, place): (&Outgoing, &Place)| {
        let (partition, offset) = (*place)?;
        let partition = u32::try_from(partition).ok()?;
        let at = TopicPartition { topic: record.topic, partition };
        Some(Position { at, offset: u64::try_from(offset).ok()? })
    };
    records.iter().zip(places.iter()).map(position).collect()
}

fn started(cluster: &Cluster, id: &str) -> Result<Producing, LogError> {
    let places = Places::default();
    let config = cluster.settings.transactional(id);
    let producer: ThreadedProducer<Places> =
        config.create_with_context(places.clone()).map_err(|error| errors::passing(&error))?;
    ring::init(&producer, cluster.settings.call_timeout)?;
    Ok(Producing { producer, places })
}

/// Whether a committed record lies at `position`; the transaction it belongs to is decided.
fn is_visible(cluster: &Arc<Cluster>, position: Position) -> Result<bool, LogError> {
    let mut ends = Vec::new();
    for partition in 0..cluster.partitions(position.at.topic)? {
        let at = TopicPartition { topic: position.at.topic, partition };
        let offset = match at == position.at {
            true => position.offset,
            false => cluster.watermarks(at)?.1,
        };
        ends.push((at, offset));
    }
    let mut reader = KafkaReader::open(cluster.clone(), &[position.at.topic], &Start::At(ends))?;
    let deadline = Instant::now() + cluster.settings.call_timeout;
    while Instant::now() < deadline {
        let read = reader.poll(1_000, Duration::from_millis(500))?;
        let mut ours = read.records.iter().filter(|record| record.position.at == position.at);
        if let Some(next) = ours.next() {
            return Ok(next.position.offset == position.offset);
        }
        if read.ended.iter().any(|(at, _)| *at == position.at) {
            return Ok(false);
        }
    }
    Err(LogError::Unavailable("the records could not be read back".into()))
}
