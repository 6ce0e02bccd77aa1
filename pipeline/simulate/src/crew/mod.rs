//! Every stage in its instances: who works, who died and when they come back.

mod fate;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consumers::channel::{ChannelSettings, ChannelStage, Edges, Port};
use consumers::claims::EmbeddedClaims;
use consumers::consent::ConsentStage;
use consumers::delay::DelayStage;
use consumers::directory::EmbeddedDirectory;
use consumers::keys::Keys;
use consumers::vault::VaultStage;
use runtime::embedded::EmbeddedLog;
use runtime::log::{Log, LogError, Seat};
use runtime::metrics::Metrics;
use runtime::stage::Stage;
use runtime::worker::{Limits, Step, Worker};
use schemas::ids::Timestamp;
use schemas::topics::{Channel, DelayClass, Lane, Topic};

use crate::choices::MAX_AGE;
use crate::history::History;
use crate::keys::seal;
use crate::member::{News, Shaken};
use crate::plan::Plan;
use crate::provider::{Double, Provider};
use crate::store::Store;
use crate::universe::{Owner, Universe};

pub const LANE: Lane = Lane::Live;

/// A group of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Consent,
    Vault,
    Channel(Channel),
    Delay,
}

impl Role {
    pub const ALL: [Self; 6] = [
        Self::Consent,
        Self::Vault,
        Self::Channel(Channel::Apns),
        Self::Channel(Channel::Fcm),
        Self::Channel(Channel::Email),
        Self::Delay,
    ];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Vault => "vault",
            Self::Channel(channel) => channel.name(),
            Self::Delay => "delay",
        }
    }

    #[must_use]
    pub fn seat(self, ordinal: u32) -> Seat {
        let topics = match self {
            Self::Consent => vec![Topic::Accepted(LANE)],
            Self::Vault => vec![Topic::Permitted(LANE)],
            Self::Channel(channel) => vec![Topic::Attempt(channel, LANE)],
            Self::Delay => DelayClass::ALL.map(|class| Topic::Delay(class, LANE)).to_vec(),
        };
        Seat { group: format!("{}.{}", self.word(), LANE.name()), topics, ordinal }
    }
}

/// A worker, whatever its stage.
pub trait Work {
    /// # Errors
    /// As [`Worker::step`].
    fn step(&mut self) -> Result<Step, LogError>;
    fn due_at(&self) -> Option<Timestamp>;
    fn in_hand(&self) -> usize;
    /// # Errors
    /// As [`Worker::drain`].
    fn leave(&mut self) -> Result<(), LogError>;
}

impl<S: Stage> Work for Worker<S> {
    fn step(&mut self) -> Result<Step, LogError> {
        Worker::step(self, Duration::ZERO)
    }

    fn due_at(&self) -> Option<Timestamp> {
        Worker::due_at(self)
    }

    fn in_hand(&self) -> usize {
        Worker::in_hand(self)
    }

    fn leave(&mut self) -> Result<(), LogError> {
        self.drain(Duration::ZERO)
    }
}

/// What all instances are made of.
pub struct Site {
    pub universe: Universe,
    pub history: History,
    pub log: EmbeddedLog,
    pub view: Arc<EmbeddedDirectory>,
    pub claims: Arc<EmbeddedClaims>,
    pub keys: Keys,
    pub store: Arc<Store>,
    pub providers: BTreeMap<Channel, Arc<Provider>>,
    pub metrics: Metrics,
    pub news: News,
    pub plan: Plan,
}

/// One instance of every stage, as one machine would run them: they share edges and fate.
struct Machine {
    edges: Edges,
    ports: BTreeMap<Channel, Arc<dyn Port>>,
}

/// One worker's place.
struct Place {
    role: Role,
    ordinal: u32,
    owner: Owner,
    worker: Option<Box<dyn Work>>,
    /// When it comes back.
    back_at: Option<Timestamp>,
    /// Nothing to do while the news stay at this count.
    idle_at: Option<u64>,
    frozen_until: Timestamp,
}

pub struct Crew {
    site: Site,
    machines: BTreeMap<u32, Machine>,
    places: Vec<Place>,
    lives: Owner,
    /// Taken for dead, and not: from a moment on they are stepped again, until the log tells them.
    zombies: Vec<(Timestamp, Owner, Box<dyn Work>)>,
    /// Dead, and the log does not know yet.
    unburied: Vec<(Owner, Box<dyn Work>)>,
}

