//! Everything a worker takes from outside itself: time, chance and the right to run futures.
//!
//! Production draws them from the machine; a simulation from one seed, so that a run can be repeated.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use schemas::codec::Codec;
use schemas::ids::Timestamp;

/// A future that a world may run.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The sources behind a [`World`].
pub trait Sources: Send + Sync {
    fn now(&self) -> Timestamp;
    fn fill(&self, bytes: &mut [u8]);
    /// Runs `task` to its end, some time.
    fn spawn(&self, task: Task);
    /// Resolves when the clock has passed `until`.
    fn sleep_until(&self, until: Timestamp) -> Task;
}

/// Handed to every stage and worker; cheap to clone.
#[derive(Clone)]
pub struct World {
    sources: Arc<dyn Sources>,
    pub codec: Codec,
    /// Delays, provider waits, breakers and times to live shrink by this factor; 1 in production.
    pub time_scale: f64,
}

impl World {
    #[must_use]
    pub fn new(sources: Arc<dyn Sources>, codec: Codec, time_scale: f64) -> Self {
        Self { sources, codec, time_scale }
    }

    /// The machine's clock and randomness, futures on the given runtime.
    #[must_use]
    pub fn real(runtime: tokio::runtime::Handle, codec: Codec, time_scale: f64) -> Self {
        Self::new(Arc::new(Machine { runtime }), codec, time_scale)
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.sources.now()
    }

    /// Sixty-four random bits.
    #[must_use]
    pub fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.sources.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Fills `bytes` at random; cryptographically strong in production.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.sources.fill(bytes);
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.sources.spawn(Box::pin(task));
    }

    /// Waits until the clock has passed `until`; already scaled by the caller.
    pub async fn sleep_until(&self, until: Timestamp) {
        self.sources.sleep_until(until).await;
    }

    /// `wait` as this world's clock counts it.
    #[must_use]
    pub fn scaled(&self, wait: Duration) -> Duration {
        wait.div_f64(self.time_scale)
    }
}

struct Machine {
    runtime: tokio::runtime::Handle,
}

impl Sources for Machine {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }

    fn spawn(&self, task: Task) {
        self.runtime.spawn(task);
    }

    fn sleep_until(&self, until: Timestamp) -> Task {
        let wait = until.since(self.now());
        Box::pin(tokio::time::sleep(wait))
    }
}

/// Randomness from one seed.
#[must_use]
pub fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
