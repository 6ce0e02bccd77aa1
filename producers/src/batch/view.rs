//! What doors know of batches: state, chunks and what became of each row, built from the log.
//!
//! Held in this process and built anew at each start: some eight bytes a row that was sent.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use parking_lot::RwLock;
use policy::batch::identity::Family;
use policy::batch::tally::{Counters, Fate, Tally, count};
use runtime::log::Incoming;
use runtime::world::World;
use schemas::codec::DecodeError;
use schemas::ids::Timestamp;
use schemas::records::{BatchChunk, BatchState, MessageStatus};
use schemas::topics::Topic;
use tokio::sync::watch;

use crate::ingest::ports::NotReady;

/// Over so long a rate is taken.
const RATE_OVER: Duration = Duration::from_secs(10);

/// The view; ready once the log's end was seen.
pub struct BatchView {
    inner: RwLock<Inner>,
    /// Bumped after each step.
    moved: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    ready: bool,
    batches: HashMap<String, Held>,
    /// By family and not by batch: events and states come by topics of their own, in no order.
    tallies: HashMap<Family, Tally>,
    /// By batch and number; for the same reason.
    chunks: HashMap<String, BTreeMap<i32, BatchChunk>>,
}

struct Held {
    state: BatchState,
    /// Absent for an id that is none of ours.
    family: Option<Family>,
    /// When how many rows had been released.
    pace: VecDeque<(Timestamp, i64)>,
}

/// A batch as a door shows it: state and counters of one moment.
pub struct Shown {
    pub state: BatchState,
    pub counters: Counters,
    /// Rows a second.
    pub rate: f64,
}

impl Default for BatchView {
    fn default() -> Self {
        Self { inner: RwLock::default(), moved: watch::Sender::new(0) }
    }
}

impl BatchView {
    /// The topics it is built from.
    #[must_use]
    pub fn topics() -> [Topic; 3] {
        [Topic::BatchState, Topic::BatchChunk, Topic::Status]
    }

    /// Takes records in, in the order of their partitions.
    pub fn apply(&self, records: &[Incoming], world: &World) {
        if records.is_empty() {
            return;
        }
        let mut inner = self.inner.write();
        for record in records {
            if inner.take(record, world).is_err() {
                let (topic, offset) = (record.position.at.topic, record.position.offset);
                tracing::error!(%topic, offset, "undecodable record: the view of batches skips it");
            }
        }
        drop(inner);
        self.moved.send_modify(|step| *step += 1);
    }

    /// The log's end was reached: it may be asked. Events of batches that are gone are let go.
    pub fn mark_ready(&self) {
        let mut inner = self.inner.write();
        inner.ready = true;
        let known: Vec<_> = inner.batches.values().filter_map(|held| held.family).collect();
        inner.tallies.retain(|family, _| known.contains(family));
        drop(inner);
        self.moved.send_modify(|step| *step += 1);
    }

    /// The batch as it is known now.
    ///
    /// # Errors
    /// [`NotReady`].
    pub fn shown(&self, batch: &str, now: Timestamp) -> Result<Option<Shown>, NotReady> {
        let inner = self.inner.read();
        if !inner.ready {
            return Err(NotReady);
        }
        let Some(held) = inner.batches.get(batch) else { return Ok(None) };
        let nothing = Tally::default();
        let tally = held.family.and_then(|family| inner.tallies.get(&family)).unwrap_or(&nothing);
        let counters = count(&held.state, tally);
        Ok(Some(Shown { state: held.state.clone(), counters, rate: held.rate(now) }))
    }

