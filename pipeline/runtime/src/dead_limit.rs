//! A limit on setting aside: where too many records of a stage end as dead letters, the fault is ours
//! (a bad deploy, a lost key), and the stage holds its records instead of emptying its topic. Pure.

use std::time::Duration;

use schemas::ids::Timestamp;

/// When it trips, and how it goes on then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLimits {
    /// Outcomes are weighed in windows of this length.
    pub window: Duration,
    /// A window weighs nothing before it holds so many outcomes.
    pub min_count: u32,
    /// Above this share of letters it trips.
    pub percent: u32,
    /// Tripped, it lets one letter through in this time: a true poison record blocks no partition for
    /// ever, and a wave of them costs a trickle.
    pub probe: Duration,
}

impl Default for DeadLimits {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(600),
            min_count: 100,
            percent: 20,
            probe: Duration::from_secs(10),
        }
    }
}

/// What the limit says of a letter about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Granted,
    /// This one tripped it: say so once.
    Tripped,
    Held,
}

/// One worker's count.
#[derive(Debug)]
pub struct DeadLimit {
    limits: DeadLimits,
    began: Timestamp,
    letters: u32,
    others: u32,
    /// Tripped: when the next letter may pass.
    probe_at: Option<Timestamp>,
}

impl DeadLimit {
    #[must_use]
    pub fn new(limits: DeadLimits, now: Timestamp) -> Self {
        Self { limits, began: now, letters: 0, others: 0, probe_at: None }
    }

    /// Whether records are being held.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.probe_at.is_some()
    }

    /// A record ended otherwise. A full count of such with a fair share ends the holding.
    pub fn other(&mut self, now: Timestamp) {
        self.turn(now);
        self.others = self.others.saturating_add(1);
        if self.is_tripped() && self.others >= self.limits.min_count && !self.is_over() {
            self.probe_at = None;
        }
    }

    /// A record wants to be set aside.
    pub fn letter(&mut self, now: Timestamp) -> Leave {
        self.turn(now);
        if let Some(probe_at) = self.probe_at {
            if now < probe_at {
                return Leave::Held;
            }
            self.probe_at = Some(now.plus(self.limits.probe));
            return Leave::Granted;
        }
        self.letters = self.letters.saturating_add(1);
        if !self.is_over() {
            return Leave::Granted;
        }
        // What was counted so far says nothing of the time after the mending.
        (self.began, self.letters, self.others) = (now, 0, 0);
        self.probe_at = Some(now.plus(self.limits.probe));
        Leave::Tripped
    }

    fn turn(&mut self, now: Timestamp) {
        if now.since(self.began) >= self.limits.window {
            (self.began, self.letters, self.others) = (now, 0, 0);
        }
    }

    fn is_over(&self) -> bool {
        let total = u64::from(self.letters) + u64::from(self.others);
        total >= u64::from(self.limits.min_count)
            && u64::from(self.letters) * 100 > total * u64::from(self.limits.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000);

    fn limit() -> DeadLimit {
        DeadLimit::new(DeadLimits::default(), START)
    }

    fn tripped() -> DeadLimit {
        let mut limit = limit();
        for _ in 0..99 {
            assert_eq!(limit.letter(START), Leave::Granted);
        }
        assert_eq!(limit.letter(START), Leave::Tripped);
        limit
    }

    #[test]
    fn a_few_poison_records_among_many_are_set_aside() {
        let mut limit = limit();
        for _ in 0..1_000 {
            (0..9).for_each(|_| limit.other(START));
            assert_eq!(limit.letter(START), Leave::Granted);
        }
    }

    #[test]
    fn a_stage_that_sets_everything_aside_is_stopped_after_a_hundred() {
        assert!(tripped().is_tripped());
    }

    #[test]
    fn a_stopped_stage_lets_one_letter_through_in_each_probe() {
        let mut limit = tripped();
        assert_eq!(limit.letter(START), Leave::Held);
        let later = START.plus(Duration::from_secs(10));
        assert_eq!(limit.letter(later), Leave::Granted);
        assert_eq!(limit.letter(later), Leave::Held);
    }

    #[test]
    fn a_hundred_records_that_end_well_end_the_holding() {
        let mut limit = tripped();
        (0..99).for_each(|_| limit.other(START));
        assert!(limit.is_tripped());
        limit.other(START);
        assert!(!limit.is_tripped());
        assert_eq!(limit.letter(START), Leave::Granted);
    }

    #[test]
    fn what_lies_a_window_back_is_forgotten() {
        let mut limit = limit();
        (0..99).for_each(|_| assert_eq!(limit.letter(START), Leave::Granted));
        assert_eq!(limit.letter(START.plus(Duration::from_secs(600))), Leave::Granted);
    }
}
