//! Watching a phase: how much waits before each stage, and when the last message is through.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinHandle;

use super::scrape::{Names, Stages, at_the_end, scrape};

/// How often the metrics are read. The workers themselves refresh them twice a second.
const STEP: Duration = Duration::from_millis(250);
/// So long without anything new at the end of the chain: what is missing does not come.
const SILENCE: Duration = Duration::from_secs(20);

/// The most that waited before each stage.
pub type Peaks = BTreeMap<String, f64>;

/// Reads the metrics until it is told to stop.
pub struct Watch {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Peaks>,
}

impl Watch {
    #[must_use]
    pub fn start(names: &Arc<Names>, operations: &[SocketAddr]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, names, operations) = (Arc::clone(&stop), Arc::clone(names), operations.to_vec());
        let task = tokio::spawn(async move {
            let mut peaks = Peaks::new();
            while !told.load(Ordering::Relaxed) {
                for (name, stage) in scrape(&names, &operations).await.unwrap_or_default() {
                    let peak = peaks.entry(name).or_default();
                    *peak = peak.max(stage.behind + stage.in_hand);
                }
                tokio::time::sleep(STEP).await;
            }
            peaks
        });
        Self { stop, task }
    }

    /// What it saw.
    ///
    /// # Errors
    /// It ended in a panic.
    pub async fn stop(self) -> Result<Peaks> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

/// Waits until the channels have ended `wanted` records more than in `before`, as long as anything
/// moves, and nothing is in hand any more; gives when they had ended them. What the books say later is
/// the truth; this only ends the wait.
///
/// # Errors
/// A process does not answer any more.
pub async fn settle(
    names: &Names,
    operations: &[SocketAddr],
    before: &Stages,
    wanted: f64,
) -> Result<(Stages, Instant)> {
    let target = at_the_end(before) + wanted;
    let (mut last, mut since) = (-1.0, Instant::now());
    loop {
        let stages = scrape(names, operations).await?;
        let done = at_the_end(&stages);
        if done > last {
            (last, since) = (done, Instant::now());
        }
        // Ended is not committed.
        let in_hand: f64 = stages.values().map(|stage| stage.in_hand).sum();
        if (done >= target && in_hand < 1.0) || since.elapsed() > SILENCE {
            return Ok((stages, since));
        }
        tokio::time::sleep(STEP / 5).await;
    }
}