impl Crew {
    /// Two instances of everything.
    ///
    /// # Errors
    /// The log gives no seat.
    pub fn new(site: Site) -> Result<Self, LogError> {
        for role in Role::ALL {
            let partitions = site.log.partitions(Topic::Status)?;
            site.log.apply(&[], partitions, &[role.seat(0)])?;
        }
        let (machines, places, zombies, unburied) = Default::default();
        let mut crew = Self { site, machines, places, lives: 0, zombies, unburied };
        for ordinal in 0..2 {
            crew.arrive(ordinal)?;
        }
        Ok(crew)
    }

    /// One more instance of everything.
    fn arrive(&mut self, ordinal: u32) -> Result<(), LogError> {
        let machine = self.machine();
        self.machines.insert(ordinal, machine);
        for role in Role::ALL {
            let (owner, worker) = self.worker(role, ordinal)?;
            self.places.push(Place {
                role,
                ordinal,
                owner,
                worker: Some(worker),
                back_at: None,
                idle_at: None,
                frozen_until: Timestamp(0),
            });
        }
        Ok(())
    }

    /// The edges of one machine; what they know of their provider begins anew.
    fn machine(&self) -> Machine {
        let (edges, world) = (Edges::default(), self.site.universe.world(u64::MAX));
        let mut ports: BTreeMap<Channel, Arc<dyn Port>> = BTreeMap::new();
        for (channel, provider) in &self.site.providers {
            let double = Double::new(Arc::clone(provider), &self.site.plan.gate, &world);
            let port: Arc<dyn Port> = Arc::new(double);
            edges.add(Arc::clone(&port));
            ports.insert(*channel, port);
        }
        Machine { edges, ports }
    }

    /// A new life in a seat; whoever sat there is fenced.
    fn worker(&mut self, role: Role, ordinal: u32) -> Result<(Owner, Box<dyn Work>), LogError> {
        self.lives += 1;
        let (owner, site) = (self.lives, &self.site);
        let view_wait = Duration::from_millis(250);
        let directory = site.view.clone();
        let worker = match role {
            Role::Consent => {
                let claims = site.claims.clone();
                let stage = ConsentStage { directory, claims, view_wait };
                site.worker(role, ordinal, owner, stage)?
            }
            Role::Vault => {
                let stage = VaultStage {
                    directory,
                    store: site.store.clone(),
                    keys: site.keys.clone(),
                    retention: Duration::from_secs(30 * 86_400),
                    wait: view_wait,
                };
                site.worker(role, ordinal, owner, stage)?
            }
            Role::Channel(channel) => {
                let machine = &self.machines[&ordinal];
                let settings = ChannelSettings {
                    consent_max_age: MAX_AGE,
                    in_flight: site.plan.in_flight,
                    ..ChannelSettings::default()
                };
                let (port, edges) = (machine.ports[&channel].clone(), machine.edges.clone());
                let (keys, metrics) = (site.keys.clone(), site.metrics.clone());
                let stage = ChannelStage::new(port, edges, directory, keys, metrics, settings);
                site.worker(role, ordinal, owner, stage)?
            }
            Role::Delay => site.worker(role, ordinal, owner, DelayStage)?,
        };
        Ok((owner, worker))
    }
}

impl Site {
    fn worker<S: Stage>(
        &self,
        role: Role,
        ordinal: u32,
        owner: Owner,
        stage: S,
    ) -> Result<Box<dyn Work>, LogError> {
        self.news.tell();
        let member = Shaken {
            inner: self.log.join(&role.seat(ordinal))?,
            log: self.log.clone(),
            universe: self.universe.clone(),
            history: self.history.clone(),
            news: self.news.clone(),
            shakes: self.plan.shakes,
            owner,
            gives: false,
        };
        let limits = match role {
            // As in the shipped topology: no class may fill the hand of another.
            Role::Delay => {
                Limits { partition_window: 256, window: 1 << 20, ..self.plan.limits.clone() }
            }
            Role::Consent | Role::Vault | Role::Channel(_) => self.plan.limits.clone(),
        };
        let world = self.universe.world(owner);
        let (stage, member) = (Arc::new(stage), Box::new(member));
        let metrics = self.metrics.clone();
        Ok(Box::new(Worker::new(stage, LANE.name(), member, world, limits, seal(), metrics)))
    }
}
