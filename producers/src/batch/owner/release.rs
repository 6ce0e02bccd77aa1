//! Whose rows leave, how many, and out of which chunk.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::batch::fair::Demand;
use policy::batch::life::releasable;
use runtime::log::TopicPartition;
use schemas::ids::Timestamp;
use schemas::records::{BatchChunk, BatchState, Reason};

use super::rows::{Leaving, Left};
use super::{Draft, MEASURE_EVERY, Owner};
use crate::batch::chunk::{self, Rows, Unopened};

/// Chunks held open at once.
const OPEN: usize = 16;
/// After the store did not answer, or no key was at hand.
const REST: Duration = Duration::from_millis(500);

/// A chunk that rows are being released from.
pub struct Opened {
    number: i32,
    /// Or why its rows are lost.
    rows: Result<Rows, Reason>,
}

/// The batches of one sender, oldest first.
type Queue = Vec<(TopicPartition, String)>;

impl Owner {
    pub(super) fn has_rows(&self) -> bool {
        let mut all = self.shards.values().flat_map(|shard| shard.batches.values());
        all.any(|owned| releasable(&owned.state) > 0)
    }

    /// Rows that may leave now: this owner's part of the room that the bulk lane has.
    pub(super) fn budget(&mut self, now: Timestamp) -> u64 {
        if !self.has_rows() || now < self.rest_until {
            return 0;
        }
        let is_fresh = |(at, _): &(Timestamp, u64)| now.since(*at) < MEASURE_EVERY;
        if !self.backlog.measured.as_ref().is_some_and(is_fresh) {
            let behind: Result<u64, _> =
                self.parts.lane.iter().map(|seat| self.parts.log.behind(seat)).sum();
            match behind {
                Ok(behind) => {
                    self.backlog.measured = Some((now, behind));
                    self.backlog.since = 0;
                    self.parts.metrics.backlog.set(i64::try_from(behind).unwrap_or(i64::MAX));
                }
                Err(error) => {
                    tracing::warn!(%error, "the bulk lane's backlog is not known: no row leaves");
                    self.rest_until = now.plus(REST);
                    return 0;
                }
            }
        }
        let behind = self.backlog.measured.map_or(u64::MAX, |(_, behind)| behind);
        let room = self.parts.config.backlog_records.saturating_sub(behind);
        let owned = self.shards.len() as u64;
        let all = self.shards.keys().next().map_or(Ok(1), |at| self.parts.log.partitions(at.topic));
        let all = u64::from(all.unwrap_or(1)).max(owned);
        let part = (room * owned).div_ceil(all.max(1));
        part.saturating_sub(self.backlog.since).min(self.parts.config.release_rows)
    }

    /// Puts up to `budget` rows into `draft`, sender by sender in turn.
    pub(super) fn release(&mut self, draft: &mut Draft, budget: u64, now: Timestamp) {
        let (demands, queues) = self.demands(draft);
        let waiting: u64 = demands.values().map(|demand| demand.rows).sum();
        self.parts.metrics.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.parts.metrics.senders.set(i64::try_from(demands.len()).unwrap_or(i64::MAX));
        if demands.is_empty() {
            return;
        }
        for (sender, rows) in self.fair.deal(&demands, budget) {
            let mut left = i64::try_from(rows).unwrap_or(i64::MAX);
            for (at, batch) in queues.get(&sender).into_iter().flatten() {
                while left > 0 {
                    let gone = self.release_some(draft, *at, batch, left, now);
                    left -= gone;
                    draft.released += gone;
                    if gone == 0 {
                        break;
                    }
                }
            }
            let gone = rows - u64::try_from(left).unwrap_or(0);
            self.shares.took(&sender, gone);
            if left > 0 {
                break;
            }
        }
        self.shares.report(&demands, now, &self.parts.metrics);
    }

    fn demands(&self, draft: &Draft) -> (BTreeMap<String, Demand>, BTreeMap<String, Queue>) {
        let mut demands: BTreeMap<String, Demand> = BTreeMap::new();
        let mut found: BTreeMap<String, Vec<(Timestamp, TopicPartition, String)>> = BTreeMap::new();
        for (at, shard) in &self.shards {
            for batch in shard.batches.keys() {
                let Some(state) = self.peek(draft, *at, batch) else { continue };
                let rows = u64::try_from(releasable(state)).unwrap_or(0);
                if rows == 0 || draft.gone.contains(&(*at, batch.clone())) {
                    continue;
                }
                let service = self.parts.registry.by_id(&state.service_id);
                let (sender, weight) = match service {
                    Some(service) => (service.account.account_id.clone(), service.bulk_weight),
                    None => (state.service_id.to_string(), 1),
                };
                let demand = demands.entry(sender.clone()).or_insert(Demand { rows: 0, weight });
                demand.rows += rows;
                demand.weight = demand.weight.max(weight);
                let made = (state.plan.created_at, *at, batch.clone());
                found.entry(sender).or_default().push(made);
            }
        }
        let queues = found.into_iter().map(|(sender, mut batches)| {
            batches.sort();
            (sender, batches.into_iter().map(|(_, at, batch)| (at, batch)).collect())
        });
        (demands, queues.collect())
    }

