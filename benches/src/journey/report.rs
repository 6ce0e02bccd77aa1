//! What is printed: losses before speed, then figures beside the floor's, then the narrow place.

use anyhow::Result;
use serde_json::{Value, json};

use super::Options;
use super::once::Run;
use crate::console::say;
use crate::figures::Figures;
use crate::machine::Description;

/// Others that use more of the machine make a figure a lower bound.
const FOREIGN_PERCENT: f64 = 5.0;

/// All runs, and what they say together.
pub struct Report {
    log: &'static str,
    machine: Description,
    settings: Value,
    runs: Vec<Run>,
    journey: Figures,
    floor: Figures,
}

impl Report {
    #[must_use]
    pub fn new(options: &Options, machine: Description, runs: Vec<Run>) -> Self {
        let of = |pick: fn(&Run) -> &Figures| {
            Figures::medians(&runs.iter().map(|run| pick(run).clone()).collect::<Vec<_>>())
        };
        let setup = options.setup(std::path::Path::new(""), std::path::Path::new(""), 1);
        let settings = json!({
            "partitions": setup.place.partitions, "connections": setup.connections,
            "validating_simulators": setup.validating, "split": setup.split,
            "optimised": !cfg!(debug_assertions),
            "citizens": super::people::CITIZENS,
        });
        let (journey, floor) = (of(|run| &run.journey), of(|run| &run.floor));
        Self { log: setup.place.name(), machine, settings, journey, floor, runs }
    }

    /// Nothing lost, nothing doubled, and the providers' books agree where they keep any.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.runs.iter().all(|run| run.losses.is_none() && books_agree(run))
    }

    /// # Errors
    /// None that figures can cause.
    pub fn print(&self, as_json: bool) -> Result<()> {
        if as_json {
            say(serde_json::to_string_pretty(&self.json())?);
            return Ok(());
        }
        let machine = &self.machine;
        say(format_args!(
            "journey, {} log: {} x {} cores, {} GiB, Linux {}, {}; {}",
            self.log,
            machine.processor,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            machine.file_system,
            self.settings
        ));
        self.print_losses();
        self.print_figures();
        self.print_bottleneck();
        Ok(())
    }

    fn json(&self) -> Value {
        json!({
            "benchmark": "journey",
            "unix_seconds": std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            "log": self.log,
            "machine": self.machine,
            "settings": self.settings,
            "whole": self.is_whole(),
            "runs": self.runs,
            "medians": {"journey": self.journey, "floor": self.floor},
            "ratios": self.ratios(),
        })
    }

    fn print_losses(&self) {
        let messages: usize = self.runs.iter().map(|run| run.messages).sum();
        if self.is_whole() {
            say(format_args!(
                "nothing lost, nothing doubled: {messages} messages, one NOTIFIED each"
            ));
        }
        for (number, run) in (1..).zip(&self.runs) {
            if !run.losses.is_none() {
                say(format_args!(
                    "LOST OR DOUBLED in run {number} of {} messages: {:?}",
                    run.messages, run.losses
                ));
            }
            if !books_agree(run) {
                say(format_args!(
                    "DOES NOT ADD UP in run {number}: {} messages, the providers count {:?}",
                    run.messages, run.taken_by_providers
                ));
            }
        }
        let foreign = ["flood", "paced"].into_iter().filter_map(|phase| {
            let percent = self.journey.get(&format!("{phase}.foreign_percent"))?;
            (percent > FOREIGN_PERCENT).then_some((phase, percent))
        });
        for (phase, percent) in foreign {
            say(format_args!(
                "NOT ALONE: {percent:.0} % of the processors worked for others ({phase}): lower bounds"
            ));
        }
    }

    fn print_figures(&self) {
        say(format_args!("\n{:<38} {:>10} {:>10} {:>7}", "medians", "journey", "floor", "ratio"));
        for (label, ours, theirs) in ROWS {
            self.row(label, self.journey.get(ours), self.floor.get(theirs));
        }
        for (phase, words) in [("flood", "at once"), ("paced", "steadily")] {
            let prefix = format!("{phase}.cpu_us.");
            for (process, us) in self.journey.below(&prefix) {
                let floor = if process == "broker" { "broker" } else { "chain" };
                let shown = ["pipeline", "broker"].contains(&process);
                let floor = self.floor.get(&format!("{prefix}{floor}")).filter(|_| shown);
                self.row(&format!("CPU us a message, {words}: {process}"), Some(us), floor);
            }
        }
        for (process, mib) in self.journey.below("peak_mib.") {
            let floor = self.floor.get("peak_mib.chain").filter(|_| process == "pipeline");
            self.row(&format!("peak memory, MiB: {process}"), Some(mib), floor);
        }
        for (process, percent) in self.journey.below("idle.cpu_percent.") {
            self.row(&format!("% of a core while idle: {process}"), Some(percent), None);
        }
    }

    fn row(&self, label: &str, ours: Option<f64>, theirs: Option<f64>) {
        if ours.is_none() && theirs.is_none() {
            return;
        }
        let number = |value: Option<f64>| value.map_or("-".to_owned(), show);
        let ratio = match (ours, theirs) {
            (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2}", ours / theirs),
            (_, _) => String::new(),
        };
        let (ours, theirs) = (number(ours), number(theirs));
        say(format_args!("{label:<38} {ours:>10} {theirs:>10} {ratio:>7}"));
    }

    /// Journey to floor, where both have the figure.
    fn ratios(&self) -> Figures {
        let mut ratios = Figures::default();
        for (_, ours, theirs) in ROWS {
            if let (Some(a), Some(b)) = (self.journey.get(ours), self.floor.get(theirs))
                && b > 0.0
            {
                ratios.put(ours, a / b);
            }
        }
        ratios
    }

    fn print_bottleneck(&self) {
        for (number, run) in (1..).zip(&self.runs) {
            let Some(found) = &run.bottleneck else { continue };
            say(format_args!("\nbottleneck, run {number}: {}", found.verdict));
            if number > 1 {
                continue;
            }
            for (process, thread, share) in &found.threads {
                say(format_args!("  {share:>5.1} % of all processors: {process}, {thread}"));
            }
            for stage in &found.stages {
                say(format_args!(
                    "  {:<8} at most {:>6.0} waited; {:>4.0} % of the time in commits of {:.1} ms, {:.0} \
                     records each; {:.0} faults, {:.0} rewinds",
                    stage.name,
                    stage.waiting_at_most,
                    stage.in_commits_percent,
                    stage.commit_ms,
                    stage.records_a_commit,
                    stage.faults,
                    stage.rewinds
                ));
            }
        }
    }
}

