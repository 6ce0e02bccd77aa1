//! The running system: log, views, followers, workers and doors of one process, started and drained
//! together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use consumers::channel::{ChannelSettings, ChannelStage, Edges};
use consumers::consent::ConsentStage;
use consumers::delay::DelayStage;
use consumers::email::{ValidationSettings, ValidationStage};
use consumers::keys::Keys;
use consumers::vault::{Store, VaultStage, VaultStore};
use parking_lot::RwLock;
use producers::batch::BatchView;
use producers::ingest::Registry;
use prometheus::Registry as MetricRegistry;
use runtime::dead::SealBytes;
use runtime::embedded::EmbeddedLog;
use runtime::log::{Log, LogError};
use runtime::metrics::Metrics;
use runtime::stage::Stage;
use runtime::worker::{Limits, Worker};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::records::Reason;
use schemas::topics::{Channel, Lane, Topic};
use sealing::{KeyUse, Keyring, SystemEntropy, TransitKeys};
use tokio::runtime::Handle;

use crate::batches;
use crate::channels;
use crate::config::{self, Settings};
use crate::doors;
use crate::followers::{self, Rotation};
use crate::housekeeping;
use crate::logs;
use crate::seating::Seating;
use crate::topology::{StageName, seats};
use crate::views::Views;

/// Where the doors are.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    pub sender_api: Option<SocketAddr>,
    pub citizen_api: Option<SocketAddr>,
    pub operations: Option<SocketAddr>,
}

/// What one process holds in common.
pub struct Site {
    pub settings: Settings,
    pub world: World,
    pub log: Arc<dyn Log>,
    /// The same log, where it is this process's own.
    pub embedded: Option<EmbeddedLog>,
    pub keys: Keys,
    pub views: Views,
    pub store: Arc<dyn VaultStore>,
    /// The same store, as whole days.
    pub objects: Store,
    pub registry: Arc<Registry>,
    /// What is known of batches; filled where there is a door that asks.
    pub batches: Arc<BatchView>,
    pub metrics: Metrics,
    /// The ways out to the providers.
    pub edges: Edges,
    pub stop: Arc<AtomicBool>,
}

/// A started site; [`Plant::shutdown`] drains it.
pub struct Plant {
    pub site: Arc<Site>,
    pub addresses: Addresses,
    threads: Vec<JoinHandle<()>>,
    doors: Vec<tokio::task::JoinHandle<()>>,
    /// Tells the doors to close.
    closing: tokio::sync::watch::Sender<bool>,
}

/// Starts the stages named in `words` (all where empty). Nothing listens before everything that the
/// configuration names has answered.
///
/// # Errors
/// What is missing and what to do about it.
pub async fn start(settings: Settings, words: &[String]) -> anyhow::Result<Plant> {
    let codec = Codec::with_registry_ids(settings.registry_ids.clone());
    let world = World::real(Handle::current(), codec, settings.time_scale);
    start_in(world, settings, words).await
}

/// The same in a world that the caller makes.
///
/// # Errors
/// As [`start`].
pub async fn start_in(world: World, settings: Settings, words: &[String]) -> anyhow::Result<Plant> {
    let handle = Handle::current();
    let site = tokio::task::spawn_blocking(move || site(world, settings, &handle)).await??;
    let site = Arc::new(site);
    let mut threads = tokio::task::spawn_blocking({
        let site = Arc::clone(&site);
        move || follow(&site)
    })
    .await??;
    let wanted = |word: &str| words.is_empty() || words.iter().any(|other| other == word);
    let keeps_objects = wanted("vault");
    // Before anybody reads: what is swept away later is younger than what a reader has passed.
    threads.extend(
        tokio::task::spawn_blocking({
            let (site, runtime) = (Arc::clone(&site), Handle::current());
            move || housekeeping::start(&site, keeps_objects, runtime)
        })
        .await??,
    );
    if wanted("directory") {
        threads.extend(site.views.project_directory(&site)?);
    }
    if wanted("status") {
        threads.extend(site.views.project_status(&site)?);
    }
    threads.extend(workers(&site, &wanted)?);
    if wanted("ingest") {
        threads.push(batches::follow(&site)?);
    }
    let (closing, closed) = tokio::sync::watch::channel(false);
    let mut addresses = Addresses::default();
    let mut open = Vec::new();
    let asked = config::uses_directory(&wanted).then(|| site.views.directory());
    open.push(doors::operations(&site, asked, &closed, &mut addresses).await?);
    if wanted("ingest") {
        open.push(doors::sender_api(&site, &closed, &mut addresses).await?);
        open.extend(doors::citizen_api(&site, &closed, &mut addresses).await?);
    }
    Ok(Plant { site, addresses, threads, doors: open, closing })
}