    /// The chunk of that number once it is here; nothing where that takes too long. It may come after
    /// the state that counts it.
    pub async fn chunk_seen(
        &self,
        batch: &str,
        number: i32,
        until: Timestamp,
        world: &World,
    ) -> Option<BatchChunk> {
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            let chunk = self.chunk(batch, number);
            if chunk.is_some() || world.now() >= until {
                return chunk;
            }
            tokio::select! {
                _ = moved.changed() => {}
                () = world.sleep_until(until) => {}
            }
        }
    }

    /// The chunk of that number.
    #[must_use]
    pub fn chunk(&self, batch: &str, number: i32) -> Option<BatchChunk> {
        self.inner.read().chunks.get(batch)?.get(&number).cloned()
    }

    /// What became of `rows` rows from `first` on, counted from 0.
    #[must_use]
    pub fn fates(&self, batch: &str, first: i64, rows: usize) -> Vec<Fate> {
        let inner = self.inner.read();
        let nothing = Tally::default();
        let family = inner.batches.get(batch).and_then(|held| held.family);
        let tally = family.and_then(|family| inner.tallies.get(&family)).unwrap_or(&nothing);
        let first = usize::try_from(first).unwrap_or(0);
        (first..first + rows).map(|row| tally.fate(row)).collect()
    }

    /// The state once the owner has answered the order at `offset`; nothing where that takes too long.
    ///
    /// # Errors
    /// [`NotReady`].
    pub async fn answered(
        &self,
        batch: &str,
        offset: u64,
        until: Timestamp,
        world: &World,
    ) -> Result<Option<BatchState>, NotReady> {
        let wanted = i64::try_from(offset).unwrap_or(i64::MAX);
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            if let Some(shown) = self.shown(batch, world.now())?
                && shown.state.answered > wanted
            {
                return Ok(Some(shown.state));
            }
            if world.now() >= until {
                return Ok(None);
            }
            tokio::select! {
                _ = moved.changed() => {}
                () = world.sleep_until(until) => {}
            }
        }
    }
}

impl Inner {
    fn take(&mut self, record: &Incoming, world: &World) -> Result<(), DecodeError> {
        let topic = record.position.at.topic;
        let Some(value) = &record.value else {
            if topic == Topic::BatchState {
                self.forget(&String::from_utf8_lossy(&record.key));
            }
            return Ok(());
        };
        if topic == Topic::BatchState {
            self.take_state(world.codec.decode(value)?);
        } else if topic == Topic::BatchChunk {
            let chunk: BatchChunk = world.codec.decode(value)?;
            let chunks = self.chunks.entry(chunk.batch_id.clone()).or_default();
            chunks.insert(chunk.number, chunk);
        } else {
            self.take_event(&world.codec.decode(value)?);
        }
        Ok(())
    }

    fn take_state(&mut self, state: BatchState) {
        let held =
            self.batches.entry(state.batch_id.clone()).or_insert_with(|| Held::new(state.clone()));
        held.pace.push_back((state.updated_at, state.released));
        while held.pace.len() > 2 && state.updated_at.since(held.pace[1].0) >= RATE_OVER {
            held.pace.pop_front();
        }
        held.state = state;
    }

    fn take_event(&mut self, event: &MessageStatus) {
        let (family, row) = Family::and_row(event.message_id);
        let Ok(row) = usize::try_from(row) else { return };
        // Rows count from 1 for those who read events.
        if event.batch.as_ref().is_some_and(|it| usize::try_from(it.row) == Ok(row + 1)) {
            self.tallies.entry(family).or_default().take(row, event);
        } else if let Some(tally) = self.tallies.get_mut(&family) {
            // A dead letter's status is made of headers alone, which name no batch.
            tally.take(row, event);
        }
    }

    fn forget(&mut self, batch: &str) {
        let family = self.batches.remove(batch).and_then(|held| held.family);
        family.map(|family| self.tallies.remove(&family));
        self.chunks.remove(batch);
    }
}

impl Held {
    fn new(state: BatchState) -> Self {
        let family = Family::of(state.plan.created_at, &state.batch_id);
        Self { state, family, pace: VecDeque::new() }
    }

    fn rate(&self, now: Timestamp) -> f64 {
        let Some((since, before)) = self.pace.front() else { return 0.0 };
        let seconds = now.since(*since).as_secs_f64();
        let rows = u32::try_from(self.state.released - before).unwrap_or(u32::MAX);
        if seconds > 0.0 { f64::from(rows) / seconds } else { 0.0 }
    }
}