    /// Releases at most `most` rows of a batch, all out of one chunk; 0 where none may or can leave now.
    fn release_some(
        &mut self,
        draft: &mut Draft,
        at: TopicPartition,
        batch: &str,
        most: i64,
        now: Timestamp,
    ) -> i64 {
        let Some(mut state) = self.peek(draft, at, batch).cloned() else { return 0 };
        if releasable(&state) == 0 {
            return 0;
        }
        let Some(chunk) = self.chunk_at(draft, at, &state) else {
            tracing::error!(batch, row = state.released, "a row has no chunk: the batch rests");
            return 0;
        };
        if !self.open(&chunk, now) {
            return 0;
        }
        let Some(opened) = self.opened.get(batch) else { return 0 };
        let leaving = Leaving::new(&self.parts, &state, opened.rows.as_ref());
        let begins = state.released;
        let end = (begins + most).min(chunk.first_row + chunk.rows).min(state.rows);
        while state.released < end {
            match leaving.row(&chunk, state.released, now) {
                Left::Refused => {}
                Left::Sent(record) => {
                    state.sent += 1;
                    draft.outputs.push(record);
                }
                Left::Withdrawn(event) => {
                    state.withdrawn += 1;
                    draft.outputs.push(event);
                }
                Left::Lost(event) => {
                    state.withdrawn += 1;
                    self.parts.metrics.count("lost", 1);
                    draft.outputs.push(event);
                }
                Left::Wait => {
                    self.rest_until = now.plus(REST);
                    break;
                }
            }
            state.released += 1;
        }
        let gone = state.released - begins;
        if gone > 0 {
            if begins == 0 {
                self.parts.metrics.wait.observe(now.since(state.updated_at).as_secs_f64());
            }
            if state.released == chunk.first_row + chunk.rows {
                self.opened.remove(batch);
            }
            state.updated_at = now;
            policy::batch::life::look(&mut state, now);
            draft.states.insert((at, batch.to_owned()), state);
        }
        gone
    }

    fn chunk_at(
        &self,
        draft: &Draft,
        at: TopicPartition,
        state: &BatchState,
    ) -> Option<BatchChunk> {
        let has = |chunk: &&BatchChunk| {
            (chunk.first_row..chunk.first_row + chunk.rows).contains(&state.released)
        };
        let fresh = draft.chunks.iter().map(|(_, chunk)| chunk);
        let mut fresh = fresh.filter(|chunk| chunk.batch_id == state.batch_id);
        let known = self.shards.get(&at)?.batches.get(&state.batch_id);
        let known = known.and_then(|owned| owned.chunks.values().find(has));
        known.or_else(|| fresh.find(has)).cloned()
    }

    /// Whether the chunk is open now; a chunk that is lost counts as open, with the reason.
    fn open(&mut self, chunk: &BatchChunk, now: Timestamp) -> bool {
        let batch = &chunk.batch_id;
        if self.opened.get(batch).is_some_and(|opened| opened.number == chunk.number) {
            return true;
        }
        let length = u64::try_from(chunk.length).unwrap_or(0);
        let got = self.parts.runtime.block_on(self.parts.store.get(&chunk.object, length));
        let opened = match got {
            Ok(Some(sealed)) => chunk::open(&self.parts.sealer, chunk, &sealed),
            Ok(None) => Err(Unopened::Lost(Reason::NotFound)),
            Err(_) => Err(Unopened::Wait),
        };
        let rows = match opened {
            Ok(rows) => Ok(rows),
            Err(Unopened::Wait) => {
                self.rest_until = now.plus(REST);
                return false;
            }
            Err(Unopened::Lost(why)) => {
                let (number, why_word) = (chunk.number, why.name());
                tracing::error!(batch, number, why = why_word, "a chunk is lost: its rows fail");
                Err(why)
            }
        };
        if self.opened.len() >= OPEN {
            self.opened.pop_first();
        }
        self.opened.insert(batch.clone(), Opened { number: chunk.number, rows });
        true
    }
}