impl Plant {
    /// Closes the doors, finishes and commits what is in hand within the grace, ends every thread.
    pub async fn shutdown(self) {
        let _ = self.closing.send(true);
        for door in self.doors {
            let _ = door.await;
        }
        self.site.stop.store(true, Ordering::Relaxed);
        let threads = self.threads;
        let _ = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        })
        .await;
        // Their stories have gone on; what they are answered is for whoever takes those up.
        self.site.edges.settled(self.site.settings.worker.grace()).await;
    }

    /// Returns when a thread has ended although nobody asked it to.
    pub async fn broken(&self) {
        while self.is_whole() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Whether every thread still runs; a worker that met something broken has ended.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }
}

fn site(world: World, settings: Settings, handle: &Handle) -> anyhow::Result<Site> {
    let keyring = keyring(&settings, &world)?;
    let (log, embedded) = logs::open_either(&settings, &world)?;
    if settings.log.kind == crate::config::LogKind::Embedded {
        log.apply(&Topic::all(), settings.log.partitions, &seats())?;
    }
    let keys = Keys {
        keyring: Arc::new(keyring),
        transit: Arc::new(RwLock::new(TransitKeys::default())),
        entropy: Arc::new(SystemEntropy),
    };
    let views = Views::open(&settings, &world, handle)?;
    let objects = Store::open(&settings.store)?;
    let store: Arc<dyn VaultStore> = Arc::new(objects.clone());
    Ok(Site {
        metrics: Metrics::new(MetricRegistry::new()),
        edges: Edges::default(),
        registry: Arc::new(Registry::default()),
        batches: Arc::new(BatchView::default()),
        stop: Arc::new(AtomicBool::new(false)),
        settings,
        world,
        log,
        embedded,
        keys,
        views,
        store,
        objects,
    })
}

fn keyring(settings: &Settings, world: &World) -> anyhow::Result<Keyring> {
    let file = &settings.keyring.file;
    if settings.keyring.create {
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("{}", parent.display()))?;
        }
        return Ok(Keyring::load_or_create(file, &SystemEntropy, world.now())?);
    }
    Ok(Keyring::load(file)?)
}

/// Transit keys and services, caught up before anything else starts; a first transit key is made
/// where there is none.
fn follow(site: &Arc<Site>) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    let (keys, world) = (site.keys.clone(), site.world.clone());
    let apply = move |record: &_| followers::apply_key(&keys, &world, record);
    threads.push(followers::start(&site.log, Topic::TransitKey, Arc::clone(&site.stop), apply)?);
    let (registry, world) = (Arc::clone(&site.registry), site.world.clone());
    let apply = move |record: &_| followers::apply_service(&registry, &world, record);
    threads.push(followers::start(&site.log, Topic::Service, Arc::clone(&site.stop), apply)?);
    let rotation = Rotation {
        keys: site.keys.clone(),
        world: site.world.clone(),
        schedules: housekeeping::schedules(),
        log: Arc::clone(&site.log),
    };
    if let Err(error) = rotation.turn() {
        // Another process that starts now may have been faster: its key serves as well.
        tracing::warn!(error = format!("{error:#}"), "transit keys not published, waiting for one");
    }
    wait_for_key(site)?;
    threads.push(rotate(rotation, Arc::clone(&site.stop), site.world.clone())?);
    Ok(threads)
}

fn wait_for_key(site: &Site) -> anyhow::Result<()> {
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while !site.keys.transit.read().is_ready(KeyUse::Wire, site.world.now()) {
        anyhow::ensure!(
            std::time::Instant::now() < until,
            "no transit key was read back within 30 s: see whether the log takes writes"
        );
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

fn rotate(
    rotation: Rotation,
    stop: Arc<AtomicBool>,
    world: World,
) -> anyhow::Result<JoinHandle<()>> {
    let turns = move || {
        let mut next = world.now().plus(Duration::from_secs(60));
        while !stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(200));
            if world.now() >= next {
                next = world.now().plus(Duration::from_secs(60));
                if let Err(error) = rotation.turn() {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "transit keys not rotated, again in a minute");
                }
            }
        }
    };
    Ok(std::thread::Builder::new().name("keys".to_owned()).spawn(turns)?)
}

fn workers(site: &Arc<Site>, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let view_wait = Duration::from_millis(250);
    let channels::Opened { ports, validations } = channels::open(site, wanted)?;
    let mut threads = Vec::new();
    for name in StageName::all().into_iter().filter(|name| wanted(name.word())) {
        for &lane in name.lanes() {
            let directory = site.views.directory();
            let thread = match name {
                StageName::Consent => {
                    let stage = ConsentStage { directory, claims: site.views.claims(), view_wait };
                    spawn(site, name, lane, site.settings.worker.limits(), stage)?
                }
                StageName::Vault => {
                    let days = u64::from(site.settings.retention.messages_days);
                    let stage = VaultStage {
                        directory,
                        store: Arc::clone(&site.store),
                        keys: site.keys.clone(),
                        retention: Duration::from_secs(days * 86_400),
                        wait: view_wait,
                    };
                    spawn(site, name, lane, site.settings.worker.limits(), stage)?
                }
                StageName::Channel(channel) => {
                    let Some(port) = ports.get(&channel) else { continue };
                    let stage = ChannelStage::new(
                        Arc::clone(port),
                        site.edges.clone(),
                        directory,
                        site.keys.clone(),
                        site.metrics.clone(),
                        channel_settings(site, channel),
                    );
                    spawn(site, name, lane, channel_limits(site, channel), stage)?
                }
                StageName::Validation => {
                    let Some(port) = &validations else { continue };
                    let (keys, metrics) = (site.keys.clone(), site.metrics.clone());
                    let settings = validation_settings(site, view_wait);
                    let stage =
                        ValidationStage::new(Arc::clone(port), directory, keys, metrics, settings);
                    spawn(site, name, lane, site.settings.worker.limits(), stage)?
                }
                StageName::Batch => {
                    batches::own(site, name.seat(lane, site.settings.worker.ordinal))?
                }
                StageName::Delay => spawn(site, name, lane, delay_limits(site), DelayStage)?,
            };
            threads.push(thread);
        }
    }
    Ok(threads)
}

