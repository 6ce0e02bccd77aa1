//! Reading one partition from a position on.

use std::ops::ControlFlow;

use super::keys::Place;
use super::store::Store;
use super::values;
use crate::log::{Incoming, LogError, Position, TopicPartition};

/// One call returns records up to this many bytes, and at least one: values count, and a flat part
/// for the rest.
const POLL_BYTES: usize = 32 * 1024 * 1024;
const FLAT_BYTES: usize = 256;

/// What a call may still return.
pub(super) struct Budget {
    pub records: usize,
    pub bytes: usize,
}

impl Budget {
    pub fn of(records: usize) -> Self {
        Self { records, bytes: POLL_BYTES }
    }

    pub fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

/// A stretch of a partition: from a position to the end that was committed when it was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub at: TopicPartition,
    pub place: Place,
    pub from: u64,
    pub end: u64,
}

/// Adds records of `stretch` to `records`; back comes the next position. Offsets may have gaps
/// where records were superseded.
pub(super) fn fetch(
    store: &dyn Store,
    stretch: &Stretch,
    budget: &mut Budget,
    records: &mut Vec<Incoming>,
) -> Result<u64, LogError> {
    if budget.is_spent() || stretch.from >= stretch.end {
        return Ok(stretch.from);
    }
    let (from, until) = (stretch.place.record(stretch.from), stretch.place.record(stretch.end));
    let (mut next, mut damaged) = (stretch.end, None);
    store.scan(&from, &until, &mut |key, bytes| {
        let offset = key.last_chunk().map_or(0, |offset| u64::from_be_bytes(*offset));
        let Some(stored) = values::decode(bytes) else {
            damaged = Some(offset);
            return ControlFlow::Break(());
        };
        let size = stored.value.as_ref().map_or(0, Vec::len) + stored.key.len() + FLAT_BYTES;
        records.push(Incoming {
            position: Position { at: stretch.at, offset },
            appended_at: stored.appended_at,
            key: stored.key,
            value: stored.value,
            headers: stored.headers,
        });
        budget.records -= 1;
        budget.bytes = budget.bytes.saturating_sub(size);
        if budget.is_spent() {
            next = offset + 1;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    match damaged {
        None => Ok(next),
        Some(offset) => Err(LogError::Broken(format!(
            "the record at {}/{}/{offset} cannot be read",
            stretch.at.topic, stretch.at.partition
        ))),
    }
}
