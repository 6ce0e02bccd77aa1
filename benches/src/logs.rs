//! The logs that a benchmark runs on, opened as the pipeline opens them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use runtime::embedded::{EmbeddedLog, Settings};
use runtime::kafka::{KafkaLog, KafkaSettings};
use runtime::log::{Incoming, Log, Start};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::topics::Topic;

/// Which log, and where.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Brokers; the embedded log otherwise
    #[arg(long, value_name = "ADDR")]
    pub kafka: Option<String>,
    /// Before every topic's name on Kafka
    #[arg(long, default_value = "")]
    pub prefix: String,
    /// Of the embedded log
    #[arg(long, default_value = "log")]
    pub folder: PathBuf,
    /// The embedded log acknowledges before it has synced
    #[arg(long)]
    pub unsynced: bool,
    /// Partitions of each topic
    #[arg(long, default_value_t = 4)]
    pub partitions: u32,
}

/// As many as `log.producers_in_turn` has by default.
const PRODUCERS_IN_TURN: usize = 2;
/// Without any record for so long, a topic's end is not waited for any longer.
const SILENCE: Duration = Duration::from_secs(30);

impl Place {
    /// The log, open to this process alone if it is the embedded one.
    ///
    /// # Errors
    /// It does not answer, or somebody else holds the folder.
    pub fn open(&self) -> Result<Arc<dyn Log>> {
        if let Some(bootstrap) = &self.kafka {
            let settings = KafkaSettings {
                prefix: self.prefix.clone(),
                replication: 1,
                producers_in_turn: PRODUCERS_IN_TURN,
                ..KafkaSettings::new(bootstrap.clone())
            };
            return Ok(Arc::new(KafkaLog::connect(settings)?));
        }
        std::fs::create_dir_all(&self.folder)?;
        let how = Settings { sync: !self.unsynced, partitions: 0, ..Settings::default() };
        Ok(Arc::new(EmbeddedLog::open(&self.folder, world(), how)?))
    }

    /// What the log is called in a report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (&self.kafka, self.unsynced) {
            (Some(_), _) => "kafka",
            (None, false) => "embedded, synced",
            (None, true) => "embedded, not synced",
        }
    }

    /// The port of the first broker, if it is on this machine.
    #[must_use]
    pub fn broker_port(&self) -> Option<u16> {
        let first = self.kafka.as_ref()?.split(',').next()?;
        let (host, port) = first.rsplit_once(':')?;
        ["127.0.0.1", "localhost"].contains(&host).then(|| port.parse().ok()).flatten()
    }
}

/// Clock and chance of this machine.
fn world() -> World {
    World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0)
}

/// Shows every committed record of `topic` to `visit`, up to where it ends now.
///
/// # Errors
/// The log's; an end that does not come.
pub fn read_all(log: &dyn Log, topic: Topic, mut visit: impl FnMut(Incoming)) -> Result<()> {
    let mut reader = log.reader(&[topic], &Start::Beginning)?;
    let mut open: BTreeSet<u32> = (0..log.partitions(topic)?).collect();
    let mut last = Instant::now();
    while !open.is_empty() {
        let read = reader.poll(4_000, Duration::from_millis(200))?;
        if !read.records.is_empty() || !read.ended.is_empty() {
            last = Instant::now();
        }
        ensure!(last.elapsed() < SILENCE, "the end of {topic} does not come");
        read.records.into_iter().for_each(&mut visit);
        for (at, _) in read.ended {
            open.remove(&at.partition);
        }
    }
    Ok(())
}
