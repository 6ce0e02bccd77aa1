//! The demo: everything in one process, simulated providers, sample data, and a check that it adds up.

mod check;
mod collect;
mod data;
mod onboard;
mod ready;
mod report;
mod send;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

pub use world::{SimOptions, simulate};

use schemas::codec::Codec;
use schemas::topics::Topic;

use crate::commands::{executor, logging, print, stopped};
use crate::config::Settings;
use crate::{logs, plant, topology};

/// What the demo may be told.
#[derive(Debug, Args)]
pub struct Options {
    /// End after the check; exit code 3 if anything does not add up.
    #[arg(long)]
    exit: bool,
    /// Run on this Kafka instead of the embedded log.
    #[arg(long, value_name = "ADDR")]
    kafka: Option<String>,
    /// Keep the directory in this Redis instead of the process.
    #[arg(long, value_name = "ADDR")]
    redis: Option<String>,
    /// Address of the sender API.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Folder for log, objects and keys; a fresh one that is removed at the end if not given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How many messages to send.
    #[arg(long, default_value_t = 2_000)]
    messages: usize,
    /// Services in the shape of `services.json`.
    #[arg(long)]
    services: Option<PathBuf>,
    /// Citizens in the shape of `citizens.ndjson`.
    #[arg(long)]
    citizens: Option<PathBuf>,
    /// Messages with what must become of them, in the shape of `messages.ndjson`.
    #[arg(long)]
    messages_file: Option<PathBuf>,
    /// Write addresses, keys and sample citizens here once everything answers (mode 0600).
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// How much faster than real waits pass: an hour of retries in a minute at 60.
    #[arg(long, default_value_t = 60.0)]
    time_scale: f64,
}

/// Runs it.
///
/// # Errors
/// What could not be started or read, and what to do.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    logging("human", "warn,lsm_tree=error,kafka=error");
    executor()?.block_on(demo(options))
}

async fn demo(options: &Options) -> anyhow::Result<ExitCode> {
    let data = data::Data::read(options)?;
    let (world, settings) = world::prepare(options).await?;
    print(&format!(
        "time scale {}: waits of providers, retries and times to live pass that much faster",
        options.time_scale
    ));
    if options.kafka.is_some() {
        apply_topics(settings.clone()).await?;
    }
    let plant = plant::start(settings, &[]).await?;
    let site = std::sync::Arc::clone(&plant.site);
    let collector = collect::Collector::start(&site)?;
    let started = std::time::Instant::now();
    let onboarded = onboard::all(&site, &data).await?;
    print(&format!(
        "{} services and {} citizens on board in {:.1} s",
        data.services.len(),
        onboarded,
        started.elapsed().as_secs_f64()
    ));
    let people = ready::people(&data, &world);
    let ready = ready::Ready::new(&plant.addresses, options, &world, &data, &people);
    if let Some(file) = &options.ready_file {
        ready.write(file)?;
    }
    let sent = send::all(&plant.addresses, &data, options.messages).await?;
    let outcome = collect::wait(&collector, &sent, options.time_scale).await;
    report::print_table(&sent, &outcome);
    let findings = check::check(&data, &sent, &outcome, world.simulators());
    report::print_check(&findings.faults, &findings.notes);
    let whole = plant.is_whole();
    if !options.exit {
        ready.print(&data);
        stopped().await?;
    }
    plant.shutdown().await;
    world.end().await;
    Ok(if findings.faults.is_empty() && whole { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// What `staffetta topics apply` does, for a namespace of this run.
async fn apply_topics(settings: Settings) -> anyhow::Result<()> {
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let world = runtime::world::World::real(handle, Codec::default(), 1.0);
        let log = logs::open(&settings, &world)?;
        Ok(log.apply(&Topic::all(), settings.log.partitions, &topology::seats())?)
    })
    .await?
}
