//! The one place where anything is decided: requests are admitted, written as one batch, then seen.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use super::Settings;
use super::faults::{Call, Fault};
use super::group::Holder;
use super::plan::Plan;
use super::state::{State, Topics, set_bounds};
use super::store::{Store, StoreError};
use crate::crash::{self, Point};
use crate::log::{Outgoing, Position, TopicPartition, Transaction};
use crate::world::World;

/// A batch takes waiting requests up to this many bytes, and at least one.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Appends are refused while more than this waits to be written.
const WAITING_BYTES: usize = 128 * 1024 * 1024;

/// Something to be decided.
pub(super) enum Request {
    Commit { holder: Holder, transaction: Transaction },
    Write { name: String, epoch: u64, records: Vec<Outgoing> },
    Append(Box<Outgoing>),
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another one holds the seat or the name. Nothing was done.
    Fenced,
    /// Nothing was done; the same request may do better later.
    Refused(String),
    /// Nothing was done, and nothing will be before an operator acts.
    Broken(String),
    /// It may or may not have been done.
    Unknown(String),
    /// The store failed: not done as far as this process can see.
    StoreFailed(String),
}

pub(super) type Answer = Result<Vec<Position>, Refusal>;
pub(super) type Reply = Box<dyn FnOnce(Answer) + Send>;

pub(super) struct Job {
    pub request: Request,
    pub reply: Reply,
}

impl Request {
    fn outputs(&self) -> &[Outgoing] {
        match self {
            Self::Commit { transaction, .. } => &transaction.outputs,
            Self::Write { records, .. } => records,
            Self::Append(record) => std::slice::from_ref(record.as_ref()),
        }
    }

    fn bytes(&self) -> usize {
        let length = |r: &Outgoing| r.key.len() + r.value.as_ref().map_or(0, Vec::len) + 256;
        256 + self.outputs().iter().map(length).sum::<usize>()
    }

    fn call(&self) -> Call {
        match self {
            Self::Commit { .. } => Call::Commit,
            Self::Write { .. } => Call::Write,
            Self::Append(_) => Call::Append,
        }
    }
}

/// However the committer ends, nobody waits for it any longer.
struct Ended<'a>(&'a Core);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.queue.lock().jobs.clear();
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(usize, Job)>,
    bytes: usize,
    closed: bool,
}

pub(super) struct Core {
    pub world: World,
    pub settings: Settings,
    pub store: Box<dyn Store>,
    /// Held by whoever changes the store; topics with everything that was decided. Before `state`.
    pub turn: Mutex<Topics>,
    pub state: Mutex<State>,
    /// Something became readable, or a seat or partition changed hands.
    pub news: Condvar,
    queue: Mutex<Queue>,
    queued: Condvar,
    /// Whether a thread of its own writes; else whoever asks.
    committer: AtomicBool,
}

impl Core {
    pub fn new(world: World, settings: Settings, store: Box<dyn Store>, state: State) -> Self {
        Self {
            world,
            settings,
            store,
            turn: Mutex::new(state.topics.clone()),
            state: Mutex::new(state),
            news: Condvar::new(),
            queue: Mutex::default(),
            queued: Condvar::new(),
            committer: AtomicBool::new(false),
        }
    }

    /// Has `job` decided: at once, or by the committer as soon as it can.
    pub fn submit(&self, job: Job) {
        if !self.committer.load(Ordering::Acquire) {
            return self.settle(vec![job]);
        }
        let bytes = job.request.bytes();
        let mut queue = self.queue.lock();
        let refused = if queue.closed {
            Some("the log is closed")
        } else if matches!(job.request, Request::Append(_)) && queue.bytes > WAITING_BYTES {
            Some("too much waits to be written")
        } else {
            None
        };
        if let Some(why) = refused {
            drop(queue);
            return (job.reply)(Err(Refusal::Refused(why.into())));
        }
        queue.bytes += bytes;
        queue.jobs.push_back((bytes, job));
        self.queued.notify_one();
    }

    /// Submits and waits for the answer.
    pub fn ask(&self, request: Request) -> Answer {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        // Nobody listens any more: the answer has no other use.
        let reply = Box::new(move |answer| drop(sender.send(answer)));
        self.submit(Job { request, reply });
        let gone = || Refusal::Unknown("the committer ended without an answer".into());
        receiver.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Starts the thread that writes; it ends after [`Core::close`], when the queue is empty.
    pub fn start(self: &Arc<Self>) -> std::io::Result<std::thread::JoinHandle<()>> {
        let core = Arc::clone(self);
        let thread = std::thread::Builder::new().name("log-committer".into()).spawn(move || {
            let _ended = Ended(&core);
            while let Some(jobs) = core.next_jobs() {
                core.settle(jobs);
            }
        })?;
        self.committer.store(true, Ordering::Release);
        Ok(thread)
    }

    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.queued.notify_all();
    }

