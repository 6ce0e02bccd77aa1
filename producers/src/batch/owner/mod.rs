//! The owner of batches: answers orders and releases rows, one transaction a step.

mod load;
mod release;
mod rows;
mod shares;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use policy::batch::fair::Fair;
use policy::batch::life::{Done, begun, look, obey};
use runtime::dead::{self, SealBytes};
use runtime::log::{
    CommitError, Incoming, Log, LogError, Member, Outgoing, Seat, TopicPartition, Transaction,
};
use runtime::world::World;
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::{BatchChunk, BatchCommand, BatchPhase, BatchState, Reason};
use schemas::topics::Topic;
use tokio::runtime::Handle;

use super::config::BatchConfig;
use super::metrics::BatchMetrics;
use super::ports::ChunkStore;
use crate::ingest::{Registry, Sealer};
use release::Opened;
use shares::Shares;

/// How long a poll waits when no row may leave.
const IDLE: Duration = Duration::from_millis(50);
/// Orders of one step.
const ORDERS: usize = 256;
/// The bulk lane's backlog is measured so often at most.
const MEASURE_EVERY: Duration = Duration::from_millis(200);
/// How often it is seen whose time has come or is over.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What an owner is made of.
pub struct OwnerParts {
    pub config: BatchConfig,
    pub world: World,
    pub log: Arc<dyn Log>,
    pub sealer: Sealer,
    pub registry: Arc<Registry>,
    pub store: Arc<dyn ChunkStore>,
    pub metrics: BatchMetrics,
    /// How orders that nobody can decode are set aside.
    pub seal: SealBytes,
    /// Groups of the bulk lane whose backlog counts.
    pub lane: Vec<Seat>,
    pub runtime: Handle,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// So many rows were released.
    Released(i64),
    /// Orders were answered, or time has changed something.
    Changed,
    Nothing,
}

/// One member's work on the batches it owns.
pub struct Owner {
    parts: OwnerParts,
    member: Box<dyn Member>,
    shards: BTreeMap<TopicPartition, Shard>,
    /// Owned, and not yet read.
    unread: BTreeSet<TopicPartition>,
    /// Polled, and not yet answered.
    orders: VecDeque<Incoming>,
    fair: Fair<String>,
    shares: Shares,
    opened: BTreeMap<String, Opened>,
    /// What the lane was behind, when, and what was released since.
    backlog: Backlog,
    looked: Timestamp,
    /// The store did not answer: no row leaves before.
    rest_until: Timestamp,
}

#[derive(Default)]
struct Backlog {
    measured: Option<(Timestamp, u64)>,
    since: u64,
}

/// The batches of one partition of orders.
#[derive(Default)]
pub(super) struct Shard {
    /// Offset of the next order.
    next: u64,
    batches: BTreeMap<String, Owned>,
}

/// One batch, as the log has it.
#[derive(Clone)]
pub(super) struct Owned {
    state: BatchState,
    chunks: BTreeMap<i32, BatchChunk>,
}

/// What a step is about to commit: nothing of it is in the shards before the log has taken it.
#[derive(Default)]
pub(super) struct Draft {
    outputs: Vec<Outgoing>,
    /// Partitions of orders that are concerned, with the next offset.
    touched: BTreeMap<TopicPartition, u64>,
    states: BTreeMap<(TopicPartition, String), BatchState>,
    chunks: Vec<(TopicPartition, BatchChunk)>,
    /// Tombstones.
    gone: BTreeSet<(TopicPartition, String)>,
    released: i64,
}

impl Owner {
    /// The owner in a seat that was taken for it.
    #[must_use]
    pub fn new(parts: OwnerParts, member: Box<dyn Member>) -> Self {
        let fair = Fair::new(parts.config.quantum_rows);
        Self {
            parts,
            member,
            shards: BTreeMap::new(),
            unread: BTreeSet::new(),
            orders: VecDeque::new(),
            fair,
            shares: Shares::default(),
            opened: BTreeMap::new(),
            backlog: Backlog::default(),
            looked: Timestamp(0),
            rest_until: Timestamp(0),
        }
    }

