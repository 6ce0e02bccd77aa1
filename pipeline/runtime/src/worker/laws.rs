//! What the worker promises where the embedded log cannot show it: its member is a double that says and
//! notes what a law asks for, its world stands still.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures::executor::block_on;
use parking_lot::Mutex;
use prometheus::Registry;
use schemas::codec::Codec;
use schemas::topics::{Lane, Topic};

use super::*;
use crate::log::{Polled, Position};
use crate::world::{Sources, Task};

const P: TopicPartition = TopicPartition { topic: Topic::Accepted(Lane::Live), partition: 0 };
const Q: TopicPartition = TopicPartition { partition: 1, ..P };

/// What the member says next, and what it was asked.
#[derive(Default)]
struct Script {
    polls: VecDeque<Result<Polled, LogError>>,
    commits: VecDeque<Result<(), CommitError>>,
    polled: usize,
    committed: Vec<Vec<(TopicPartition, u64)>>,
}

#[derive(Clone, Default)]
struct Double(Arc<Mutex<Script>>);

impl Double {
    fn says(&self, polled: Polled) {
        self.0.lock().polls.push_back(Ok(polled));
    }

    fn answers(&self, answer: Result<(), CommitError>) {
        self.0.lock().commits.push_back(answer);
    }

    fn committed(&self) -> Vec<Vec<(TopicPartition, u64)>> {
        self.0.lock().committed.clone()
    }

    fn polled(&self) -> usize {
        self.0.lock().polled
    }
}

impl Member for Double {
    fn poll(&mut self, _: usize, _: Duration) -> Result<Polled, LogError> {
        let mut script = self.0.lock();
        script.polled += 1;
        script.polls.pop_front().unwrap_or_else(|| Ok(Polled::default()))
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), CommitError> {
        let mut script = self.0.lock();
        let answer = script.commits.pop_front().unwrap_or(Ok(()));
        if answer.is_ok() {
            script.committed.push(transaction.offsets);
        }
        answer
    }

    fn committed(&mut self) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        Ok(Vec::new())
    }

    fn pause(&mut self, _: TopicPartition, _: bool) {}

    fn lag(&mut self) -> Vec<(TopicPartition, u64)> {
        Vec::new()
    }
}

/// Time and futures stand still until a law moves them.
#[derive(Default)]
struct Still {
    now: AtomicI64,
    tasks: Mutex<Vec<Task>>,
    /// Futures run when they are spawned.
    at_once: bool,
}

impl Sources for Still {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }

    fn spawn(&self, task: Task) {
        match self.at_once {
            true => block_on(task),
            false => self.tasks.lock().push(task),
        }
    }

    fn sleep_until(&self, _: Timestamp) -> Task {
        Box::pin(std::future::ready(()))
    }
}

type Answer = dyn Fn(u64, usize) -> Result<Outcome, Fault> + Send + Sync;

/// Notes what it handles; answers by offset and by how often it has met it before.
struct Noting {
    handled: Mutex<Vec<u64>>,
    answer: Box<Answer>,
}

#[async_trait]
impl Stage for Noting {
    type Input = ();

    fn name(&self) -> &'static str {
        "noting"
    }

    fn decode(&self, _: &Incoming, _: &Codec) -> Result<(), DecodeError> {
        Ok(())
    }

    async fn handle(&self, batch: &[Received<()>], _: &World) -> Vec<Result<Outcome, Fault>> {
        let one = |received: &Received<()>| {
            let offset = received.position.offset;
            let mut handled = self.handled.lock();
            let before = handled.iter().filter(|other| **other == offset).count();
            handled.push(offset);
            drop(handled);
            (self.answer)(offset, before)
        };
        batch.iter().map(one).collect()
    }
}

struct Rig {
    worker: Worker<Noting>,
    stage: Arc<Noting>,
    member: Double,
    still: Arc<Still>,
}

fn done(_: u64, _: usize) -> Result<Outcome, Fault> {
    Ok(Outcome::Done { why: Reason::None })
}

fn rig(
    at_once: bool,
    answer: impl Fn(u64, usize) -> Result<Outcome, Fault> + Send + Sync + 'static,
) -> Rig {
    let member = Double::default();
    let still = Arc::new(Still { at_once, now: AtomicI64::new(1_000_000), ..Still::default() });
    let world = World::new(still.clone(), Codec::default(), 1.0);
    let stage = Arc::new(Noting { handled: Mutex::default(), answer: Box::new(answer) });
    let seal: SealBytes = Arc::new(|_, _| Err(Reason::KeyUnknown));
    let limits = Limits { batch: 4, cadence: Duration::ZERO, ..Limits::default() };
    let metrics = Metrics::new(Registry::new());
    let seat = Box::new(member.clone());
    let worker = Worker::new(stage.clone(), "live", seat, world, limits, seal, metrics);
    Rig { worker, stage, member, still }
}

