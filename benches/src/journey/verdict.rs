//! Where the time goes when more comes than can be carried, and how that was found out.
//!
//! First question: do the processors have anything left? If not, they are the limit, and the process
//! and thread that use most of them come first. If they have, something waits: the stage before which
//! most piles up is the narrow place, and the share of the time that its worker spends in commits says
//! whether it waits for the log.

use serde::Serialize;

use super::scrape::{Stage, Stages};
use super::watch::Peaks;
use crate::meter::Spent;

/// At this share of all processors there is nothing left.
const FULL_PERCENT: f64 = 90.0;
/// As many threads as are worth naming.
const NAMED: usize = 8;

/// What limits the throughput.
#[derive(Debug, Clone, Serialize)]
pub struct Bottleneck {
    /// One sentence.
    pub verdict: String,
    /// Percent of all processors, by process.
    pub processes: Vec<(String, f64)>,
    /// Percent of all processors, by threads of one name: process, thread, share.
    pub threads: Vec<(String, String, f64)>,
    pub stages: Vec<StageLoad>,
}

/// A stage under the flood.
#[derive(Debug, Clone, Serialize)]
pub struct StageLoad {
    pub name: String,
    /// The most records that waited for it or were in its hand.
    pub waiting_at_most: f64,
    /// Of the time, both lanes together.
    pub in_commits_percent: f64,
    pub records_a_commit: f64,
    pub commit_ms: f64,
    pub faults: f64,
    pub rewinds: f64,
}

/// Weighs a flood.
#[must_use]
pub fn find(spent: &Spent, before: &Stages, after: &Stages, peaks: &Peaks) -> Bottleneck {
    let share = |time| spent.share(time);
    let processes: Vec<_> =
        spent.parts.iter().map(|(name, time)| (name.clone(), share(*time))).collect();
    let threads = spent.threads.iter().take(NAMED);
    let threads: Vec<_> = threads
        .map(|(process, thread, time)| (process.clone(), thread.clone(), share(*time)))
        .collect();
    let seconds = spent.elapsed.as_secs_f64();
    let stages: Vec<_> = after
        .iter()
        .filter(|(_, stage)| stage.records_in > 0.0)
        .map(|(name, stage)| {
            let then = before.get(name).copied().unwrap_or_default();
            load(name, stage, &then, seconds, peaks.get(name).copied().unwrap_or_default())
        })
        .collect();
    let load = (spent.busy_percent(), spent.foreign_percent());
    let verdict = verdict(load, &processes, &threads, &stages);
    Bottleneck { verdict, processes, threads, stages }
}

fn load(name: &str, now: &Stage, then: &Stage, seconds: f64, peak: f64) -> StageLoad {
    let commits = (now.commits - then.commits).max(0.0);
    let in_commits = now.commit_seconds - then.commit_seconds;
    StageLoad {
        name: name.to_owned(),
        waiting_at_most: peak,
        in_commits_percent: 100.0 * in_commits / seconds.max(1e-9),
        records_a_commit: (now.records_in - then.records_in) / commits.max(1.0),
        commit_ms: 1e3 * in_commits / commits.max(1.0),
        faults: now.faults - then.faults,
        rewinds: now.rewinds - then.rewinds,
    }
}

/// `busy` and `foreign`: percent of all processors, everybody's and that of processes not measured.
fn verdict(
    (busy, foreign): (f64, f64),
    processes: &[(String, f64)],
    threads: &[(String, String, f64)],
    stages: &[StageLoad],
) -> String {
    let largest = processes.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let narrow = stages.iter().max_by(|a, b| a.waiting_at_most.total_cmp(&b.waiting_at_most));
    let (Some(largest), Some(narrow)) = (largest, narrow) else {
        return "nothing was carried".to_owned();
    };
    let thread = threads.iter().find(|(process, _, _)| *process == largest.0);
    let thread = thread.map_or(String::new(), |(_, name, share)| {
        format!(", most of it in threads `{name}` ({share:.0} %)")
    });
    if foreign > largest.1 {
        return format!(
            "not to be told: {foreign:.0} % of the processors worked for others on this machine, more \
             than for {} ({:.0} %); repeat when it is quiet",
            largest.0, largest.1
        );
    }
    if busy >= FULL_PERCENT {
        return format!(
            "the processors: {busy:.0} % busy; first comes {} with {:.0} %{thread}. Most waited \
             before {} ({:.0} records)",
            largest.0, largest.1, narrow.name, narrow.waiting_at_most
        );
    }
    format!(
        "waiting, not the processors ({busy:.0} % busy; first {} with {:.0} %): most waited before {} \
         ({:.0} records), whose workers spent {:.0} % of the time in commits of {:.1} ms",
        largest.0,
        largest.1,
        narrow.name,
        narrow.waiting_at_most,
        narrow.in_commits_percent,
        narrow.commit_ms
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shares: (f64, f64), expected: &str) {
        let processes = [("a".to_owned(), 10.0), ("b".to_owned(), 60.0)];
        let threads = [("b".to_owned(), "t".to_owned(), 50.0)];
        let stage =
            |name: &str, peak| super::load(name, &Stage::default(), &Stage::default(), 1.0, peak);
        let found = verdict(shares, &processes, &threads, &[stage("x", 3.0), stage("y", 9.0)]);
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn full_processors_come_before_a_stage_that_waits() {
        check(
            (95.0, 5.0),
            "the processors: 95 % busy; first comes b with 60 %, most of it in threads `t`",
        );
        check(
            (50.0, 5.0),
            "waiting, not the processors (50 % busy; first b with 60 %): most waited before y",
        );
        check((95.0, 61.0), "not to be told: 61 %");
        assert_eq!(verdict((0.0, 0.0), &[], &[], &[]), "nothing was carried");
    }

    #[test]
    fn only_what_happened_in_between_counts() {
        let then =
            Stage { records_in: 10.0, commits: 1.0, commit_seconds: 1.0, ..Stage::default() };
        let now = Stage { records_in: 30.0, commits: 5.0, commit_seconds: 3.0, ..Stage::default() };
        let load = load("x", &now, &then, 10.0, 0.0);
        assert!((load.in_commits_percent - 20.0).abs() < 1e-9);
        assert!((load.records_a_commit - 5.0).abs() < 1e-9);
        assert!((load.commit_ms - 500.0).abs() < 1e-9);
    }
}