    /// Answers what orders there are and releases what may leave, in one transaction. A commit that
    /// failed or is unknown leaves nothing in memory: everything is read from the log again.
    ///
    /// # Errors
    /// See [`LogError`]; `Unavailable` is passing.
    pub fn step(&mut self) -> Result<Worked, LogError> {
        let now = self.parts.world.now();
        let budget = self.budget(now);
        let wait = if budget > 0 && self.has_rows() { Duration::ZERO } else { IDLE };
        let room = ORDERS.saturating_sub(self.orders.len());
        let polled = self.member.poll(room, wait)?;
        for at in polled.lost.iter().chain(&polled.revoking) {
            self.let_go(*at);
        }
        self.unread.extend(&polled.assigned);
        self.orders.extend(polled.records);
        self.read()?;
        let mut draft = Draft::default();
        while let Some(record) = self.orders.pop_front() {
            if let Err(error) = self.answer(&record, &mut draft) {
                self.orders.push_front(record);
                tracing::warn!(%error, "an order waits");
                break;
            }
        }
        let now = self.parts.world.now();
        if now.since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            self.look(&mut draft, now);
        }
        if budget > 0 && now >= self.rest_until {
            self.release(&mut draft, budget, now);
        }
        self.commit(draft)
    }

    fn let_go(&mut self, at: TopicPartition) {
        self.shards.remove(&at);
        self.unread.remove(&at);
        self.orders.retain(|order| order.position.at != at);
    }

    /// Reads what is owned and was not read; what could not be read is read at the next step.
    fn read(&mut self) -> Result<(), LogError> {
        while let Some(at) = self.unread.first().copied() {
            let shard = load::shard(&self.parts, self.member.as_mut(), at)?;
            self.shards.insert(at, shard);
            self.unread.remove(&at);
        }
        Ok(())
    }

    fn answer(&mut self, record: &Incoming, draft: &mut Draft) -> Result<(), LogError> {
        let at = record.position.at;
        draft.touched.insert(at, record.position.offset + 1);
        let codec = &self.parts.world.codec;
        let decoded = record.value.as_deref().map(|value| codec.decode::<BatchCommand>(value));
        let order = match decoded {
            Some(Ok(order)) => order,
            Some(Err(_)) | None => {
                draft.outputs.push(self.letter(record)?);
                return Ok(());
            }
        };
        let known = self.peek(draft, at, &order.batch_id).cloned();
        let Some(mut state) = known.or_else(|| begun(&order)) else { return Ok(()) };
        let now = self.parts.world.now();
        if let Done::Taken(chunk) = obey(&mut state, &order, now) {
            self.parts.metrics.count("taken", chunk.rows - chunk.refused);
            self.parts.metrics.count("refused", chunk.refused);
            draft.chunks.push((at, chunk));
        }
        state.answered = i64::try_from(record.position.offset + 1).unwrap_or(i64::MAX);
        draft.states.insert((at, order.batch_id), state);
        Ok(())
    }

    /// The state as this step has it by now.
    fn peek<'a>(
        &'a self,
        draft: &'a Draft,
        at: TopicPartition,
        batch: &str,
    ) -> Option<&'a BatchState> {
        let drafted = draft.states.get(&(at, batch.to_owned()));
        drafted.or_else(|| Some(&self.shards.get(&at)?.batches.get(batch)?.state))
    }

    /// Orders that nobody can decode are set aside, sealed, as every other record is.
    fn letter(&self, record: &Incoming) -> Result<Outgoing, LogError> {
        let (world, seal) = (&self.parts.world, &self.parts.seal);
        let why = Reason::Undecodable;
        dead::letter(record, "batch", why, seal, &world.codec, world.now())
            .map_err(|_| LogError::Unavailable("no key to set an order aside under".to_owned()))
    }

    /// What time has changed: phases, and batches that nobody needs any more.
    fn look(&self, draft: &mut Draft, now: Timestamp) {
        let kept = Duration::from_secs(u64::from(self.parts.config.keep_days) * 86_400);
        for (at, shard) in &self.shards {
            for (batch, owned) in &shard.batches {
                let Some(state) = self.peek(draft, *at, batch) else { continue };
                let is_old = now.since(state.updated_at) >= kept;
                if !is_old && policy::batch::life::is_over(state.phase) {
                    continue;
                }
                let mut state = state.clone();
                if is_old && policy::batch::life::is_over(state.phase) {
                    draft.gone.insert((*at, batch.clone()));
                    draft.outputs.extend(tombstones(owned));
                    draft.touched.entry(*at).or_insert(shard.next);
                    continue;
                }
                if is_old {
                    (state.phase, state.updated_at) = (BatchPhase::Cancelled, now);
                }
                if is_old || look(&mut state, now) {
                    draft.states.insert((*at, batch.clone()), state);
                }
            }
        }
    }

    /// The rows behind which the log ends are in one transaction with the cursor, and with the offsets of
    /// the partition: one who owns it no more commits nothing.
    fn commit(&mut self, mut draft: Draft) -> Result<Worked, LogError> {
        for ((at, _), state) in &draft.states {
            let next = self.shards.get(at).map_or(0, |shard| shard.next);
            draft.touched.entry(*at).or_insert(next);
            draft.outputs.push(self.state_record(state));
        }
        for (_, chunk) in &draft.chunks {
            draft.outputs.push(self.chunk_record(chunk));
        }
        if draft.touched.is_empty() {
            return Ok(Worked::Nothing);
        }
        let outputs = std::mem::take(&mut draft.outputs);
        let offsets = draft.touched.iter().map(|(at, next)| (*at, *next)).collect();
        match self.member.commit(Transaction { outputs, offsets }) {
            Ok(()) => Ok(self.keep(draft)),
            Err(CommitError::Rewound { why, .. }) => {
                tracing::warn!(why, "a step of the release was not committed: reading again");
                self.forget();
                Ok(Worked::Changed)
            }
            Err(CommitError::Log(error)) => {
                self.forget();
                Err(error)
            }
        }
    }

    /// What is owned is read again, and orders from the committed offsets come again.
    fn forget(&mut self) {
        self.unread.extend(self.shards.keys());
        self.shards.clear();
        self.orders.clear();
        self.opened.clear();
    }

    fn keep(&mut self, draft: Draft) -> Worked {
        for (at, next) in draft.touched {
            self.shards.entry(at).or_default().next = next;
        }
        for ((at, batch), state) in draft.states {
            let batches = &mut self.shards.entry(at).or_default().batches;
            let fresh = Owned { state: state.clone(), chunks: BTreeMap::new() };
            batches.entry(batch).or_insert(fresh).state = state;
        }
        for (at, chunk) in draft.chunks {
            let batches = &mut self.shards.entry(at).or_default().batches;
            if let Some(owned) = batches.get_mut(&chunk.batch_id) {
                owned.chunks.insert(chunk.number, chunk);
            }
        }
        for (at, batch) in draft.gone {
            self.shards.entry(at).or_default().batches.remove(&batch);
        }
        self.backlog.since += u64::try_from(draft.released).unwrap_or(0);
        if draft.released > 0 { Worked::Released(draft.released) } else { Worked::Changed }
    }

    fn state_record(&self, state: &BatchState) -> Outgoing {
        let key = state.batch_id.clone().into_bytes();
        let value = Some(self.parts.world.codec.encode(state));
        let headers = Headers { service_id: Some(state.service_id.clone()), ..Headers::default() };
        Outgoing { topic: Topic::BatchState, partition_by: key.clone(), key, value, headers }
    }

    fn chunk_record(&self, chunk: &BatchChunk) -> Outgoing {
        let value = Some(self.parts.world.codec.encode(chunk));
        Outgoing { value, ..chunk_tombstone(chunk) }
    }
}

fn chunk_tombstone(chunk: &BatchChunk) -> Outgoing {
    Outgoing {
        topic: Topic::BatchChunk,
        key: format!("{}/{}", chunk.batch_id, chunk.number).into_bytes(),
        partition_by: chunk.batch_id.clone().into_bytes(),
        value: None,
        headers: Headers::default(),
    }
}

/// The chunks first: a state without chunks would be one that lost its rows.
fn tombstones(owned: &Owned) -> Vec<Outgoing> {
    let key = owned.state.batch_id.clone().into_bytes();
    let state = Outgoing {
        topic: Topic::BatchState,
        partition_by: key.clone(),
        key,
        value: None,
        headers: Headers::default(),
    };
    owned.chunks.values().map(chunk_tombstone).chain([state]).collect()
}
