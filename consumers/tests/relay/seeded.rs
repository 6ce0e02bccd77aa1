//! A world out of one seed: its clock moves when told, its futures are polled in a drawn order.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore};
use runtime::world::{Sources, Task, seeded};
use schemas::ids::Timestamp;

pub const START: Timestamp = Timestamp(1_700_000_000_000);

/// Clock, chance and futures of one run.
#[derive(Clone)]
pub struct Seeded(Arc<Inner>);

struct Inner {
    clock: Mutex<Clock>,
    chance: Mutex<StdRng>,
    /// Decides on order alone, so that a stage's draws do not depend on it.
    order: Mutex<StdRng>,
    tasks: Mutex<Vec<Task>>,
}

struct Clock {
    now: Timestamp,
    sleepers: Vec<(Timestamp, Waker)>,
}

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Inner {
            clock: Mutex::new(Clock { now: START, sleepers: Vec::new() }),
            chance: Mutex::new(seeded(seed)),
            order: Mutex::new(seeded(seed ^ 0x5EED)),
            tasks: Mutex::new(Vec::new()),
        }))
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.lock().now
    }

    pub fn advance(&self, wait: Duration) {
        let mut clock = self.0.clock.lock();
        clock.now = clock.now.plus(wait);
        let now = clock.now;
        for (_, waker) in clock.sleepers.extract_if(.., |(until, _)| *until <= now) {
            waker.wake();
        }
    }

    /// Below `bound`, from the scheduler's own chance.
    pub fn draw(&self, bound: u64) -> u64 {
        self.0.order.lock().random_range(0..bound)
    }

    pub fn shuffle<T>(&self, items: &mut [T]) {
        items.shuffle(&mut *self.0.order.lock());
    }

    /// Drops all futures, as the end of their process would; how many.
    pub fn forget_tasks(&self) -> usize {
        std::mem::take(&mut *self.0.tasks.lock()).len()
    }

    /// Polls a drawn share of the futures; whether any is left unpolled or has ended.
    pub fn poll_some(&self) -> bool {
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock());
        self.shuffle(&mut tasks);
        let mut context = Context::from_waker(Waker::noop());
        let mut moved = false;
        tasks.retain_mut(|task| {
            if self.draw(4) == 0 {
                moved = true;
                return true;
            }
            let ended = task.as_mut().poll(&mut context).is_ready();
            moved |= ended;
            !ended
        });
        self.0.tasks.lock().append(&mut tasks);
        moved
    }
}

impl Sources for Seeded {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.0.chance.lock().fill_bytes(bytes);
    }

    fn spawn(&self, task: Task) {
        self.0.tasks.lock().push(task);
    }

    fn sleep_until(&self, until: Timestamp) -> Task {
        let own = self.clone();
        Box::pin(poll_fn(move |context| {
            let mut clock = own.0.clock.lock();
            if until <= clock.now {
                return Poll::Ready(());
            }
            clock.sleepers.push((until, context.waker().clone()));
            Poll::Pending
        }))
    }
}
