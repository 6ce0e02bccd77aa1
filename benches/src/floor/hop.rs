//! One hop: reads, writes what it read to the next topic, commits both at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::Result;
use runtime::log::{
    CommitError, Incoming, LogError, Member, Outgoing, Seat, TopicPartition, Transaction,
};
use schemas::headers::Headers;
use schemas::topics::Topic;

/// As `worker.cadence_ms` and `worker.transaction` have it by default.
const CADENCE: Duration = Duration::from_millis(20);
const TRANSACTION: usize = 4_000;

/// What was copied in one transaction.
pub struct Copied {
    /// First bytes of the values.
    pub marks: Vec<[u8; 8]>,
    /// Before the commit and after it.
    pub written: Instant,
    pub readable: Instant,
}

/// Copies until `stop`.
///
/// # Errors
/// The log's, unless they pass.
pub fn run(
    log: &super::Log,
    from: Topic,
    to: Topic,
    done: &Sender<Copied>,
    stop: &Arc<AtomicBool>,
) -> Result<()> {
    let mut member = log.join(&seat(from))?;
    let mut held: Vec<Incoming> = Vec::new();
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let due = CADENCE.saturating_sub(last.elapsed());
        let wait = if held.is_empty() { CADENCE } else { due };
        let polled = match member.poll(TRANSACTION.saturating_sub(held.len()), wait) {
            Ok(polled) => polled,
            Err(LogError::Unavailable(_)) => continue,
            Err(error @ (LogError::Fenced | LogError::Broken(_))) => return Err(error.into()),
        };
        held.retain(|record| !polled.lost.contains(&record.position.at));
        held.extend(polled.records);
        let full = held.len() >= TRANSACTION;
        if !held.is_empty() && (full || last.elapsed() >= CADENCE || !polled.revoking.is_empty()) {
            if let Some(copied) = commit(member.as_mut(), &held, to)? {
                // Nobody asks any more at the end of a measurement.
                let _ = done.send(copied);
            }
            held.clear();
            last = Instant::now();
        }
    }
    Ok(())
}

/// The one seat of a hop.
#[must_use]
pub fn seat(from: Topic) -> Seat {
    Seat { group: format!("floor.{from}"), topics: vec![from], ordinal: 0 }
}

/// `None` where the log went back to what was committed: it gives the records again.
fn commit(member: &mut dyn Member, held: &[Incoming], to: Topic) -> Result<Option<Copied>> {
    let mut offsets: BTreeMap<TopicPartition, u64> = BTreeMap::new();
    for record in held {
        let next = offsets.entry(record.position.at).or_default();
        *next = (*next).max(record.position.offset + 1);
    }
    let outputs = held.iter().map(|record| copy(record, to)).collect();
    let written = Instant::now();
    match member.commit(Transaction { outputs, offsets: offsets.into_iter().collect() }) {
        Ok(()) => {
            let marks = held.iter().filter_map(mark).collect();
            Ok(Some(Copied { marks, written, readable: Instant::now() }))
        }
        Err(CommitError::Rewound { .. } | CommitError::Log(LogError::Unavailable(_))) => Ok(None),
        Err(CommitError::Log(error @ (LogError::Fenced | LogError::Broken(_)))) => {
            Err(error.into())
        }
    }
}

fn copy(record: &Incoming, to: Topic) -> Outgoing {
    Outgoing {
        topic: to,
        key: record.key.clone(),
        partition_by: record.key.clone(),
        value: record.value.clone(),
        headers: Headers::from_raw(&record.headers),
    }
}

fn mark(record: &Incoming) -> Option<[u8; 8]> {
    record.value.as_deref()?.first_chunk().copied()
}
