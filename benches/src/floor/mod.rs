//! The floor: a bare chain of copies with as many hops as a message has, on the same log, with nothing
//! else. What the pipeline needs beyond it is what the pipeline does.
//!
//! Acknowledged append, then three times read, write and commit in one transaction: `message.accepted`,
//! the vault's input, a channel's input, `message.status`. A process of its own, so that its processor
//! time and memory are its own.

mod chain;
mod hop;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use crate::console::say;
use crate::figures::{Figures, Times};
use crate::logs::Place;
use crate::machine;
use crate::meter::{Meter, count};
use chain::{Chain, Phase};

/// What the floor is measured with.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    place: Place,
    /// Records at once, for the throughput
    #[arg(long)]
    messages: usize,
    /// Bytes of a record's value
    #[arg(long)]
    bytes: usize,
    /// Records a second, for the times
    #[arg(long)]
    rate: f64,
    /// For so long
    #[arg(long)]
    seconds: f64,
}

/// Records that go before, so that connections stand and files exist.
const WARM_UP: usize = 200;
/// What the processes are called in figures.
const CHAIN: &str = "chain";
const BROKER: &str = "broker";

/// Measures, and prints the figures as one JSON object.
///
/// # Errors
/// The log's; records that are lost.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.bytes >= chain::SMALLEST, "--bytes: at least {}", chain::SMALLEST);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _inside = runtime.enter();
    let log = options.place.open()?;
    let mut chain = Chain::start(&log, &options.place, options.bytes)?;
    let mut meter = Meter::default();
    meter.add(CHAIN, std::process::id());
    if let Some(pid) = options.place.broker_port().and_then(machine::listener_at) {
        meter.add(BROKER, pid);
    }
    let mut figures = Figures::default();
    runtime.block_on(chain.send(&log, Phase { number: 0, count: WARM_UP, rate: None }))?;
    if options.messages > 0 {
        let phase = Phase { number: 1, count: options.messages, rate: None };
        let before = meter.read();
        let done = runtime.block_on(chain.send(&log, phase))?;
        let spent = meter.since(&before);
        let rate = count(options.messages) / done.took.as_secs_f64();
        figures.put("flood.messages_per_second", rate);
        figures.put("flood.records_a_commit", done.records_a_commit);
        spent.put(&mut figures, "flood", options.messages);
    }
    if options.rate > 0.0 {
        let phase = Phase { number: 2, count: paced(options), rate: Some(options.rate) };
        let before = meter.read();
        let done = runtime.block_on(chain.send(&log, phase))?;
        let spent = meter.since(&before);
        put_times(&mut figures, &done);
        spent.put(&mut figures, "paced", phase.count);
    }
    meter.put_peaks(&mut figures);
    chain.stop();
    drop(log);
    say(serde_json::to_string(&figures)?);
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
fn paced(options: &Options) -> usize {
    (options.rate * options.seconds).ceil() as usize
}

/// From when a record was due: to the last transaction's beginning, as records carry it, and to its end,
/// when it can be read.
fn put_times(figures: &mut Figures, done: &chain::Done) {
    let mut written = Times::default();
    let mut readable = Times::default();
    for (to_written, to_readable) in &done.times {
        written.add(*to_written);
        readable.add(*to_readable);
    }
    written.put(figures, "paced", "written");
    readable.put(figures, "paced", "readable");
}

/// For callers who need neither word: the log as threads share it.
type Log = Arc<dyn runtime::log::Log>;

/// No record for so long: those that are missing are lost.
const SILENCE: Duration = Duration::from_secs(20);
