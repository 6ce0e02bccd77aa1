//! What others see while a batch is being written: the store stops where the law wants to look.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::super::store::{Batch, MemoryStore, Scope, Store, StoreError, Visit};
use super::super::{Core, Running, State};
use super::*;
use crate::log::{AppendError, LogError};

/// Memory that waits at its gate, once, before or after a batch is applied.
struct Gated {
    memory: MemoryStore,
    closed: Arc<AtomicBool>,
    when: When,
    batches: Arc<AtomicUsize>,
    reached: SyncSender<()>,
    open: Mutex<Receiver<()>>,
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    Before,
    After,
}

impl Gated {
    fn wait(&self, when: When) {
        if when == self.when && self.closed.swap(false, Ordering::SeqCst) {
            self.reached.send(()).unwrap();
            self.open.lock().recv().unwrap();
        }
    }
}

impl Store for Gated {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory.get(key)
    }

    fn scan(&self, from: &[u8], until: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.memory.scan(from, until, visit)
    }

    fn apply(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        self.wait(When::Before);
        self.memory.apply(batch, durable)?;
        self.batches.fetch_add(1, Ordering::SeqCst);
        self.wait(When::After);
        Ok(())
    }

    fn compact(&self, _: Scope) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Gate {
    closed: Arc<AtomicBool>,
    batches: Arc<AtomicUsize>,
    reached: Receiver<()>,
    open: SyncSender<()>,
}

impl Gate {
    /// Runs `work`, which writes, on a thread of its own up to the gate.
    fn hold(&self, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        self.closed.store(true, Ordering::SeqCst);
        let working = std::thread::spawn(work);
        self.reached.recv().unwrap();
        working
    }

    fn open(&self, working: JoinHandle<()>) {
        self.open.send(()).unwrap();
        working.join().unwrap();
    }
}

fn gated(when: When) -> (EmbeddedLog, Gate) {
    let (reached_sender, reached) = sync_channel(1);
    let (open, open_receiver) = sync_channel(1);
    let closed = Arc::new(AtomicBool::new(false));
    let batches = Arc::new(AtomicUsize::new(0));
    let store = Gated {
        memory: MemoryStore::default(),
        closed: Arc::clone(&closed),
        batches: Arc::clone(&batches),
        when,
        reached: reached_sender,
        open: Mutex::new(open_receiver),
    };
    let settings = Settings { partitions: 1, ..Settings::default() };
    let core = Arc::new(Core::new(world().0, settings, Box::new(store), State::default()));
    let log = EmbeddedLog(Arc::new(Running { core, committer: None }));
    log.create_all().unwrap();
    log.apply(&[], 1, &[seat(0)]).unwrap();
    (log, Gate { closed, batches, reached, open })
}

#[test]
fn an_heir_waits_for_the_commit_that_was_admitted_before_it_came() {
    let (log, gate) = gated(When::Before);
    append(&log, numbers(INPUT, 0..4));
    let mut dying = log.join(&seat(0)).unwrap();
    let records = poll(&mut dying).records;
    let committing = gate.hold(move || {
        assert_eq!(dying.commit(copy_of(&records)), Ok(()));
        assert_eq!(dying.poll(1, NOW).unwrap_err(), LogError::Fenced);
    });
    let mut heir = log.join(&seat(0)).unwrap();
    assert_eq!(poll(&mut heir).assigned, []);
    gate.open(committing);
    let inherited = poll(&mut heir);
    assert_eq!((inherited.assigned.len(), inherited.records.len()), (1, 0));
    assert_eq!(read_all(&log, OUTPUT).len(), 4);
}

#[test]
fn nothing_of_a_batch_is_seen_before_it_is_durable() {
    for when in [When::Before, When::After] {
        let (log, gate) = gated(when);
        let writing = {
            let log = log.clone();
            gate.hold(move || append(&log, numbers(INPUT, 0..4)))
        };
        assert_eq!(read_all(&log, INPUT).len(), 0);
        gate.open(writing);
        assert_eq!(read_all(&log, INPUT).len(), 4);
    }
}

#[test]
fn nobody_is_at_the_end_while_a_record_is_gone_and_its_successor_not_there() {
    let (log, gate) = gated(When::After);
    append(&log, [record(COMPACTED, "a", "old")]);
    let writing = {
        let log = log.clone();
        gate.hold(move || append(&log, [record(COMPACTED, "a", "new")]))
    };
    let mut reader = log.reader(&[COMPACTED], &Start::Beginning).unwrap();
    let read = reader.poll(10, NOW).unwrap();
    assert_eq!((read.records.len(), read.ended.len()), (0, 0));
    gate.open(writing);
    let read = reader.poll(10, NOW).unwrap();
    assert_eq!((text(&read.records[0]), read.ended.len()), ("new".into(), 1));
}

#[test]
fn what_waits_together_is_written_together() {
    let (log, gate) = gated(When::Before);
    let committer = log.0.core.start().unwrap();
    let before = gate.batches.load(Ordering::SeqCst);
    let first = {
        let log = log.clone();
        gate.hold(move || append(&log, numbers(INPUT, 0..1)))
    };
    // While the first is being written, others queue; the committer then takes all of them.
    let appender = log.appender().unwrap();
    let mut waiting: Vec<_> =
        (1..9).map(|n| Box::pin(appender.append(numbers(INPUT, n..n + 1).remove(0)))).collect();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for append in &mut waiting {
        assert!(append.as_mut().poll(&mut context).is_pending());
    }
    gate.open(first);
    let positions = futures::executor::block_on(futures::future::join_all(waiting));
    let offsets: Vec<_> = positions.into_iter().map(|position| position.unwrap().offset).collect();
    assert_eq!(offsets, (1..9).collect::<Vec<_>>());
    assert_eq!(gate.batches.load(Ordering::SeqCst) - before, 2);
    log.0.core.close();
    committer.join().unwrap();
}

#[test]
fn nobody_waits_for_a_committer_that_ended() {
    let (log, gate) = gated(When::Before);
    let committer = log.0.core.start().unwrap();
    drop(gate.open);
    gate.closed.store(true, Ordering::SeqCst);
    // The gate breaks, and the committer with it.
    let mut writer = log.writer("w").unwrap();
    assert!(matches!(writer.write(numbers(INPUT, 0..1)), Err(AppendError::Unknown(_))));
    assert!(committer.join().is_err());
    assert!(matches!(writer.write(numbers(INPUT, 0..1)), Err(AppendError::NotTaken(_))));
}