/// Label, the journey's figure, the floor's.
const ROWS: [(&str, &str, &str); 13] = [
    ("messages/s, all at once", "flood.messages_per_second", "flood.messages_per_second"),
    ("  accepted/s meanwhile", "flood.accepted_per_second", ""),
    ("messages/s, steady", "paced.offered_per_second", "paced.offered_per_second"),
    ("p50 ms: answer to the sender", "paced.p50_ms.answer", ""),
    ("p99 ms: answer to the sender", "paced.p99_ms.answer", ""),
    ("p50 ms since acceptance: consent", "paced.p50_ms.consent", ""),
    ("p99 ms since acceptance: consent", "paced.p99_ms.consent", ""),
    ("p50 ms since acceptance: vault", "paced.p50_ms.vault", ""),
    ("p99 ms since acceptance: vault", "paced.p99_ms.vault", ""),
    ("p50 ms: whole way, status written", "paced.p50_ms.way", "paced.p50_ms.written"),
    ("p99 ms: whole way, status written", "paced.p99_ms.way", "paced.p99_ms.written"),
    ("p50 ms: whole way, status readable", "paced.p50_ms.seen", "paced.p50_ms.readable"),
    ("p99 ms: whole way, status readable", "paced.p99_ms.seen", "paced.p99_ms.readable"),
];

/// A push for each message, and no other.
fn books_agree(run: &Run) -> bool {
    run.taken_by_providers.is_none_or(|taken| usize::try_from(taken) == Ok(run.messages))
}

/// Three figures that count.
fn show(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
