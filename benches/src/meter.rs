//! Who used how much of the processors between two readings.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::figures::Figures;
use crate::machine;

/// The processes of a measurement, by name.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    parts: Vec<(String, u32)>,
}

/// Where everybody's accounts stood at one moment.
pub struct Reading {
    at: Instant,
    busy: Duration,
    cpu: Vec<Duration>,
    threads: Vec<BTreeMap<String, Duration>>,
}

/// What was used between two readings.
pub struct Spent {
    pub elapsed: Duration,
    /// By the processes that were asked about, in their order.
    pub parts: Vec<(String, Duration)>,
    /// By their threads, the greatest first: process, name, time.
    pub threads: Vec<(String, String, Duration)>,
    /// By everybody on this machine.
    pub busy: Duration,
}

impl Meter {
    pub fn add(&mut self, name: &str, pid: u32) {
        self.parts.push((name.to_owned(), pid));
    }

    #[must_use]
    pub fn read(&self) -> Reading {
        let pids = || self.parts.iter().map(|(_, pid)| *pid);
        Reading {
            at: Instant::now(),
            busy: machine::busy(),
            cpu: pids().map(|pid| machine::cpu_of(pid).unwrap_or_default()).collect(),
            threads: pids().map(machine::threads_of).collect(),
        }
    }

    /// From `before` to now.
    #[must_use]
    pub fn since(&self, before: &Reading) -> Spent {
        let now = self.read();
        let names = || self.parts.iter().map(|(name, _)| name.clone());
        let cpu = now.cpu.iter().zip(&before.cpu).map(|(now, then)| now.saturating_sub(*then));
        let mut threads = Vec::new();
        for ((name, now), then) in names().zip(&now.threads).zip(&before.threads) {
            threads.extend(now.iter().map(|(thread, time)| {
                let then = then.get(thread).copied().unwrap_or_default();
                (name.clone(), thread.clone(), time.saturating_sub(then))
            }));
        }
        threads.sort_by_key(|(_, _, time)| std::cmp::Reverse(*time));
        Spent {
            elapsed: now.at.duration_since(before.at),
            parts: names().zip(cpu).collect(),
            threads,
            busy: now.busy.saturating_sub(before.busy),
        }
    }

    /// The most memory that each process has held.
    pub fn put_peaks(&self, figures: &mut Figures) {
        for (name, pid) in &self.parts {
            if let Some(bytes) = machine::peak_memory(*pid) {
                figures.put(&format!("peak_mib.{name}"), mib(bytes));
            }
        }
    }
}

impl Spent {
    /// Microseconds a message for each process, and what share of the machine was used.
    pub fn put(&self, figures: &mut Figures, phase: &str, messages: usize) {
        for (name, time) in &self.parts {
            let us = micros(*time) / count(messages.max(1));
            figures.put(&format!("{phase}.cpu_us.{name}"), us);
        }
        figures.put(&format!("{phase}.machine_busy_percent"), self.busy_percent());
        figures.put(&format!("{phase}.foreign_percent"), self.foreign_percent());
    }

    /// Of all processors, for everybody.
    #[must_use]
    pub fn busy_percent(&self) -> f64 {
        self.share(self.busy)
    }

    /// Of all processors, for processes that are no part of the measurement, and the system's own
    /// work that it charges to nobody.
    #[must_use]
    pub fn foreign_percent(&self) -> f64 {
        let ours = self.parts.iter().map(|(_, time)| *time).sum();
        self.share(self.busy.saturating_sub(ours))
    }

    /// Percent of what all processors could do meanwhile.
    #[must_use]
    pub fn share(&self, time: Duration) -> f64 {
        100.0 * time.as_secs_f64()
            / (self.elapsed.as_secs_f64() * count(machine::cores())).max(1e-9)
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A number as figures hold it.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
#[must_use]
pub fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_others_is_what_our_processes_did_not_do() {
        let seconds = |n| Duration::from_secs(n);
        let cores = u64::try_from(machine::cores()).unwrap();
        let spent = Spent {
            elapsed: seconds(10),
            parts: vec![("a".into(), seconds(2)), ("b".into(), seconds(1))],
            threads: Vec::new(),
            busy: seconds(5),
        };
        assert!((spent.foreign_percent() - 20.0 / count(machine::cores())).abs() < 1e-9);
        assert!((spent.share(seconds(10 * cores)) - 100.0).abs() < 1e-9);
        let mut figures = Figures::default();
        spent.put(&mut figures, "x", 1_000_000);
        assert_eq!(figures.get("x.cpu_us.a"), Some(2.0));
    }
}
