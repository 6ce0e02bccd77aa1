//! What a new owner has to know of a partition: everything that its predecessor committed.

use std::time::{Duration, Instant};

use runtime::log::{Incoming, LogError, Member, Start, TopicPartition};
use schemas::records::{BatchChunk, BatchState};
use schemas::topics::Topic;

use super::{Owned, OwnerParts, Shard};

const POLL: Duration = Duration::from_millis(100);
/// For a predecessor's last transaction to be decided and read.
const WITHIN: Duration = Duration::from_secs(60);

/// Reads the states and chunks of the partition that `at` is of. What a predecessor wrote and did not
/// decide yet is waited for: once the group's offset is stable it can commit no more, and the end that
/// the log then names has everything that it may have written, decided or not.
pub fn shard(
    parts: &OwnerParts,
    member: &mut dyn Member,
    at: TopicPartition,
) -> Result<Shard, LogError> {
    let until = Instant::now() + WITHIN;
    let committed = member.committed()?.into_iter().find(|(owned, _)| *owned == at);
    let Some((_, next)) = committed else {
        return Err(LogError::Unavailable(format!("{}/{} has gone", at.topic, at.partition)));
    };
    let mut shard = Shard { next, ..Shard::default() };
    let mut chunks: Vec<BatchChunk> = Vec::new();
    read(
        parts,
        TopicPartition { topic: Topic::BatchState, ..at },
        until,
        &mut |record| match record.value.as_deref() {
            None => {
                shard.batches.remove(&String::from_utf8_lossy(&record.key).into_owned());
            }
            Some(value) => match parts.world.codec.decode::<BatchState>(value) {
                Ok(state) => {
                    let batch = state.batch_id.clone();
                    shard.batches.insert(batch, Owned { state, chunks: Default::default() });
                }
                Err(error) => tracing::error!(%error, "a batch's state cannot be read: it rests"),
            },
        },
    )?;
    read(
        parts,
        TopicPartition { topic: Topic::BatchChunk, ..at },
        until,
        &mut |record| match record
            .value
            .as_deref()
            .map(|value| parts.world.codec.decode::<BatchChunk>(value))
        {
            Some(Ok(chunk)) => chunks.push(chunk),
            Some(Err(error)) => tracing::error!(%error, "a chunk's record cannot be read"),
            None => {}
        },
    )?;
    for chunk in chunks {
        if let Some(owned) = shard.batches.get_mut(&chunk.batch_id) {
            owned.chunks.insert(chunk.number, chunk);
        }
    }
    Ok(shard)
}

fn read(
    parts: &OwnerParts,
    at: TopicPartition,
    until: Instant,
    visit: &mut dyn FnMut(&Incoming),
) -> Result<(), LogError> {
    let end = parts.log.end(at)?;
    let mut reader = parts.log.reader(&[at.topic], &Start::Only(vec![(at, 0)]))?;
    while Instant::now() < until {
        let read = reader.poll(1_000, POLL)?;
        for record in &read.records {
            visit(record);
        }
        if read.ended.iter().any(|(ended, next)| *ended == at && *next >= end) {
            return Ok(());
        }
    }
    Err(LogError::Unavailable(format!("{}/{} was not read in time", at.topic, at.partition)))
}
