//! Messages through the whole chain: HTTP, every stage, simulated providers, the final status; beside
//! it, in the same run, the floor. `benches/README.md` says how and why so.

mod books;
mod load;
mod once;
mod people;
mod report;
mod scrape;
mod settings;
mod subscriber;
mod verdict;
mod watch;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::console::note;
use crate::logs::Place;
use crate::machine;
use once::{Run, Setup};
use people::Mail;
use report::Report;

/// Without --rate: first --messages as fast as they are answered, which gives the throughput, then for
/// --seconds half of that at a steady rate, which gives the times.
#[derive(Debug, Args)]
pub struct Options {
    /// Run on this Kafka; on the embedded log otherwise
    #[arg(long, value_name = "ADDR")]
    kafka: Option<String>,
    /// The embedded log acknowledges before it has synced
    #[arg(long, conflicts_with = "kafka")]
    unsynced: bool,
    /// On Kafka: a process for each stage instead of one for all
    #[arg(long, requires = "kafka")]
    split: bool,
    /// Messages a second, steadily; no throughput is looked for then
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// How long the steady part takes
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    seconds: f64,
    /// How many messages at once for the throughput; with --rate, how many at most
    #[arg(long, value_name = "N")]
    messages: Option<usize>,
    /// How often everything is repeated; medians are reported
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,
    /// Connections of the senders
    #[arg(long, value_name = "N", default_value_t = 256)]
    connections: usize,
    /// Partitions of each topic
    #[arg(long, value_name = "N", default_value_t = 4)]
    partitions: u32,
    /// Simulated providers that check every push, instead of ones that only answer
    #[arg(long)]
    validating: bool,
    /// A few hundred messages in one run: whether everything works, no figure to keep
    #[arg(long)]
    smoke: bool,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Folder for logs and objects, emptied after each run; beside this program otherwise
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The binary, built with the feature `simulators`; beside this program otherwise
    #[arg(long, value_name = "FILE")]
    staffetta: Option<PathBuf>,
}

/// As many as take some seconds on a small machine.
const MESSAGES: usize = 30_000;
/// Of a smoke test: at once, a second, and for how long.
const SMOKE: (usize, f64, f64) = (200, 100.0, 1.0);

/// Measures and reports.
///
/// # Errors
/// What did not start, answer or end.
pub fn run(options: &Options) -> Result<ExitCode> {
    ensure!(options.runs > 0, "--runs: at least 1");
    ensure!(options.rate.is_none_or(|rate| rate > 0.0), "--rate: more than nothing");
    let beside = std::env::current_exe()?.with_file_name("staffetta");
    let staffetta = options.staffetta.clone().unwrap_or(beside);
    ensure!(staffetta.is_file(), "{} is missing: use cargo xtask bench", staffetta.display());
    let folder = match &options.folder {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()?.with_file_name("bench-data"),
    };
    let folder = folder.join(std::process::id().to_string());
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let folder = folder.canonicalize()?;
    let machine = machine::describe(&folder);
    let runs = all(options, &staffetta, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    let report = Report::new(options, machine, runs?);
    report.print(options.json)?;
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn all(options: &Options, staffetta: &Path, folder: &Path) -> Result<Vec<Run>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let mail = Arc::new(Mail::new()?);
    let mut runs = Vec::new();
    for number in 1..=options.runs() {
        note(format_args!("run {number} of {}", options.runs()));
        let setup = options.setup(staffetta, &folder.join(number.to_string()), number);
        runs.push(runtime.block_on(once::run(&setup, &mail))?);
        std::fs::remove_dir_all(&setup.folder)?;
    }
    Ok(runs)
}

impl Options {
    fn runs(&self) -> usize {
        if self.smoke { 1 } else { self.runs }
    }

    fn setup(&self, staffetta: &Path, folder: &Path, number: usize) -> Setup {
        let flood = match (self.smoke, self.rate) {
            (true, _) => SMOKE.0,
            (false, Some(_)) => 0,
            (false, None) => self.messages.unwrap_or(MESSAGES),
        };
        Setup {
            staffetta: staffetta.to_owned(),
            place: Place {
                kafka: self.kafka.clone(),
                prefix: format!("bench-{}-{number}-", std::process::id()),
                folder: folder.join("log"),
                unsynced: self.unsynced,
                partitions: self.partitions,
            },
            folder: folder.to_owned(),
            validating: self.validating || self.smoke,
            split: self.split,
            connections: self.connections,
            flood,
            rate: if self.smoke { Some(SMOKE.1) } else { self.rate },
            seconds: if self.smoke { SMOKE.2 } else { self.seconds },
            paced_at_most: match self.rate {
                Some(_) => self.messages.unwrap_or(usize::MAX),
                None => usize::MAX,
            },
        }
    }
}
