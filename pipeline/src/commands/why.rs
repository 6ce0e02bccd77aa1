//! `why <message id>`: a message's way, read from the log alone.

use std::time::Duration;

use runtime::log::{Incoming, Log, Start};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::ids::{MessageId, Timestamp};
use schemas::records::MessageStatus;
use schemas::topics::Topic;

use super::{executor, print};
use crate::config::Settings;
use crate::logs;

/// Prints every event of a message with the time since the one before.
///
/// # Errors
/// No such message in the log; the log's own.
pub fn run(id: MessageId, json: bool, settings: &Settings) -> anyhow::Result<()> {
    let executor = executor()?;
    let codec = Codec::with_registry_ids(settings.registry_ids.clone());
    let world = World::real(executor.handle().clone(), codec, settings.time_scale);
    let log = logs::open(settings, &world)?;
    let events = events(log.as_ref(), id, &world)?;
    anyhow::ensure!(
        !events.is_empty(),
        "no event of message {id} is on the log: either it was never accepted, or its events are \
         older than message.status keeps them"
    );
    if json {
        for event in &events {
            print(&serde_json::to_string(event)?);
        }
        return Ok(());
    }
    events.iter().fold(events[0].at, |before, event| {
        print(&line(event, before));
        event.at
    });
    let total = events[events.len() - 1].at.since(events[0].at);
    print(&format!("in all {} ms", total.as_millis()));
    Ok(())
}

/// Every event of `id`, in sequence.
///
/// # Errors
/// The log's.
pub fn events(log: &dyn Log, id: MessageId, world: &World) -> anyhow::Result<Vec<MessageStatus>> {
    let mut reader = log.reader(&[Topic::Status], &Start::Beginning)?;
    let partitions = log.partitions(Topic::Status)?;
    let key = id.to_string();
    // The partitioner says where it must lie: the end of that one partition is enough.
    let home = schemas::partitioner::partition(key.as_bytes(), partitions);
    let mut events = Vec::new();
    loop {
        let read = reader.poll(5_000, Duration::from_millis(200))?;
        let ours = |record: &&Incoming| record.key == key.as_bytes();
        for record in read.records.iter().filter(ours) {
            if let Some(value) = &record.value {
                events.push(world.codec.decode::<MessageStatus>(value)?);
            }
        }
        if read.ended.iter().any(|(at, _)| at.partition == home) {
            break;
        }
    }
    events.sort_by_key(|event| (event.epoch, event.sequence));
    Ok(events)
}

fn line(event: &MessageStatus, before: Timestamp) -> String {
    let waited = event.at.since(before).as_millis();
    let channel = event.channel.map(|channel| format!(" by {}", channel.name()));
    let outcome = event.outcome.map(|outcome| format!(": {}", outcome.name()));
    format!(
        "+{waited:>7} ms  #{:<2} {:<12}{}{} ({})",
        event.sequence,
        event.status.name(),
        channel.unwrap_or_default(),
        outcome.unwrap_or_default(),
        event.reason.name(),
    )
}
