//! Batches in this process: the owner, the view that doors ask, and the store of chunks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use consumers::vault::{StoreError, VaultStore};
use producers::batch::{BatchMetrics, Batches, ChunkStore, Owner, OwnerParts, StoreDown};
use producers::ingest::Sealer;
use runtime::log::{Appender, LogError, Seat};
use schemas::topics::{Channel, Lane};
use tokio::runtime::Handle;

use crate::plant::{Site, seal};
use crate::seating::Seating;
use crate::topology::StageName;

/// When the log does not answer, how long until it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// Chunks lie where payloads lie, under their day.
struct Chunks(Arc<dyn VaultStore>);

#[async_trait]
impl ChunkStore for Chunks {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreDown> {
        self.0.put(name, bytes).await.map_err(|error| {
            tracing::warn!(%error, "a chunk of rows was not stored");
            StoreDown
        })
    }

    async fn get(&self, name: &str, length: u64) -> Result<Option<Vec<u8>>, StoreDown> {
        match self.0.get(name, 0, length).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::Absent) => Ok(None),
            Err(error @ StoreError::Down(_)) => {
                tracing::warn!(%error, "a chunk of rows was not read");
                Err(StoreDown)
            }
        }
    }
}

/// What the sender API needs for batches.
pub fn doors(site: &Site, orders: Arc<dyn Appender>) -> Batches {
    let store = Arc::new(Chunks(Arc::clone(&site.store)));
    Batches::new(site.settings.batches.clone(), Arc::clone(&site.batches), orders, store)
}

/// Fills the view, on a thread of its own.
///
/// # Errors
/// No thread.
pub fn follow(site: &Arc<Site>) -> std::io::Result<JoinHandle<()>> {
    let site = Arc::clone(site);
    let work = move || {
        let log = site.log.as_ref();
        if let Err(error) = producers::batch::follow(&site.batches, log, &site.world, &site.stop) {
            tracing::error!(%error, "the view of batches ends; restart the process");
        }
    };
    std::thread::Builder::new().name("follow-batches".to_owned()).spawn(work)
}

/// Owns batches, on a thread of its own.
///
/// # Errors
/// No thread.
pub fn own(site: &Arc<Site>, seat: Seat) -> std::io::Result<JoinHandle<()>> {
    let (site, runtime) = (Arc::clone(site), Handle::current());
    let metrics = BatchMetrics::new(&site.metrics.registry);
    let work = move || {
        let mut seating = Seating::new(Arc::clone(&site.log), Arc::clone(&site.stop), seat);
        while let Some(member) = seating.take() {
            let mut owner = Owner::new(parts(&site, &metrics, &runtime), member);
            match run(&site, &mut owner) {
                Ok(()) => return,
                Err(LogError::Fenced) => seating.barred(),
                Err(error @ (LogError::Unavailable(_) | LogError::Broken(_))) => {
                    tracing::error!(%error, "the owner of batches ends; restart the process");
                    return;
                }
            }
        }
    };
    std::thread::Builder::new().name("batch.bulk".to_owned()).spawn(work)
}

/// Steps until the process ends. Passing troubles of the log are waited out.
fn run(site: &Site, owner: &mut Owner) -> Result<(), LogError> {
    while !site.stop.load(Ordering::Relaxed) {
        match owner.step() {
            Ok(_) => {}
            Err(LogError::Unavailable(why)) => {
                tracing::warn!(why, "the owner of batches waits for the log");
                std::thread::park_timeout(PAUSE);
            }
            Err(error @ (LogError::Fenced | LogError::Broken(_))) => return Err(error),
        }
    }
    Ok(())
}

fn parts(site: &Site, metrics: &BatchMetrics, runtime: &Handle) -> OwnerParts {
    OwnerParts {
        config: site.settings.batches.clone(),
        world: site.world.clone(),
        log: Arc::clone(&site.log),
        sealer: Sealer {
            keyring: Arc::clone(&site.keys.keyring),
            transit: Arc::clone(&site.keys.transit),
        },
        registry: Arc::clone(&site.registry),
        store: Arc::new(Chunks(Arc::clone(&site.store))),
        metrics: metrics.clone(),
        seal: seal(&site.keys, &site.world),
        lane: lane(site),
        runtime: runtime.clone(),
    }
}

/// The groups whose backlog holds the release back. What waits for an edge that is switched off waits for
/// good, and would hold everything.
fn lane(site: &Site) -> Vec<Seat> {
    let settings = &site.settings;
    let channels = Channel::ALL.into_iter().filter(|channel| match channel {
        Channel::Apns => settings.apns.enabled,
        Channel::Fcm => settings.fcm.enabled,
        Channel::Email => settings.email.enabled,
    });
    let stages = [StageName::Consent, StageName::Vault].into_iter();
    stages.chain(channels.map(StageName::Channel)).map(|stage| stage.seat(Lane::Bulk, 0)).collect()
}
