//! What a run says at its end: a table for people, JSON for machines.
#![allow(clippy::print_stdout, reason = "a command's answer belongs on its standard output")]

use std::collections::BTreeMap;

use serde::Serialize;

use crate::check::Verdict;
use crate::evidence::{Evidence, Fault, minted_at};
use crate::records::Status;

/// So many single messages are named of each kind.
const NAMED: usize = 5;

#[derive(Debug, Serialize)]
pub struct Report {
    pub scenario: String,
    pub log: String,
    pub seed: u64,
    pub messages: usize,
    pub per_second: f64,
    pub time_scale: f64,
    pub taken: usize,
    /// Nothing was left unread when the check began.
    pub drained: bool,
    pub put_off: u64,
    pub unanswered: u64,
    pub unasked: u64,
    /// Refusals through the citizen API that were answered with 200, and those never answered.
    pub refusals: usize,
    pub refusals_unanswered: usize,
    /// Sends after a refusal, by a process that was frozen between its decision and its send.
    pub sent_on_waking: u64,
    pub lost: usize,
    pub doubled: usize,
    pub events: usize,
    pub ends: BTreeMap<Status, u64>,
    pub provider: Provider,
    pub from_acceptance_to_end_ms: Spread,
    /// The longest time during the sending in which no message came to its end.
    pub worst_stall_ms: i64,
    pub faults: Vec<Fault>,
    pub findings: BTreeMap<&'static str, Examples>,
    pub seconds: u64,
}

#[derive(Debug, Serialize)]
pub struct Provider {
    pub sends: usize,
    pub repeats_declared: u64,
    pub repeats_around_a_fault: u64,
    pub repeats_unexplained: u64,
    pub untold_around_a_fault: u64,
    pub repeats_per_million: u64,
}

#[derive(Debug, Default, Serialize)]
pub struct Spread {
    pub p50: i64,
    pub p99: i64,
    pub longest: i64,
}

#[derive(Debug, Serialize)]
pub struct Examples {
    pub count: usize,
    pub such_as: Vec<String>,
}

/// What the run was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub scenario: String,
    pub log: String,
    pub seed: u64,
    pub messages: usize,
    pub per_second: f64,
}

impl Report {
    #[must_use]
    pub fn new(asked: &Asked, evidence: &Evidence, verdict: &Verdict, put_off: u64) -> Self {
        let finals = || evidence.events.values().flatten().filter(|event| event.status.is_final());
        let mut ends = BTreeMap::new();
        for event in finals() {
            *ends.entry(event.status).or_default() += 1;
        }
        let count = |kind: &str| verdict.findings.0.get(kind).map_or(0, Vec::len);
        let took = finals().filter_map(|event| Some(event.at - minted_at(&event.message_id)?));
        let repeats = &verdict.repeats;
        let all = repeats.declared + repeats.around_a_fault + repeats.unexplained;
        let sends = evidence.sends.len();
        let example = |list: &Vec<String>| Examples {
            count: list.len(),
            such_as: list.iter().take(NAMED).cloned().collect(),
        };
        Self {
            scenario: asked.scenario.clone(),
            log: asked.log.clone(),
            seed: asked.seed,
            messages: asked.messages,
            per_second: asked.per_second,
            time_scale: evidence.time_scale,
            taken: evidence.taken.len(),
            drained: true,
            put_off,
            unanswered: evidence.unanswered,
            unasked: verdict.unasked,
            refusals: evidence.choices.iter().filter(|choice| choice.in_force.is_some()).count(),
            refusals_unanswered: evidence.choices.iter().filter(|c| c.in_force.is_none()).count(),
            sent_on_waking: verdict.woken,
            lost: count("no final status"),
            doubled: count("more than one final status"),
            events: evidence.events.values().map(Vec::len).sum(),
            ends,
            provider: Provider {
                sends,
                repeats_declared: repeats.declared,
                repeats_around_a_fault: repeats.around_a_fault,
                repeats_unexplained: repeats.unexplained,
                untold_around_a_fault: repeats.untold_around_a_fault,
                repeats_per_million: per_million(all, sends),
            },
            from_acceptance_to_end_ms: spread(took.collect()),
            worst_stall_ms: stall(finals().map(|event| event.at).collect(), evidence),
            faults: evidence.faults.clone(),
            findings: verdict
                .findings
                .0
                .iter()
                .map(|(kind, list)| (*kind, example(list)))
                .collect(),
            seconds: 0,
        }
    }

    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.drained && self.taken > 0
    }

    /// The table.
    pub fn print(&self) {
        let row = |name: &str, value: String| println!("{name:<44} {value}");
        row("scenario, log, seed", format!("{}, {}, {}", self.scenario, self.log, self.seed));
        row("faults", self.faults.len().to_string());
        for fault in &self.faults {
            row("  fault", format!("{} ({} ms)", fault.what, fault.to - fault.from));
        }
        let rate = format!("{} of {} at {}/s", self.taken, self.messages, self.per_second);
        row("messages taken (201)", rate);
        row("told to come again; requests without answer", {
            format!("{}; {}", self.put_off, self.unanswered)
        });
        row("messages without a 201", self.unasked.to_string());
        row("citizens' refusals; without answer", {
            format!("{}; {}", self.refusals, self.refusals_unanswered)
        });
        row("  sent on waking from a freeze", self.sent_on_waking.to_string());
        row("lost", self.lost.to_string());
        row("doubled", self.doubled.to_string());
        for (status, count) in &self.ends {
            row(&format!("  {status:?}"), count.to_string());
        }
        let provider = &self.provider;
        row("sends that providers took", provider.sends.to_string());
        row("  sent again, outcome unknown", provider.repeats_declared.to_string());
        row("  sent again around a fault", provider.repeats_around_a_fault.to_string());
        row("  sent again without a reason", provider.repeats_unexplained.to_string());
        row("  taken around a fault, never told", provider.untold_around_a_fault.to_string());
        row("  sent again, per million", provider.repeats_per_million.to_string());
        let took = &self.from_acceptance_to_end_ms;
        let spread = format!("{} / {} / {} ms", took.p50, took.p99, took.longest);
        row("acceptance to end, p50 / p99 / longest", spread);
        row("worst stall while sending", format!("{} ms", self.worst_stall_ms));
        row("everything read at the end", if self.drained { "yes" } else { "NO" }.to_owned());
        for (kind, examples) in &self.findings {
            let such_as = examples.such_as.join(", ");
            println!("DOES NOT ADD UP: {kind}: {}, such as {such_as}", examples.count);
        }
        println!("{}", if self.is_clean() { "everything adds up" } else { "it does NOT add up" });
    }
}

fn per_million(repeats: u64, sends: usize) -> u64 {
    u64::try_from(sends)
        .ok()
        .filter(|sends| *sends > 0)
        .map_or(0, |sends| repeats * 1_000_000 / sends)
}

fn spread(mut times: Vec<i64>) -> Spread {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 1_000).min(times.len().max(1) - 1));
    let at = |share| at(share).copied().unwrap_or_default();
    Spread { p50: at(500), p99: at(990), longest: at(1_000) }
}

fn stall(mut ends: Vec<i64>, evidence: &Evidence) -> i64 {
    let last = evidence.taken.iter().map(|taken| taken.at).max().unwrap_or_default();
    ends.retain(|at| *at <= last);
    ends.sort_unstable();
    ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
