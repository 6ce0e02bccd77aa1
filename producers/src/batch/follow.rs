//! Fills the view of batches; belongs on a thread of its own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::log::{Log, LogError, Start, TopicPartition};
use runtime::world::World;

use super::view::BatchView;

const POLL: Duration = Duration::from_millis(200);
const MOST: usize = 4_000;

/// Reads the log from its beginning into `view`, until `stop`. A log that does not answer is waited for:
/// the view then says nothing new.
///
/// # Errors
/// See [`LogError`]: at the start, or what waiting does not heal.
pub fn follow(
    view: &BatchView,
    log: &dyn Log,
    world: &World,
    stop: &AtomicBool,
) -> Result<(), LogError> {
    let mut reader = log.reader(&BatchView::topics(), &Start::Beginning)?;
    let mut behind = BTreeSet::new();
    for topic in BatchView::topics() {
        let partitions = 0..log.partitions(topic)?;
        behind.extend(partitions.map(|partition| TopicPartition { topic, partition }));
    }
    let mut ready = false;
    while !stop.load(Ordering::Relaxed) {
        let read = match reader.poll(MOST, POLL) {
            Ok(read) => read,
            Err(LogError::Unavailable(why)) => {
                tracing::warn!(why, "the view of batches waits for the log");
                continue;
            }
            Err(error @ (LogError::Broken(_) | LogError::Fenced)) => return Err(error),
        };
        view.apply(&read.records, world);
        read.ended.iter().for_each(|(at, _)| {
            behind.remove(at);
        });
        if !ready && behind.is_empty() {
            ready = true;
            view.mark_ready();
        }
    }
    Ok(())
}