/// Sends of a stage at once: as many as its edge can carry, so that none waits on old facts.
fn channel_settings(site: &Site, channel: Channel) -> ChannelSettings {
    let settings = &site.settings;
    let (in_flight, gate) = match channel {
        Channel::Apns => (settings.apns.config.pool.in_flight, &settings.apns.config.gate),
        Channel::Fcm => (settings.fcm.config.pool.in_flight, &settings.fcm.config.gate),
        Channel::Email => (settings.email.config.connections, &settings.email.config.gate),
    };
    ChannelSettings {
        consent_max_age: Duration::from_millis(settings.consent.max_age_ms),
        in_flight,
        hand_over: Duration::from_millis(gate.hand_over_ms),
        ..ChannelSettings::default()
    }
}

/// A channel is silent about a send for its `hand_over` at most: what is asked back is kept a little
/// longer, and never so long that the group would lose patience.
fn channel_limits(site: &Site, channel: Channel) -> Limits {
    let silent = channel_settings(site, channel).hand_over + Duration::from_millis(500);
    let session = Duration::from_millis(site.settings.log.session_timeout_ms);
    Limits { leave: silent.min(session / 3), ..site.settings.worker.limits() }
}

fn validation_settings(site: &Site, view_wait: Duration) -> ValidationSettings {
    let email = &site.settings.email.config;
    ValidationSettings {
        in_flight: email.connections,
        link_life: Duration::from_secs(email.validation_life_hours.saturating_mul(3_600)),
        view_wait,
        max_age: Duration::from_millis(site.settings.consent.max_age_ms),
        ..ValidationSettings::default()
    }
}

/// A delay topic's head may wait for hours: no class may fill the hand of another.
fn delay_limits(site: &Site) -> Limits {
    let limits = site.settings.worker.limits();
    Limits { partition_window: 256, window: 1 << 20, ..limits }
}

fn spawn<S: Stage>(
    site: &Arc<Site>,
    name: StageName,
    lane: Lane,
    limits: Limits,
    stage: S,
) -> anyhow::Result<JoinHandle<()>> {
    let site = Arc::clone(site);
    let seat = name.seat(lane, site.settings.worker.ordinal);
    let stage = Arc::new(stage);
    let work = move || {
        let group = seat.group.clone();
        let mut seating = Seating::new(Arc::clone(&site.log), Arc::clone(&site.stop), seat);
        let mut worker = None;
        while let Some(member) = seating.take() {
            let worker = match &mut worker {
                Some(worker) => {
                    Worker::sit(worker, member);
                    worker
                }
                None => worker.insert(Worker::new(
                    Arc::clone(&stage),
                    lane.name(),
                    member,
                    site.world.clone(),
                    limits.clone(),
                    seal(&site.keys, &site.world),
                    site.metrics.clone(),
                )),
            };
            let grace = site.settings.worker.grace();
            match worker.run(&|| site.stop.load(Ordering::Relaxed), grace) {
                Ok(()) => return,
                Err(LogError::Fenced) => seating.barred(),
                Err(error @ (LogError::Unavailable(_) | LogError::Broken(_))) => {
                    tracing::error!(group, %error, "worker ends; restart the process");
                    return;
                }
            }
        }
    };
    let title = format!("{}.{}", name.name(), lane.name());
    Ok(std::thread::Builder::new().name(title).spawn(work)?)
}

/// How dead letters are sealed in this process.
pub(crate) fn seal(keys: &Keys, world: &World) -> SealBytes {
    let (keys, world) = (keys.clone(), world.clone());
    Arc::new(move |place: &str, plain: &[u8]| {
        let transit = keys.transit.read();
        let entropy = keys.entropy.as_ref();
        let id = place.as_bytes();
        transit
            .seal_envelope(entropy, KeyUse::DeadLetter, world.now(), id, plain)
            .map(|envelope| (envelope.wrapped_key.0, envelope.sealed.0))
            .map_err(|_| Reason::KeyUnknown)
    })
}
