//! When which message leaves, whatever became of those before it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Gives out the numbers below `count`, in order, to many takers.
///
/// With a rate the load is open: number `n` is due at `n / rate`, and a taker that comes late, because
/// all were waiting for answers, still counts from when it was due. Without a rate each is due when it
/// is taken: as many at once as there are takers.
pub struct Pacer {
    next: AtomicUsize,
    count: usize,
    start: Instant,
    rate: Option<f64>,
}

impl Pacer {
    #[must_use]
    pub fn new(count: usize, rate: Option<f64>) -> Self {
        Self { next: AtomicUsize::new(0), count, start: Instant::now(), rate }
    }

    /// The next number and when it was due, at that time or later; `None` after the last.
    pub async fn next(&self) -> Option<(usize, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.count {
            return None;
        }
        let Some(rate) = self.rate else { return Some((number, Instant::now())) };
        let due = self.start + Duration::from_secs_f64(crate::meter::count(number) / rate);
        sleep_until(due).await;
        Some((number, due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: usize, rate: Option<f64>) -> Vec<(usize, Duration)> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let pacer = Pacer::new(count, rate);
            let mut given = Vec::new();
            while let Some((number, due)) = pacer.next().await {
                // A taker that is held up by every answer.
                tokio::time::advance(Duration::from_millis(30)).await;
                given.push((number, due - pacer.start));
            }
            given
        })
    }

    #[test]
    fn a_late_taker_counts_from_when_the_message_was_due() {
        let ms = Duration::from_millis;
        assert_eq!(times(3, Some(100.0)), [(0, ms(0)), (1, ms(10)), (2, ms(20))]);
        assert_eq!(times(2, None), [(0, ms(0)), (1, ms(30))]);
    }
}