    fn next_jobs(&self) -> Option<Vec<Job>> {
        let mut queue = self.queue.lock();
        while queue.jobs.is_empty() {
            if queue.closed {
                return None;
            }
            self.queued.wait(&mut queue);
        }
        let (mut jobs, mut taken) = (Vec::new(), 0);
        while let Some((bytes, job)) = queue.jobs.pop_front() {
            taken += bytes;
            jobs.push(job);
            if taken >= BATCH_BYTES {
                break;
            }
        }
        queue.bytes -= taken;
        Some(jobs)
    }

    /// Decides `jobs` in their order, in one batch; answers when it is durable and readable.
    fn settle(&self, jobs: Vec<Job>) {
        let mut turn = self.turn.lock();
        let mut plan = Plan::new(&*self.store, &turn, self.world.now());
        let (mut answers, mut failure) = (Vec::with_capacity(jobs.len()), None);
        for Job { request, reply } in jobs {
            let answer = match &failure {
                None => self.decide(&request, &mut plan).unwrap_or_else(|error| {
                    failure = Some(error);
                    Ok(Vec::new())
                }),
                Some(_) => Ok(Vec::new()),
            };
            answers.push((reply, answer));
        }
        let batch = plan.take_batch();
        let Plan { bounds, committed, .. } = plan;
        if failure.is_none() && !batch.is_empty() {
            let compacted = |at: &&TopicPartition| turn.get(&at.topic).is_some_and(|t| t.compacted);
            self.state.lock().rewriting.extend(bounds.keys().filter(compacted));
            crash::at(Point::BatchDecided);
            failure = self.store.apply(batch, self.settings.sync).err();
            crash::at(Point::BatchWritten);
        }
        let mut state = self.state.lock();
        state.in_flight.clear();
        state.rewriting.clear();
        if failure.is_none() {
            for (at, bounds) in bounds {
                set_bounds(&mut turn, at, bounds);
                set_bounds(&mut state.topics, at, bounds);
            }
            for (group, at, offset) in committed {
                state.committed.entry(group).or_default().insert(at, offset);
            }
        }
        drop(state);
        drop(turn);
        self.news.notify_all();
        for (reply, answer) in answers {
            reply(match (&failure, answer) {
                (Some(StoreError::Refused(why)), Ok(_)) => Err(Refusal::Broken(why.clone())),
                (Some(StoreError::Failed(why)), Ok(_)) => Err(Refusal::StoreFailed(why.clone())),
                (_, answer) => answer,
            });
        }
    }

    /// Admits one request into the plan. Outer error: the plan is spoilt, nothing of it may be
    /// written.
    fn decide(&self, request: &Request, plan: &mut Plan<'_>) -> Result<Answer, StoreError> {
        if let Some(why) = request.outputs().iter().find_map(|record| plan.refusal(record)) {
            return Ok(Err(Refusal::Broken(why)));
        }
        let fault = {
            let mut state = self.state.lock();
            if let Err(refusal) = admit(&mut state, request, plan) {
                return Ok(Err(refusal));
            }
            let fault = state.fault(request.call());
            let goes_on = matches!(fault, None | Some(Fault::AppliedButUnknown));
            if let (Request::Commit { holder, transaction }, true) = (request, goes_on) {
                let named = transaction.offsets.iter().map(|(at, _)| (holder.group.clone(), *at));
                state.in_flight.extend(named);
            }
            fault
        };
        let unknown = || Refusal::Unknown("the outcome is not known".into());
        match fault {
            Some(Fault::RefuseBefore) => return Ok(Err(Refusal::Refused("refused".into()))),
            Some(Fault::NotAppliedUnknown) => return Ok(Err(unknown())),
            Some(Fault::StoreFails) => {
                return Err(StoreError::Failed("the disk: no space left".into()));
            }
            None | Some(Fault::AppliedButUnknown) => {}
        }
        let appended = request.outputs().iter().map(|record| plan.append(record));
        let positions = appended.collect::<Result<Vec<_>, _>>()?;
        if let Request::Commit { holder, transaction } = request {
            for (at, offset) in &transaction.offsets {
                plan.commit(&holder.group, *at, *offset);
            }
        }
        Ok(if fault.is_some() { Err(unknown()) } else { Ok(positions) })
    }
}

/// Whether the asker still is who it says, and asks for its own.
fn admit(state: &mut State, request: &Request, plan: &Plan<'_>) -> Result<(), Refusal> {
    match request {
        Request::Append(_) => Ok(()),
        Request::Write { name, epoch, .. } => match state.writers.get(name) {
            Some(newest) if newest == epoch => Ok(()),
            Some(_) | None => Err(Refusal::Fenced),
        },
        Request::Commit { holder, transaction } => {
            if !state.holds(holder) {
                return Err(Refusal::Fenced);
            }
            let group = state.groups.get(&holder.group);
            for (at, offset) in &transaction.offsets {
                if !group.is_some_and(|group| group.owns(holder.ordinal, at)) {
                    let why = format!("{}/{} is not this member's", at.topic, at.partition);
                    return Err(Refusal::Refused(why));
                }
                if *offset > plan.end(*at) {
                    let why = format!("{}/{} ends before {offset}", at.topic, at.partition);
                    return Err(Refusal::Refused(why));
                }
            }
            Ok(())
        }
    }
}