impl Rig {
    fn step(&mut self) -> Result<Step, LogError> {
        self.worker.step(Duration::ZERO)
    }

    /// Lets everything that was handed out be answered.
    fn run(&self) {
        for task in std::mem::take(&mut *self.still.tasks.lock()) {
            block_on(task);
        }
    }

    fn wait(&self, wait: Duration) {
        let millis = i64::try_from(wait.as_millis()).expect("short");
        self.still.now.fetch_add(millis, Ordering::Relaxed);
    }

    fn handled(&self) -> Vec<u64> {
        self.stage.handled.lock().clone()
    }

    fn counted(&self, state: &str) -> u64 {
        let labels = ["noting", "live", state];
        self.worker.metrics.forgotten.with_label_values(&labels).get()
    }
}

/// Records of `at`, each with a key of its own.
fn records(at: TopicPartition, offsets: impl IntoIterator<Item = u64>) -> Polled {
    let record = |offset: u64| Incoming {
        position: Position { at, offset },
        appended_at: Timestamp(0),
        key: offset.to_be_bytes().to_vec(),
        value: None,
        headers: Vec::new(),
    };
    Polled { records: offsets.into_iter().map(record).collect(), ..Polled::default() }
}

fn asked_back(at: TopicPartition) -> Polled {
    Polled { revoking: vec![at], ..Polled::default() }
}

fn unavailable() -> LogError {
    LogError::Unavailable("as was asked for".into())
}

#[test]
fn records_that_come_with_the_news_of_a_revocation_are_not_begun() {
    let mut rig = rig(true, done);
    rig.member.says(Polled { revoking: vec![P], ..records(P, 0..5) });
    for _ in 0..4 {
        rig.step().expect("no fault");
    }
    assert_eq!((rig.handled(), rig.member.committed()), (vec![], vec![]));
    assert!(rig.member.polled() > 1, "the partition was never given away");
}

#[test]
fn a_partition_asked_back_is_kept_until_what_was_begun_of_it_is_committed() {
    let mut rig = rig(false, done);
    rig.member.says(records(P, 0..2));
    rig.member.says(asked_back(P));
    for _ in 0..4 {
        rig.step().expect("no fault");
    }
    assert_eq!(rig.member.polled(), 2, "the next poll gives it away");
    rig.run();
    rig.step().expect("no fault");
    assert_eq!((rig.member.committed(), rig.member.polled()), (vec![vec![(P, 2)]], 3));
    assert_eq!((rig.counted("finished"), rig.counted("under_way")), (0, 0));
}

#[test]
fn nothing_more_of_a_partition_asked_back_is_begun() {
    let mut rig = rig(false, done);
    rig.worker.limits.batches = 1;
    rig.member.says(records(P, 0..8));
    rig.member.says(asked_back(P));
    rig.step().expect("no fault");
    rig.step().expect("no fault");
    rig.run();
    rig.step().expect("no fault");
    assert_eq!((rig.handled(), rig.member.committed()), (vec![0, 1, 2, 3], vec![vec![(P, 4)]]));
    rig.run();
    assert_eq!((rig.handled().len(), rig.worker.in_hand()), (4, 0));
}

#[test]
fn a_partition_asked_back_goes_in_time_although_a_send_is_silent() {
    let mut rig = rig(false, done);
    rig.member.says(records(P, 0..2));
    rig.member.says(asked_back(P));
    rig.step().expect("no fault");
    rig.step().expect("no fault");
    assert!(rig.worker.due_at().is_some_and(|due| due > rig.worker.world.now()));
    rig.wait(rig.worker.limits.leave);
    rig.step().expect("no fault");
    assert_eq!(rig.member.polled(), 3);
    rig.run();
    rig.step().expect("no fault");
    assert_eq!((rig.member.committed(), rig.counted("under_way")), (vec![], 2));
}

#[test]
fn what_is_asked_back_goes_in_time_although_its_commit_fails() {
    let mut rig = rig(true, done);
    rig.member.says(records(P, 0..2));
    rig.member.says(asked_back(P));
    rig.member.answers(Err(CommitError::Rewound { committed: vec![], why: "asked for".into() }));
    rig.member.answers(Err(unavailable().into()));
    rig.member.answers(Err(unavailable().into()));
    rig.step().expect("no fault");
    rig.step().expect("no fault");
    // Its answers are not thrown away while there is time.
    assert_eq!(rig.step().expect_err("as asked"), unavailable());
    assert_eq!(rig.worker.in_hand(), 2);
    rig.wait(rig.worker.limits.leave);
    assert_eq!(rig.step().expect_err("as asked"), unavailable());
    rig.member.says(records(Q, 0..1));
    for _ in 0..3 {
        rig.step().expect("no fault");
    }
    assert_eq!(rig.member.committed(), vec![vec![(Q, 1)]]);
    assert_eq!(rig.counted("finished"), 2);
}

