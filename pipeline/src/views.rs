//! The views of this process and the projectors that fill them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use consumers::claims::{ClaimView, EmbeddedClaims, KEPT, RedisClaims};
use consumers::directory::{Directory, EmbeddedDirectory, RedisDirectory, Register};
use consumers::status::{EmbeddedStatus, RedisStatus, Retention, StatusView};
use consumers::view::{Pace, Projection, Projector, RedisServer};
use runtime::log::TopicPartition;
use runtime::world::World;
use schemas::topics::Topic;
use tokio::runtime::Handle;

use crate::config::{DirectoryKind, Settings};
use crate::plant::Site;

/// Directory, claims and status view, each as what asks it and as what fills it.
pub struct Views {
    directory: Arc<dyn Directory>,
    register: Arc<dyn Register>,
    directory_filled: Arc<dyn Projection>,
    claims: Arc<dyn ClaimView>,
    claims_filled: Arc<dyn Projection>,
    status: Arc<dyn StatusView>,
    status_filled: Arc<dyn Projection>,
    runtime: Handle,
}

impl Views {
    /// The views that the configuration names.
    ///
    /// # Errors
    /// What Redis lacks, and what to set.
    pub fn open(settings: &Settings, world: &World, runtime: &Handle) -> anyhow::Result<Self> {
        match settings.directory.kind {
            DirectoryKind::Embedded => {
                let directory = Arc::new(EmbeddedDirectory::new(world.clone()));
                let claims = Arc::new(EmbeddedClaims::new(world.clone(), KEPT));
                let status = Arc::new(EmbeddedStatus::new(world.clone(), Retention::default()));
                Ok(Self {
                    directory: directory.clone(),
                    register: directory.clone(),
                    directory_filled: directory,
                    claims: claims.clone(),
                    claims_filled: claims,
                    status: status.clone(),
                    status_filled: status,
                    runtime: runtime.clone(),
                })
            }
            DirectoryKind::Redis => {
                let place = &settings.directory;
                let authorities = place.redis_authorities()?;
                let server = RedisServer::new(&place.redis_url, authorities.as_deref());
                let server = Arc::new(server.context("directory.redis_url")?);
                runtime.block_on(server.check()).context("directory.redis_url")?;
                let name = |view: &str| format!("{}:{view}", place.redis_prefix);
                let directory = Arc::new(RedisDirectory::new(
                    Arc::clone(&server),
                    &name("directory"),
                    world.clone(),
                ));
                let (of, world_of) = (name("claims"), world.clone());
                let claims = Arc::new(RedisClaims::new(Arc::clone(&server), &of, world_of, KEPT));
                let retention = Retention::default();
                let status =
                    Arc::new(RedisStatus::new(server, &name("status"), world.clone(), retention));
                Ok(Self {
                    directory: directory.clone(),
                    register: directory.clone(),
                    directory_filled: directory,
                    claims: claims.clone(),
                    claims_filled: claims,
                    status: status.clone(),
                    status_filled: status,
                    runtime: runtime.clone(),
                })
            }
        }
    }

    #[must_use]
    pub fn directory(&self) -> Arc<dyn Directory> {
        Arc::clone(&self.directory)
    }

    #[must_use]
    pub fn register(&self) -> Arc<dyn Register> {
        Arc::clone(&self.register)
    }

    #[must_use]
    pub fn status(&self) -> Arc<dyn StatusView> {
        Arc::clone(&self.status)
    }

    #[must_use]
    pub fn claims(&self) -> Arc<dyn ClaimView> {
        Arc::clone(&self.claims)
    }

    /// Starts the projectors of what consent asks: the directory and the claims.
    ///
    /// # Errors
    /// No thread.
    pub fn project_directory(&self, site: &Arc<Site>) -> anyhow::Result<[JoinHandle<()>; 2]> {
        let (directory, claims) =
            (Arc::clone(&self.directory_filled), Arc::clone(&self.claims_filled));
        Ok([
            self.project("directory", consumers::directory::topics(), directory, site)?,
            self.project("claims", consumers::claims::topics(), claims, site)?,
        ])
    }

    /// Starts the status view's projector.
    ///
    /// # Errors
    /// No thread.
    pub fn project_status(&self, site: &Arc<Site>) -> anyhow::Result<Option<JoinHandle<()>>> {
        let topics = consumers::status::topics();
        self.project("status", topics, Arc::clone(&self.status_filled), site).map(Some)
    }

    /// Waits until the directory has applied everything up to these offsets.
    ///
    /// # Errors
    /// Not within a minute.
    #[cfg_attr(
        not(feature = "simulators"),
        allow(dead_code, reason = "the demo waits, nobody else")
    )]
    pub async fn wait_applied(&self, last: &BTreeMap<TopicPartition, u64>) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let positions = self.directory_filled.open().await?;
            let applied: BTreeMap<_, _> = positions.into_iter().collect();
            if last.iter().all(|(at, offset)| applied.get(at).is_some_and(|next| next > offset)) {
                return Ok(());
            }
            anyhow::ensure!(
                tokio::time::Instant::now() < until,
                "the directory has not applied the records within 60 s"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn project(
        &self,
        name: &'static str,
        topics: Vec<Topic>,
        view: Arc<dyn Projection>,
        site: &Arc<Site>,
    ) -> anyhow::Result<JoinHandle<()>> {
        let log = Arc::clone(&site.log);
        let (world, stop) = (site.world.clone(), Arc::clone(&site.stop));
        let runtime = self.runtime.clone();
        let work = move || {
            let mut projector = Projector::new(name, log, topics, view, Pace::default());
            if let Err(error) = consumers::view::run(&mut projector, &world, &runtime, &stop) {
                tracing::error!(view = name, %error, "projector ends; restart the process");
            }
        };
        Ok(std::thread::Builder::new().name(format!("project-{name}")).spawn(work)?)
    }
}
