//! One run from its first process to its verdict.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use schemas::topics::Topic;
use tokio::sync::watch;

use crate::blows::{Victims, draw};
use crate::check::check;
use crate::citizens;
use crate::drain;
use crate::evidence::{Choice, Evidence, Fault};
use crate::parts::{Broker, Identity, Layout, LogPlace, Redis, Simulators, Staffetta};
use crate::records::{DECISION_SCHEMA, STATUS_SCHEMA, decode_all};
use crate::report::{Asked, Report};
use crate::sample::Sample;
use crate::scenario::{self, Scenario, eprint};
use crate::sender::{self, Load, Sent};
use crate::source::{EmbeddedSource, KafkaSource, Source};
use crate::sweep;

/// Which faults a run meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Fixed(Scenario),
    /// One after the other, as the seed draws them, for as long as messages are sent.
    Drawn,
    /// Every crash point once; messages are sent for as long as that takes.
    Sweep,
}

/// Between two citizens who refuse a service.
const REFUSAL_EVERY: Duration = Duration::from_millis(1_500);

/// One run.
#[derive(Debug)]
pub struct Campaign {
    pub kind: Kind,
    /// Brokers; on the embedded log without.
    pub kafka: Option<String>,
    /// Process ids of brokers that may be hurt.
    pub brokers: Vec<u32>,
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
        let identity = match self.kind {
            Kind::Fixed(_) => None,
            Kind::Drawn | Kind::Sweep => Some(Identity::create(&self.folder)?),
        };
        if let Some(identity) = &identity {
            staffetta = staffetta.with_citizens(identity);
        }
        if self.kind == Kind::Sweep {
            staffetta = staffetta.with_long_silences();
        }
        staffetta.found(&sample)?;
        staffetta.start(layout).await?;
        eprint(&format!("up after {:.1} s", started.elapsed().as_secs_f64()));
        let mut brokers = self.find_brokers()?;
        let (mut evidence, put_off) = match (&identity, &mut redis, &log) {
            (Some(identity), ..) if self.kind == Kind::Sweep => {
                self.swept(&sample, identity, layout, &mut staffetta).await?
            }
            (Some(identity), Some(redis), LogPlace::Kafka { bootstrap, prefix, .. }) => {
                let victims = Victims {
                    staffetta: &mut staffetta,
                    redis,
                    brokers: &mut brokers,
                    simulators: &mut simulators,
                    objects: self.folder.join("objects"),
                    log: kafka(bootstrap, prefix),
                };
                self.drawn(&sample, identity, victims).await?
            }
            (_, redis, _) => self.fixed(&sample, layout, &mut staffetta, redis.as_mut()).await?,
        };
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
        let (needed, keeps) = match self.kind {
            Kind::Fixed(scenario) => (scenario.needs_redis(), scenario == Scenario::RedisStop),
            Kind::Drawn => (true, true),
            Kind::Sweep => (false, true),
        };
        if self.kafka.is_none() && !needed {
            return Ok(None);
        }
        let mut redis = Redis::plan(&self.redis_server, &self.folder.join("redis"), keeps)?;
        redis.start().await?;
        Ok(Some(redis))
    }

    fn find_brokers(&self) -> Result<Vec<Broker>> {
        let find = |pid: &u32| Broker::find(*pid, &self.folder.join(format!("broker-{pid}.log")));
        self.brokers.iter().map(find).collect()
    }

    fn log(&self) -> (LogPlace, Layout) {
        let Some(bootstrap) = self.kafka.clone() else {
            return (LogPlace::Embedded, Layout::One);
        };
        let prefix = format!("chaos-{}-", std::process::id());
        let place = LogPlace::Kafka { bootstrap, prefix, replication: self.replication };
        match self.kind {
            Kind::Fixed(_) | Kind::Sweep => (place, Layout::Two),
            Kind::Drawn => (place, Layout::Each),
        }
    }

    fn asked(&self) -> Asked {
        Asked {
            scenario: match self.kind {
                Kind::Fixed(scenario) => scenario.name().to_owned(),
                Kind::Drawn => "drawn".to_owned(),
                Kind::Sweep => Scenario::CrashPoints.name().to_owned(),
            },
            log: if self.kafka.is_some() { "kafka" } else { "embedded" }.to_owned(),
            seed: self.seed,
            messages: self.messages,
            per_second: self.per_second,
        }
    }

    fn sending(&self, staffetta: &Staffetta) -> (Load, watch::Receiver<usize>) {
        let (begun, seen) = watch::channel(0);
        let load = Load {
            messages: self.messages,
            per_second: self.per_second,
            seed: self.seed,
            urls: staffetta.sender_apis.clone(),
            begun,
        };
        (load, seen)
    }

    fn evidence(&self, sent: Sent, faults: Vec<Fault>, choices: Vec<Choice>) -> (Evidence, u64) {
        let evidence = Evidence {
            taken: sent.taken,
            refused: sent.refused,
            given_up: sent.given_up,
            unanswered: sent.unanswered,
            faults,
            choices,
            time_scale: self.time_scale,
            ..Evidence::default()
        };
        (evidence, sent.put_off)
    }

    /// Sends while the acts of the scenario happen. Both must finish; the first error ends the run.
    async fn fixed(
        &self,
        sample: &Arc<Sample>,
        layout: Layout,
        staffetta: &mut Staffetta,
        redis: Option<&mut Redis>,
    ) -> Result<(Evidence, u64)> {
        let Kind::Fixed(scenario) = self.kind else { bail!("drawn faults need Kafka and Redis") };
        let (load, seen) = self.sending(staffetta);
        let sending = sender::send(load, Arc::clone(sample));
        let acts = scenario.acts(layout, self.seed);
        let acting = scenario::perform(acts, self.messages, seen, staffetta, redis);
        let (sent, faults) = tokio::try_join!(sending, acting)?;
        Ok(self.evidence(sent, faults, Vec::new()))
    }

    /// Sends while one crash point after the other is met and citizens refuse; the sweep's end is theirs.
    async fn swept(
        &self,
        sample: &Arc<Sample>,
        identity: &Identity,
        layout: Layout,
        staffetta: &mut Staffetta,
    ) -> Result<(Evidence, u64)> {
        let (load, seen) = self.sending(staffetta);
        let (begun, last) = (load.begun.clone(), self.messages);
        let url = staffetta.citizen_api.clone().context("nobody serves citizens")?;
        let sending = sender::send(load, Arc::clone(sample));
        let (people, at) = (Arc::clone(sample), seen.clone());
        let choosing = citizens::refuse(people, identity, &url, REFUSAL_EVERY, self.seed, at, last);
        let acting = async {
            let faults = sweep::perform(staffetta, layout).await?;
            if *seen.borrow() >= last {
                bail!("the messages ended before the sweep: send more, or fewer a second");
            }
            begun.send_replace(last);
            anyhow::Ok(faults)
        };
        let (sent, faults, choices) = tokio::try_join!(sending, acting, choosing)?;
        Ok(self.evidence(sent, faults, choices))
    }

    /// Sends while faults are drawn and citizens refuse.
    async fn drawn(
        &self,
        sample: &Arc<Sample>,
        identity: &Identity,
        mut victims: Victims<'_>,
    ) -> Result<(Evidence, u64)> {
        // Who joins while others send takes partitions over: that is a fault for later.
        victims.settled().await?;
        let (load, seen) = self.sending(victims.staffetta);
        let url = victims.staffetta.citizen_api.clone().context("nobody serves citizens")?;
        let sending = sender::send(load, Arc::clone(sample));
        let (begun, last) = (seen.clone(), self.messages);
        let choosing = citizens::refuse(
            Arc::clone(sample),
            identity,
            &url,
            REFUSAL_EVERY,
            self.seed,
            begun,
            last,
        );
        let acting = async {
            let mut rng = StdRng::seed_from_u64(self.seed);
            let mut faults = Vec::new();
            loop {
                let (rest, blow) = draw(&mut rng, victims.brokers.len());
                tokio::time::sleep(rest).await;
                if *seen.borrow() >= last {
                    return anyhow::Ok(faults);
                }
                let fault = victims.suffer(&blow).await?;
                let (number, took) = (faults.len() + 1, fault.to - fault.from);
                eprint(&format!("{number}: {} {took} ms", fault.what));
                faults.push(fault);
            }
        };
        let (sent, faults, choices) = tokio::try_join!(sending, acting, choosing)?;
        Ok(self.evidence(sent, faults, choices))
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
