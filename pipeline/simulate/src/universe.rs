//! Clock, chance and futures of one run: the clock moves when told, futures are polled in a drawn order.
//!
//! Every process of the run has sources of its own over the one universe, so that what it spawned can be
//! cut off with it, at whatever await it stands.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore};
use runtime::world::{Sources, Task, World, seeded};
use schemas::codec::Codec;
use schemas::ids::Timestamp;

/// When every run begins.
pub const START: Timestamp = Timestamp(1_700_000_000_000);

/// Who spawned a future: one life of one worker. 0 is whoever is no worker.
pub type Owner = u64;

/// Cheap to clone.
#[derive(Clone)]
pub struct Universe(Arc<Inner>);

struct Inner {
    seed: u64,
    now: AtomicI64,
    sleepers: Mutex<Sleepers>,
    /// Decides on order and faults alone, so that a stage's draws do not depend on it.
    order: Mutex<StdRng>,
    tasks: Mutex<Tasks>,
    /// Whose future is being polled.
    polled: AtomicU64,
}

#[derive(Default)]
struct Sleepers {
    next: u64,
    by_time: BTreeMap<(Timestamp, u64), Waker>,
}

#[derive(Default)]
struct Tasks {
    next: u64,
    all: BTreeMap<u64, Running>,
    /// Lives that stand still, as a stopped process does, and until when.
    frozen: BTreeMap<Owner, Timestamp>,
}

struct Running {
    owner: Owner,
    task: Task,
    flag: Arc<Flag>,
}

/// Whether a future asked to be polled again.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Universe {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Inner {
            seed,
            now: AtomicI64::new(START.0),
            sleepers: Mutex::default(),
            order: Mutex::new(seeded(seed ^ 0x5EED)),
            tasks: Mutex::default(),
            polled: AtomicU64::new(0),
        }))
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::Relaxed))
    }

    /// The world of one life; its chance is its own.
    #[must_use]
    pub fn world(&self, owner: Owner) -> World {
        let own = self.0.seed ^ owner.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let chance = Mutex::new(seeded(own));
        let sources = Process { universe: self.clone(), owner, chance };
        World::new(Arc::new(sources), Codec::default(), 1.0)
    }

    pub fn advance(&self, wait: Duration) {
        self.advance_to(self.now().plus(wait));
    }

    /// The clock never goes back.
    pub fn advance_to(&self, moment: Timestamp) {
        let now = moment.max(self.now());
        self.0.now.store(now.0, Ordering::Relaxed);
        let mut sleepers = self.0.sleepers.lock();
        let later = sleepers.by_time.split_off(&(Timestamp(now.0 + 1), 0));
        let due = std::mem::replace(&mut sleepers.by_time, later);
        drop(sleepers);
        due.into_values().for_each(Waker::wake);
    }

    /// The next moment for which a future waits.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.0.sleepers.lock().by_time.keys().next().map(|(at, _)| *at)
    }

    /// Below `bound`, from the scheduler's own chance.
    #[must_use]
    pub fn draw(&self, bound: u64) -> u64 {
        self.0.order.lock().random_range(0..bound)
    }

    /// True once in `times` draws; never for 0.
    #[must_use]
    pub fn once_in(&self, times: u64) -> bool {
        times > 0 && self.draw(times) == 0
    }

    /// Between `least` and `most` milliseconds.
    #[must_use]
    pub fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.draw(most - least + 1))
    }

    pub fn shuffle<T>(&self, items: &mut [T]) {
        items.shuffle(&mut *self.0.order.lock());
    }

    /// Runs a future that belongs to no worker.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.start(0, Box::pin(task));
    }

    fn start(&self, owner: Owner, task: Task) {
        let mut tasks = self.0.tasks.lock();
        let id = tasks.next;
        tasks.next += 1;
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        tasks.all.insert(id, Running { owner, task, flag });
    }

    /// Polls a drawn share of the futures that ask for it. Whose ended, and whether anything else moved
    /// or was left for later.
    pub fn poll_some(&self) -> (Vec<Owner>, bool) {
        let mut asking: Vec<u64> = {
            let mut tasks = self.0.tasks.lock();
            let now = self.now();
            tasks.frozen.retain(|_, until| *until > now);
            let Tasks { all, frozen, .. } = &*tasks;
            let may = |it: &Running| !frozen.contains_key(&it.owner);
            let woken = |it: &Running| it.flag.0.load(Ordering::Relaxed) && may(it);
            all.iter().filter(|(_, it)| woken(it)).map(|(id, _)| *id).collect()
        };
        self.shuffle(&mut asking);
        let moved = !asking.is_empty();
        let mut ended = Vec::new();
        for id in asking {
            if self.once_in(4) {
                continue;
            }
            let Some(mut running) = self.0.tasks.lock().all.remove(&id) else { continue };
            running.flag.0.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&running.flag));
            self.0.polled.store(running.owner, Ordering::Relaxed);
            let polled = running.task.as_mut().poll(&mut Context::from_waker(&waker));
            self.0.polled.store(0, Ordering::Relaxed);
            match polled {
                Poll::Ready(()) => ended.push(running.owner),
                Poll::Pending => {
                    self.0.tasks.lock().all.insert(id, running);
                }
            }
        }
        (ended, moved)
    }

    /// Nothing of this life moves before `until`.
    pub fn freeze(&self, owner: Owner, until: Timestamp) {
        self.0.tasks.lock().frozen.insert(owner, until);
    }

    /// When the next frozen life thaws.
    #[must_use]
    pub fn next_thaw(&self) -> Option<Timestamp> {
        self.0.tasks.lock().frozen.values().min().copied()
    }

    /// Whose future is being polled.
    #[must_use]
    pub fn polled(&self) -> Owner {
        self.0.polled.load(Ordering::Relaxed)
    }

    /// Ends all futures of a life where they stand.
    pub fn cut_off(&self, owner: Owner) {
        let mut tasks = self.0.tasks.lock();
        let gone: Vec<Running> =
            tasks.all.extract_if(.., |_, it| it.owner == owner).map(|(_, it)| it).collect();
        drop(tasks);
        drop(gone);
    }

    /// Futures that have not ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.tasks.lock().all.len()
    }
}

struct Process {
    universe: Universe,
    owner: Owner,
    chance: Mutex<StdRng>,
}

impl Sources for Process {
    fn now(&self) -> Timestamp {
        self.universe.now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.chance.lock().fill_bytes(bytes);
    }

    fn spawn(&self, task: Task) {
        self.universe.start(self.owner, task);
    }

    fn sleep_until(&self, until: Timestamp) -> Task {
        let universe = self.universe.clone();
        Box::pin(poll_fn(move |context| {
            if until <= universe.now() {
                return Poll::Ready(());
            }
            let mut sleepers = universe.0.sleepers.lock();
            let nth = sleepers.next;
            sleepers.next += 1;
            sleepers.by_time.insert((until, nth), context.waker().clone());
            Poll::Pending
        }))
    }
}
