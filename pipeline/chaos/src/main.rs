//! `chaos`: failure campaigns on real parts, judged by a checker of its own.
//!
//! It starts `staffetta` as an operator would, sends messages over HTTP, hurts what runs, waits until
//! nothing is left to do, and holds together what the sender was told, what the log says and what the
//! providers took. The checker decides by rules of its own: no code of `policy`, `consumers`,
//! `producers`. From `runtime` it takes the reader of the embedded log, whose format nobody else reads.
//!
//! Exit codes: 0 everything adds up; 1 it could not be run; 2 wrong command line; 3 it does not add up.

mod blows;
mod campaign;
mod check;
mod citizens;
mod drain;
mod evidence;
mod parts;
mod records;
mod report;
mod sample;
mod scenario;
mod sender;
mod source;
mod sweep;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

use campaign::{Campaign, Kind};
use scenario::Scenario;

/// Runs one failure campaign. `cargo xtask chaos` builds everything and starts Kafka for it.
#[derive(Debug, Parser)]
struct Options {
    /// A fixed scenario; without, faults are drawn for some minutes
    #[arg(long, value_enum, required_unless_present = "minutes")]
    scenario: Option<Scenario>,
    /// Draw faults from the seed for so long; every stage is two processes of its own
    #[arg(long, value_name = "M", conflicts_with = "scenario", requires = "kafka")]
    minutes: Option<u64>,
    /// Process ids of brokers that may be killed and frozen, once for each
    #[arg(long = "broker", value_name = "PID")]
    brokers: Vec<u32>,
    /// Brokers of an empty Kafka; without, the embedded log
    #[arg(long, value_name = "ADDR")]
    kafka: Option<String>,
    #[arg(long, default_value_t = 1)]
    replication: u32,
    /// The binary under test, built with the feature `simulators`; beside this one if not given
    #[arg(long, value_name = "FILE")]
    staffetta: Option<PathBuf>,
    #[arg(long, value_name = "FILE", default_value = "redis-server")]
    redis_server: PathBuf,
    /// Folder with services.json, citizens.ndjson, messages.ndjson
    #[arg(long, value_name = "DIR")]
    sample: Option<PathBuf>,
    /// Folder for everything this run writes; a new one that goes afterwards if not given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Of a scenario; drawn faults last as long as their minutes
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// Requests begun a second, whatever becomes of them
    #[arg(long, default_value_t = 150.0)]
    rate: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much faster than real ones waits pass
    #[arg(long, default_value_t = 60.0)]
    time_scale: f64,
    /// Where the report is written as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            scenario::eprint(&format!("chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<ExitCode> {
    let provider = rustls::crypto::aws_lc_rs::default_provider().install_default();
    provider.map_err(|_| anyhow::anyhow!("TLS was set up already"))?;
    let own = std::env::current_exe()?;
    let shipped = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/sample"));
    let name = format!("staffetta-chaos-{}", std::process::id());
    let folder = options.data.clone().unwrap_or_else(|| std::env::temp_dir().join(name));
    campaign::fresh(&folder)?;
    let campaign = Campaign {
        kind: match options.scenario {
            Some(Scenario::CrashPoints) => Kind::Sweep,
            Some(scenario) => Kind::Fixed(scenario),
            None => Kind::Drawn,
        },
        brokers: options.brokers,
        kafka: options.kafka,
        replication: options.replication,
        staffetta: options.staffetta.unwrap_or_else(|| own.with_file_name("staffetta")),
        redis_server: options.redis_server,
        sample: options.sample.unwrap_or_else(shipped),
        folder: folder.clone(),
        messages: options
            .minutes
            .map_or(options.messages, |minutes| in_minutes(minutes, options.rate)),
        per_second: options.rate,
        seed: options.seed,
        time_scale: options.time_scale,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = tokio::time::timeout(campaign::LIMIT, campaign.run()) => report?,
            result = interrupted() => result.and_then(|()| anyhow::bail!("interrupted")),
        }
    })?;
    report.print();
    if let Some(file) = options.report {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.data.is_none() && report.is_clean() {
        let _ = std::fs::remove_dir_all(&folder);
    } else {
        scenario::eprint(&format!("everything of this run lies in {}", folder.display()));
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "hours at most, and a rate that is positive"
)]
fn in_minutes(minutes: u64, rate: f64) -> usize {
    (minutes as f64 * 60.0 * rate) as usize
}

/// Ctrl-C or SIGTERM; what was started is ended on the way out.
async fn interrupted() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => Ok(result?),
    }
}
