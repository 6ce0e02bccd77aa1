//! How far a run is: a bar with rate and time left on a terminal, a line now and then elsewhere. On
//! standard error; rows are named by their number only.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use super::journal::Standing;
use crate::commands::say;

/// Without a terminal a line is said this often.
const EVERY: Duration = Duration::from_secs(10);
/// Troubles are told at most this often: an outage has as many as there are tries.
const TROUBLES_EVERY: Duration = Duration::from_secs(2);

/// What was counted so far, earlier runs included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub taken: u64,
    pub refused: u64,
    pub failed: u64,
}

impl Counts {
    /// Rows with an end.
    #[must_use]
    pub fn rows(self) -> u64 {
        self.taken + self.refused + self.failed
    }
}

/// Counts, and shows.
pub struct Progress {
    /// Absent where the input does not tell how many rows it has.
    total: Option<u64>,
    taken: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    /// Of those, from earlier runs: they make no speed.
    earlier: AtomicU64,
    bar: Option<ProgressBar>,
    started: Instant,
    said: Mutex<Said>,
}

struct Said {
    progress: Instant,
    trouble: Option<Instant>,
}

impl Progress {
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            total,
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            earlier: AtomicU64::new(0),
            bar: std::io::stderr().is_terminal().then(|| bar(total)),
            started: now,
            said: Mutex::new(Said { progress: now, trouble: None }),
        }
    }

    /// A row has its end.
    pub fn ended(&self, standing: Standing) {
        self.count(standing);
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => self.say_now_and_then(),
        }
    }

    /// A row had its end in an earlier run.
    pub fn ended_earlier(&self, standing: Standing) {
        self.count(standing);
        self.earlier.fetch_add(1, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc(1);
            bar.reset_eta();
        }
    }

    fn count(&self, standing: Standing) {
        let counter = match standing {
            Standing::Taken => &self.taken,
            Standing::Refused => &self.refused,
            Standing::Failed => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Something to be told, at most now and then.
    pub fn trouble(&self, what: impl FnOnce() -> String) {
        let mut said = self.said.lock();
        if said.trouble.is_none_or(|at| at.elapsed() >= TROUBLES_EVERY) {
            said.trouble = Some(Instant::now());
            drop(said);
            self.tell(&what());
        }
    }

    /// A line beside the bar.
    pub fn tell(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            taken: read(&self.taken),
            refused: read(&self.refused),
            failed: read(&self.failed),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say_now_and_then(&self) {
        let mut said = self.said.lock();
        if said.progress.elapsed() >= EVERY {
            said.progress = Instant::now();
            drop(said);
            let earlier = self.earlier.load(Ordering::Relaxed);
            say(&line(self.counts(), earlier, self.total, self.started.elapsed()));
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, style) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "     sending [{bar:30}] {human_pos}/{human_len}  {per_sec}  {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "     sending {spinner} {human_pos}  {per_sec}"),
    };
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What is said where there is no bar.
fn line(counts: Counts, earlier: u64, total: Option<u64>, elapsed: Duration) -> String {
    let done = counts.rows();
    let rate = (done - earlier.min(done)) as f64 / elapsed.as_secs_f64().max(0.001);
    let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
    let left = total.filter(|_| rate > 0.0).map(|total| {
        let left = Duration::from_secs_f64(total.saturating_sub(done) as f64 / rate);
        format!(", {} left", HumanDuration(left))
    });
    format!(
        "{done}{of} rows: {} taken, {} refused, {} failed; {rate:.0}/s{}",
        counts.taken,
        counts.refused,
        counts.failed,
        left.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_earlier_runs_count_and_make_no_speed() {
        let counts = Counts { taken: 590, refused: 8, failed: 2 };
        let said = line(counts, 500, Some(1_600), Duration::from_secs(10));
        let expected = "600 of 1600 rows: 590 taken, 8 refused, 2 failed; 10/s, 2 minutes left";
        assert_eq!(said, expected);
        let said = line(counts, 600, None, Duration::from_secs(10));
        assert_eq!(said, "600 rows: 590 taken, 8 refused, 2 failed; 0/s");
    }
}
