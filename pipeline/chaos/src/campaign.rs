//! One run from its first process to its verdict.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use schemas::topics::Topic;
use tokio::sync::watch;

use crate::check::check;
use crate::drain;
use crate::evidence::Evidence;
use crate::parts::{Layout, LogPlace, Redis, Simulators, Staffetta};
use crate::records::{DECISION_SCHEMA, STATUS_SCHEMA, decode_all};
use crate::report::{Asked, Report};
use crate::sample::Sample;
use crate::scenario::{self, Scenario, eprint};
use crate::sender::{self, Load};
use crate::source::{EmbeddedSource, KafkaSource, Source};

/// A run of one scenario.
#[derive(Debug)]
pub struct Campaign {
    pub scenario: Scenario,
    /// Brokers; on the embedded log without.
    pub kafka: Option<String>,
    pub replication: u32,
    pub staffetta: PathBuf,
    pub redis_server: PathBuf,
    pub sample: PathBuf,
    pub folder: PathBuf,
    pub messages: usize,
    pub per_second: f64,
    pub seed: u64,
    pub time_scale: f64,
}

impl Campaign {
    /// Errors: what could not be started, or ended meanwhile; never what the check finds.
    pub async fn run(&self) -> Result<Report> {
        let started = Instant::now();
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let program = kept(&self.staffetta, &self.folder)?;
        let sample = Arc::new(Sample::read(&self.sample)?);
        let simulators = self.folder.join("simulators");
        let mut simulators = Simulators::start(&program, &simulators, self.time_scale).await?;
        let mut redis = self.redis().await?;
        let port = redis.as_ref().map(|redis| redis.port);
        let (log, layout) = self.log();
        let mut staffetta =
            Staffetta::plan(&program, &self.folder, &log, port, &simulators, self.time_scale)?;
        staffetta.found(&sample)?;
        staffetta.start(layout).await?;
        eprint(&format!("up after {:.1} s", started.elapsed().as_secs_f64()));
        let (evidence, put_off) =
            self.load(&sample, layout, &mut staffetta, redis.as_mut()).await?;
        let mut evidence = evidence;
        eprint(&format!("sent after {:.1} s, draining", started.elapsed().as_secs_f64()));
        let drained = self.drain(&log, &staffetta, &evidence).await?;
        let books = simulators.books().await?;
        (evidence.sends, evidence.counted, evidence.not_kept) =
            (books.sends, books.counted, books.not_kept);
        staffetta.end().await?;
        self.read(&log, &staffetta, &mut evidence).await?;
        evidence.keep(&self.folder)?;
        let verdict = check(&sample, &evidence);
        let mut report = Report::new(&self.asked(), &evidence, &verdict, put_off);
        (report.drained, report.seconds) = (drained, started.elapsed().as_secs());
        Ok(report)
    }

    async fn redis(&self) -> Result<Option<Redis>> {
        if self.kafka.is_none() && !self.scenario.needs_redis() {
            return Ok(None);
        }
        let keeps = self.scenario == Scenario::RedisStop;
        let mut redis = Redis::plan(&self.redis_server, &self.folder.join("redis"), keeps)?;
        redis.start().await?;
        Ok(Some(redis))
    }

    fn log(&self) -> (LogPlace, Layout) {
        match &self.kafka {
            None => (LogPlace::Embedded, Layout::One),
            Some(bootstrap) => {
                let prefix = format!("chaos-{}-", std::process::id());
                let (bootstrap, replication) = (bootstrap.clone(), self.replication);
                (LogPlace::Kafka { bootstrap, prefix, replication }, Layout::Two)
            }
        }
    }

    fn asked(&self) -> Asked {
        Asked {
            scenario: self.scenario.name().to_owned(),
            log: if self.kafka.is_some() { "kafka" } else { "embedded" }.to_owned(),
            seed: self.seed,
            messages: self.messages,
            per_second: self.per_second,
        }
    }

    /// Sends while the faults happen. Both must finish; the first error ends the run.
    async fn load(
        &self,
        sample: &Arc<Sample>,
        layout: Layout,
        staffetta: &mut Staffetta,
        redis: Option<&mut Redis>,
    ) -> Result<(Evidence, u64)> {
        let (begun, seen) = watch::channel(0);
        let load = Load {
            messages: self.messages,
            per_second: self.per_second,
            seed: self.seed,
            url: staffetta.sender_api.clone(),
            begun,
        };
        let sending = sender::send(load, Arc::clone(sample));
        let acts = self.scenario.acts(layout, self.seed);
        let acting = scenario::perform(acts, self.messages, seen, staffetta, redis);
        let (sent, faults) = tokio::try_join!(sending, acting)?;
        let evidence = Evidence {
            taken: sent.taken,
            refused: sent.refused,
            given_up: sent.given_up,
            unanswered: sent.unanswered,
            faults,
            time_scale: self.time_scale,
            ..Evidence::default()
        };
        Ok((evidence, sent.put_off))
    }

    async fn drain(
        &self,
        log: &LogPlace,
        staffetta: &Staffetta,
        evidence: &Evidence,
    ) -> Result<bool> {
        match log {
            LogPlace::Embedded => drain::on_embedded(staffetta, self.time_scale).await,
            LogPlace::Kafka { bootstrap, prefix, .. } => {
                let source = kafka(bootstrap, prefix);
                drain::on_kafka(&source, &evidence.taken, self.time_scale).await
            }
        }
    }

    /// Reads the log anew, after everything has ended.
    async fn read(
        &self,
        log: &LogPlace,
        staffetta: &Staffetta,
        evidence: &mut Evidence,
    ) -> Result<()> {
        let source: Box<dyn Source + std::marker::Send> = match log {
            LogPlace::Embedded => Box::new(EmbeddedSource {
                folder: staffetta.log_folder(),
                handle: tokio::runtime::Handle::current(),
            }),
            LogPlace::Kafka { bootstrap, prefix, .. } => Box::new(kafka(bootstrap, prefix)),
        };
        let (events, decisions) = tokio::task::spawn_blocking(move || -> Result<_> {
            let events = decode_all(STATUS_SCHEMA, &source.read(Topic::Status)?)?;
            let decisions = decode_all(DECISION_SCHEMA, &source.read(Topic::Decision)?)?;
            Ok((events, decisions))
        })
        .await??;
        evidence.set_events(events);
        evidence.decisions = decisions;
        Ok(())
    }
}

fn kafka(bootstrap: &str, prefix: &str) -> KafkaSource {
    KafkaSource { bootstrap: bootstrap.to_owned(), prefix: prefix.to_owned() }
}

/// The folder of a run, which must be a new one: what is left of another would be taken for this one's.
pub fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() && std::fs::read_dir(folder)?.next().is_some() {
        bail!("{} is not empty; name another folder", folder.display());
    }
    Ok(())
}

/// So long may the whole of a run take before it is ended.
pub const LIMIT: Duration = Duration::from_secs(3_600);

/// The binary as it is now: one that is built anew meanwhile must not be what is started again.
fn kept(program: &Path, folder: &Path) -> Result<PathBuf> {
    let kept = folder.join("staffetta");
    std::fs::copy(program, &kept)
        .with_context(|| format!("no binary under test at {}", program.display()))?;
    Ok(kept)
}
