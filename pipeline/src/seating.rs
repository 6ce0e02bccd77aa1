//! A worker's seat: taken, lost, taken again, and left to another for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use runtime::log::{Log, LogError, Member, Seat};

/// Between losing a seat and taking it again: two processes that were given one ordinal by mistake
/// change places this slowly.
const BARRED: Duration = Duration::from_secs(5);
/// Barred so often in a row, a worker leaves the seat: whoever took it goes on undisturbed.
const MOST_BARS: u32 = 12;
/// Who sat for so long was not barred by somebody who wants the seat too.
const SETTLED: Duration = Duration::from_secs(60);

/// One worker's claim to its seat.
pub struct Seating {
    log: Arc<dyn Log>,
    stop: Arc<AtomicBool>,
    seat: Seat,
    bars: Bars,
}

impl Seating {
    #[must_use]
    pub fn new(log: Arc<dyn Log>, stop: Arc<AtomicBool>, seat: Seat) -> Self {
        Self { log, stop, seat, bars: Bars::default() }
    }

    /// The seat, once the log gives it; none when the process ends, the log cannot go on, or another
    /// process has the seat for good.
    pub fn take(&mut self) -> Option<Box<dyn Member>> {
        while !self.stop.load(Ordering::Relaxed) {
            let group = &self.seat.group;
            if self.bars.are_too_many() {
                tracing::error!(
                    group,
                    ordinal = self.seat.ordinal,
                    "barred from the seat again and again: another process has this worker.ordinal. \
                     Give each its own and restart; worker ends"
                );
                return None;
            }
            match self.log.join(&self.seat) {
                Ok(member) => {
                    self.bars.sat_down(Instant::now());
                    return Some(member);
                }
                Err(LogError::Unavailable(why)) => {
                    tracing::warn!(group, why, "log unavailable, waiting for the seat");
                    std::thread::park_timeout(Duration::from_millis(500));
                }
                Err(LogError::Fenced) => self.barred(),
                Err(error @ LogError::Broken(_)) => {
                    tracing::error!(group, %error, "cannot take the seat; worker ends");
                    return None;
                }
            }
        }
        None
    }

    /// Waits a while. A coordinator that comes back may answer a member's older question last, and so
    /// bar the member from its own seat: nobody else sits there, and leaving it would stop the stage.
    pub fn barred(&mut self) {
        self.bars.barred(Instant::now());
        tracing::error!(
            group = self.seat.group,
            ordinal = self.seat.ordinal,
            "barred from the seat, taking it again; see whether two processes have one worker.ordinal"
        );
        let until = Instant::now() + BARRED;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

/// How often in a row a seat was lost.
#[derive(Debug, Default)]
struct Bars {
    in_row: u32,
    sat_down: Option<Instant>,
}

impl Bars {
    fn sat_down(&mut self, now: Instant) {
        self.sat_down = Some(now);
    }

    fn barred(&mut self, now: Instant) {
        let sat = self.sat_down.take().map(|at| now.saturating_duration_since(at));
        if sat.is_some_and(|sat| sat >= SETTLED) {
            self.in_row = 0;
        }
        self.in_row += 1;
    }

    fn are_too_many(&self) -> bool {
        self.in_row >= MOST_BARS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses the seat `times` times, having sat for `sat` before each.
    fn lost(bars: &mut Bars, times: u32, sat: Duration) {
        let mut now = Instant::now();
        for _ in 0..times {
            bars.sat_down(now);
            now += sat;
            bars.barred(now);
        }
    }

    #[test]
    fn who_is_barred_again_and_again_leaves_the_seat_to_the_other() {
        let mut bars = Bars::default();
        lost(&mut bars, MOST_BARS - 1, BARRED);
        assert!(!bars.are_too_many());
        lost(&mut bars, 1, BARRED);
        assert!(bars.are_too_many());
    }

    #[test]
    fn who_was_settled_in_between_takes_the_seat_again() {
        let mut bars = Bars::default();
        lost(&mut bars, MOST_BARS - 1, BARRED);
        lost(&mut bars, MOST_BARS + 1, SETTLED);
        assert!(!bars.are_too_many());
    }
}