#[test]
fn where_the_group_stands_after_an_outage_is_all_that_the_hand_loses() {
    let mut rig = rig(true, done);
    rig.worker.limits.cadence = Duration::from_secs(3_600);
    rig.worker.last_commit = rig.worker.world.now();
    rig.member.says(records(P, 0..3));
    rig.member.says(Polled { committed: vec![(P, 1)], ..Polled::default() });
    rig.member.says(records(P, 1..3));
    for _ in 0..4 {
        rig.step().expect("no fault");
    }
    assert_eq!((rig.handled(), rig.worker.in_hand()), (vec![0, 1, 2], 2));
}

#[test]
fn a_barred_worker_repeats_nothing_that_it_had_begun() {
    let mut rig = rig(false, done);
    rig.worker.limits.batch = 2;
    rig.worker.limits.batches = 2;
    rig.member.says(records(P, 0..4));
    rig.step().expect("no fault");
    let later = rig.still.tasks.lock().pop();
    rig.run();
    rig.member.answers(Err(LogError::Fenced.into()));
    assert_eq!(rig.step().expect_err("as asked"), LogError::Fenced);
    rig.still.tasks.lock().extend(later);
    let next = Double::default();
    rig.worker.sit(Box::new(next.clone()));
    next.says(records(P, 0..4));
    rig.step().expect("no fault");
    rig.run();
    rig.step().expect("no fault");
    assert_eq!((rig.handled(), next.committed()), (vec![0, 1, 2, 3], vec![vec![(P, 4)]]));
    assert_eq!((rig.counted("finished"), rig.counted("under_way")), (2, 2));
    assert_eq!(rig.counted("remembered"), 4);
}

#[test]
fn a_partition_lost_and_given_back_is_not_begun_anew() {
    let mut rig = rig(false, done);
    rig.member.says(records(P, 0..2));
    rig.member.says(Polled { lost: vec![P], ..Polled::default() });
    rig.member.says(records(P, 0..2));
    for _ in 0..3 {
        rig.step().expect("no fault");
    }
    rig.run();
    rig.step().expect("no fault");
    assert_eq!((rig.handled(), rig.member.committed()), (vec![0, 1], vec![vec![(P, 2)]]));
}

/// The first record is not ready when it is first tried.
fn late_first(offset: u64, before: usize) -> Result<Outcome, Fault> {
    match (offset, before) {
        (0, 0) => Err(Fault { why: Reason::Other, retry_at: Timestamp(0) }),
        _ => done(offset, before),
    }
}

#[test]
fn at_the_end_what_stands_before_finished_records_is_finished_too() {
    let mut rig = rig(true, late_first);
    rig.member.says(records(P, 0..3));
    rig.step().expect("no fault");
    rig.worker.drain(Duration::from_secs(60)).expect("no fault");
    assert_eq!((rig.handled(), rig.member.committed()), (vec![0, 1, 2, 0], vec![vec![(P, 3)]]));
}

#[test]
fn at_the_end_a_log_that_does_not_answer_is_waited_for() {
    let mut rig = rig(true, done);
    rig.member.says(records(P, 0..3));
    rig.step().expect("no fault");
    rig.member.answers(Err(unavailable().into()));
    rig.worker.drain(Duration::from_secs(60)).expect("the grace is not over");
    assert_eq!(rig.member.committed(), vec![vec![(P, 3)]]);
}

#[test]
fn a_clock_set_back_stops_no_commit() {
    let mut rig = rig(true, done);
    rig.worker.limits.cadence = Duration::from_millis(20);
    rig.worker.last_commit = rig.worker.world.now();
    rig.member.says(records(P, 0..1));
    rig.step().expect("no fault");
    rig.still.now.fetch_sub(3_600_000, Ordering::Relaxed);
    rig.step().expect("no fault");
    assert_eq!(rig.member.committed(), vec![vec![(P, 1)]]);
}

#[test]
fn a_record_that_the_stage_cannot_bear_holds_up_no_other() {
    let mut rig = rig(true, |offset, before| {
        assert_ne!(offset, 2, "as was asked for");
        done(offset, before)
    });
    rig.member.says(records(P, 0..4));
    rig.step().expect("no fault");
    rig.step().expect("no fault");
    rig.wait(BROKE_DOWN);
    for _ in 0..4 {
        rig.step().expect("no fault");
    }
    assert_eq!(rig.member.committed().last(), Some(&vec![(P, 2)]));
    assert_eq!(rig.worker.ledger.finished(), 1, "the one behind it is done, and waits");
}
