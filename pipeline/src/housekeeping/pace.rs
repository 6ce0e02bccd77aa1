//! How often, and how long: the numbers behind the bound of an erasure.

use std::time::Duration;

use sealing::{KeySchedule, KeySchedules};

use super::Task;

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

/// A segment that is an hour old closes with the next record; the brokers compact what is older than
/// twelve hours. Two such records within that time, whenever the segment began.
const NUDGE: Duration = Duration::from_secs(3 * 3_600);

/// How often each task is done, and how long a day of the object store outlives itself.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub sweep: Duration,
    pub compact: Duration,
    pub days: Duration,
    pub margin: Duration,
}

impl Pace {
    pub(super) fn of(self, task: Task) -> Duration {
        match task {
            Task::Sweep => self.sweep,
            Task::Keys | Task::Compact => self.compact,
            Task::Days => self.days,
            Task::Nudge => NUDGE.min(self.compact),
        }
    }
}

/// How long transit keys live. The wire's: a record waits at most seven days in its topic, a message at
/// most seven days for its end and six hours more in a delay topic, so that two weeks and the day that is
/// added pass before nobody needs it. Letters and rows have lives of their own.
#[must_use]
pub fn schedules() -> KeySchedules {
    KeySchedules {
        wire: KeySchedule::daily(days(14)),
        dead_letter: KeySchedule::daily(days(180)),
        batch_rows: KeySchedule::daily(days(90)),
    }
}

/// After an erasure and this, the files of the log and the object store open no payload of the erased
/// registration, even with the keyring: by then the transit key of the last message before it has been
/// used to its end and kept for its life, its destruction was noticed, and a compaction has taken it off
/// the disk. For as long as the process runs, or the brokers compact.
#[must_use]
pub fn erasure_bound(schedules: &KeySchedules, compact: Duration) -> Duration {
    let wire = schedules.wire;
    // Twice: a key may start late by one look, and its end be noticed late by another.
    let looks = Duration::from_secs(60) * 2;
    wire.rotate_every + wire.keep + looks + compact
}
