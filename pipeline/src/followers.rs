//! What every process keeps in memory by following compacted topics: transit keys and services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use consumers::keys::Keys;
use producers::ingest::Registry;
use runtime::log::{Incoming, Log, LogError, Outgoing, Reader, Start, read_to_end};
use runtime::world::World;
use schemas::headers::Headers;
use schemas::records::{ServiceRecord, TransitKeyRecord};
use schemas::topics::Topic;
use sealing::KeySchedules;

const POLL: Duration = Duration::from_millis(200);

/// Reads a topic to its end, applying each record; afterwards `follow` goes on from there.
pub struct Follower {
    reader: Box<dyn Reader>,
    topic: Topic,
    apply: Box<dyn FnMut(&Incoming) + Send>,
}

impl Follower {
    /// Opens the reader at the topic's beginning.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn open(
        log: &dyn Log,
        topic: Topic,
        apply: impl FnMut(&Incoming) + Send + 'static,
    ) -> Result<Self, LogError> {
        let reader = log.reader(&[topic], &Start::Beginning)?;
        Ok(Self { reader, topic, apply: Box::new(apply) })
    }

    /// Reads until the end of every partition has been seen once.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn catch_up(&mut self, partitions: u32) -> Result<(), LogError> {
        read_to_end(self.reader.as_mut(), partitions, |record| (self.apply)(&record))
    }

    /// Goes on until `stop`. A log that is away is waited for; one that is broken ends it, and with it
    /// the process: whoever knows no newer keys and services must not seem whole.
    pub fn follow(&mut self, stop: &AtomicBool) {
        let mut away = false;
        while !stop.load(Ordering::Relaxed) {
            match self.reader.poll(1_000, POLL) {
                Ok(read) => {
                    away = false;
                    read.records.iter().for_each(|record| (self.apply)(record));
                }
                Err(LogError::Unavailable(why)) => {
                    // Said once for each outage, not at each try.
                    if !away {
                        tracing::warn!(topic = %self.topic, why, "waiting");
                    }
                    away = true;
                    std::thread::park_timeout(POLL);
                }
                Err(error @ (LogError::Broken(_) | LogError::Fenced)) => {
                    tracing::error!(
                        topic = %self.topic, %error, "follower ends; restart the process"
                    );
                    return;
                }
            }
        }
    }
}

/// Applies a record of `key.transit`.
pub fn apply_key(keys: &Keys, world: &World, record: &Incoming) {
    let Some(value) = &record.value else { return };
    let applied =
        world.codec.decode::<TransitKeyRecord>(value).map_err(|error| error.to_string()).and_then(
            |key| {
                let mut transit = keys.transit.write();
                transit.apply(keys.keyring.masters(), &key).map_err(|error| error.to_string())
            },
        );
    if let Err(error) = applied {
        tracing::error!(error, "a transit key was not taken in");
    }
}

/// Applies a record of `service`.
pub fn apply_service(registry: &Registry, world: &World, record: &Incoming) {
    let Some(value) = &record.value else {
        registry.remove(&String::from_utf8_lossy(&record.key).into_owned().into());
        return;
    };
    let applied = world
        .codec
        .decode::<ServiceRecord>(value)
        .map_err(|error| error.to_string())
        .and_then(|service| registry.apply(&service).map_err(|error| error.to_string()));
    if let Err(error) = applied {
        tracing::error!(error, "a service was not taken in");
    }
}

/// Publishes new and destroyed transit keys when they are due. Every process does; the writer is taken
/// when there is something to write, so that a process which has ended bars nobody, and of several that
/// write at once the last one does.
pub struct Rotation {
    pub keys: Keys,
    pub world: World,
    pub schedules: KeySchedules,
    pub log: Arc<dyn Log>,
}

impl Rotation {
    /// One look: whether anything was published.
    ///
    /// # Errors
    /// Ours: the log did not take it, or another process was faster.
    pub fn turn(&self) -> anyhow::Result<bool> {
        let now = self.world.now();
        let due = {
            let transit = self.keys.transit.read();
            let entropy = self.keys.entropy.as_ref();
            transit.due_records(entropy, self.keys.keyring.masters(), now, &self.schedules)?
        };
        if due.is_empty() {
            return Ok(false);
        }
        let records = due.iter().map(|key| Outgoing {
            topic: Topic::TransitKey,
            key: key.key_id.clone().into_bytes(),
            partition_by: key.key_id.clone().into_bytes(),
            value: Some(self.world.codec.encode(key)),
            headers: Headers::default(),
        });
        self.log.writer("keys")?.write(records.collect())?;
        Ok(true)
    }
}

/// Starts a follower on a thread of its own, after it has caught up.
///
/// # Errors
/// See [`LogError`].
pub fn start(
    log: &Arc<dyn Log>,
    topic: Topic,
    stop: Arc<AtomicBool>,
    apply: impl FnMut(&Incoming) + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, LogError> {
    let mut follower = Follower::open(log.as_ref(), topic, apply)?;
    follower.catch_up(log.partitions(topic)?)?;
    std::thread::Builder::new()
        .name(format!("follow-{topic}"))
        .spawn(move || follower.follow(&stop))
        .map_err(|error| LogError::Broken(format!("no thread: {error}")))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::AtomicUsize;

    use runtime::log::{Position, Read, TopicPartition};
    use schemas::ids::Timestamp;

    use super::*;

    /// Gives its answers one after the other; asked for more, it is broken in a way that no log is.
    struct Script(VecDeque<Result<Read, LogError>>);

    impl Reader for Script {
        fn poll(&mut self, _: usize, _: Duration) -> Result<Read, LogError> {
            self.0.pop_front().expect("polled again after it could not go on")
        }
    }

    fn records(count: u64) -> Result<Read, LogError> {
        let at = TopicPartition { topic: Topic::Service, partition: 0 };
        let record = |offset| Incoming {
            position: Position { at, offset },
            appended_at: Timestamp(0),
            key: Vec::new(),
            value: None,
            headers: Vec::new(),
        };
        Ok(Read { records: (0..count).map(record).collect(), ended: Vec::new() })
    }

    fn check(answers: Vec<Result<Read, LogError>>, applied: usize) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let apply = move |_: &Incoming| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let reader = Box::new(Script(answers.into()));
        let mut follower = Follower { reader, topic: Topic::Service, apply: Box::new(apply) };
        follower.follow(&AtomicBool::new(false));
        assert_eq!(count.load(Ordering::Relaxed), applied);
    }

    #[test]
    fn a_follower_waits_for_a_log_that_is_away_and_ends_where_it_is_broken() {
        let away = || Err(LogError::Unavailable("away".to_owned()));
        let broken = || Err(LogError::Broken("damaged".to_owned()));
        check(vec![records(2), away(), records(3), broken()], 5);
        check(vec![away(), away(), records(1), Err(LogError::Fenced)], 1);
    }
}
