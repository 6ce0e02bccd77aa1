//! One world from its first moment to its last: everything in one thread, the order drawn.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use consumers::claims::{EmbeddedClaims, KEPT};
use consumers::directory::EmbeddedDirectory;
use consumers::status::{EmbeddedStatus, Retention};
use consumers::view::{Pace, Projection, Projector, Stepped};
use futures::FutureExt;
use parking_lot::Mutex;
use runtime::embedded::EmbeddedLog;
use runtime::log::{Incoming, Log, LogError, Start, read_to_end};
use runtime::metrics::Metrics;
use schemas::ids::Timestamp;
use schemas::topics::{Channel, Topic};

use crate::choices::{Citizen, Door};
use crate::crew::{Crew, Site};
use crate::history::{Happened, History};
use crate::keys::keys;
use crate::member::News;
use crate::people::PEOPLE;
use crate::plan::{Blow, Plan};
use crate::provider::Provider;
use crate::senders::Senders;
use crate::store::Store;
use crate::universe::{START, Universe};

pub const PARTITIONS: u32 = 3;
/// Rounds after which a world that still moves is taken for one that never ends.
const MOST_ROUNDS: u64 = 30_000;
/// Everything is over by then: the longest time to live, the longest wait, and a while.
const END: Duration = Duration::from_secs(3 * 3_600);

/// A run in the making.
pub struct World {
    pub universe: Universe,
    pub history: History,
    pub log: EmbeddedLog,
    pub store: Arc<Store>,
    pub status: Arc<EmbeddedStatus>,
    pub providers: BTreeMap<Channel, Arc<Provider>>,
    view: Arc<EmbeddedDirectory>,
    claims: Arc<EmbeddedClaims>,
    crew: Crew,
    blows: VecDeque<(Timestamp, Blow)>,
    pending: Vec<Blow>,
    projectors: [Sitting; 3],
    news: News,
    pub rounds: u64,
}

/// A projector and its moods.
struct Sitting {
    projector: Projector,
    /// Stands still until then.
    stalled: Timestamp,
    idle_at: Option<u64>,
}

/// What is left of a run for the laws to judge.
pub struct Remains {
    pub happened: Happened,
    pub log: EmbeddedLog,
    pub store: Arc<Store>,
    pub status: Arc<EmbeddedStatus>,
    /// Nothing moved any more; else the world was stopped while it still did.
    pub ended: bool,
    /// Records in hands, futures under way, when it ended.
    pub left_over: (usize, usize),
    pub until: Timestamp,
    pub rounds: u64,
}

impl World {
    /// `told`: every commit is noted too.
    ///
    /// # Errors
    /// The log gives no seat: a fault of the simulation or of the log.
    pub fn new(seed: u64, universe: Universe, plan: Plan, told: bool) -> Result<Self, LogError> {
        let history = History::new(universe.clone(), told);
        let news = News::default();
        let world = universe.world(0);
        let log = EmbeddedLog::in_memory(world.clone(), PARTITIONS);
        let view = Arc::new(EmbeddedDirectory::new(world.clone()));
        let claims = Arc::new(EmbeddedClaims::new(world.clone(), KEPT));
        let status = Arc::new(EmbeddedStatus::new(world, Retention::default()));
        let store = Arc::new(Store::new(universe.clone(), history.clone(), plan.store_fails));
        let providers: BTreeMap<_, _> = Channel::ALL
            .map(|it| (it, Arc::new(Provider::new(it, universe.clone(), history.clone()))))
            .into();
        let projectors = [
            sitting("directory", &log, consumers::directory::topics(), view.clone()),
            sitting("claims", &log, consumers::claims::topics(), claims.clone()),
            sitting("status", &log, consumers::status::topics(), status.clone()),
        ];
        let blows = plan.blows.iter().copied().collect();
        let keys = keys(seed);
        let site = Site {
            universe: universe.clone(),
            history: history.clone(),
            log: log.clone(),
            view: view.clone(),
            claims: claims.clone(),
            keys: keys.clone(),
            store: store.clone(),
            providers: providers.clone(),
            metrics: Metrics::new(prometheus::Registry::new()),
            news: news.clone(),
            plan: plan.clone(),
        };
        let crew = Crew::new(site)?;
        let outside = Outside { universe: &universe, history: &history, log: &log, news: &news };
        outside.people(&plan, &view, &keys)?;
        outside.senders(plan, keys)?;
        Ok(Self {
            universe,
            history,
            log,
            store,
            status,
            providers,
            view,
            claims,
            crew,
            blows,
            pending: Vec::new(),
            projectors,
            news,
            rounds: 0,
        })
    }

    /// To the end of everything.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn run(mut self) -> Result<Remains, LogError> {
        let ended = self.run_for(END)?;
        let left_over = (self.crew.in_hand(), self.universe.running());
        Ok(Remains {
            happened: self.history.happened(),
            log: self.log,
            store: self.store,
            status: self.status,
            ended,
            left_over,
            until: self.universe.now(),
            rounds: self.rounds,
        })
    }

    /// Rounds until so much time has passed since the start, or nothing moves any more (true).
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn run_for(&mut self, since_start: Duration) -> Result<bool, LogError> {
        let end = START.plus(since_start);
        while self.universe.now() < end && self.rounds < MOST_ROUNDS {
            self.rounds += 1;
            if self.round()? {
                self.universe.advance(self.universe.millis(0, 6));
                continue;
            }
            let Some(next) = self.next() else { return Ok(true) };
            // Not everybody is woken at the very moment.
            let late = if self.universe.draw(3) == 0 { self.universe.draw(40) } else { 0 };
            let moment = next.max(Timestamp(self.universe.now().0 + 1));
            self.universe.advance_to(moment.plus(Duration::from_millis(late)).min(end));
        }
        Ok(false)
    }

    /// Everybody may take a turn. True: something was done or is waiting to be.
    fn round(&mut self) -> Result<bool, LogError> {
        let mut moved = self.fall()?;
        let mut turns = [0, 1, 2, 3, 4];
        self.universe.shuffle(&mut turns);
        for turn in turns {
            moved |= match turn {
                0 => self.crew.step_some()?,
                1 => self.poll(),
                nth => self.project(nth - 2)?,
            };
        }
        Ok(moved)
    }

    fn poll(&mut self) -> bool {
        let (ended, moved) = self.universe.poll_some();
        ended.into_iter().for_each(|owner| self.crew.answered(owner));
        moved
    }

    fn project(&mut self, nth: usize) -> Result<bool, LogError> {
        let sitting = &mut self.projectors[nth];
        let rests = sitting.idle_at == Some(self.news.count());
        if rests || self.universe.now() < sitting.stalled || self.universe.once_in(3) {
            return Ok(!rests && self.universe.now() >= sitting.stalled);
        }
        let stepped = sitting.projector.step().now_or_never();
        match stepped.transpose()? {
            Some(Stepped::Applied(_) | Stepped::Lost) => sitting.idle_at = None,
            Some(Stepped::Idle) => sitting.idle_at = Some(self.news.count()),
            Some(Stepped::Waiting(why)) => self.history.broke(format!("projector waits: {why}")),
            None => self.history.broke("memory made a projector wait".into()),
        }
        Ok(true)
    }

    /// What is due of the plan's blows; those that find nobody with anything to lose wait for it.
    fn fall(&mut self) -> Result<bool, LogError> {
        let now = self.universe.now();
        let mut due = std::mem::take(&mut self.pending);
        while let Some((_, blow)) = self.blows.pop_front_if(|(at, _)| *at <= now) {
            due.push(blow);
        }
        let mut moved = false;
        for blow in due {
            if self.falls(blow)? {
                moved = true;
            } else {
                self.pending.push(blow);
            }
        }
        Ok(moved)
    }

    fn falls(&mut self, blow: Blow) -> Result<bool, LogError> {
        let now = self.universe.now();
        match blow {
            Blow::Flush => {
                self.history.fault("view flushed");
                self.history.note("the views of consent are flushed".into());
                let _ = self.view.restart().now_or_never();
                let topics = consumers::directory::topics();
                self.projectors[0] = sitting("directory", &self.log, topics, self.view.clone());
                let _ = self.claims.restart().now_or_never();
                let topics = consumers::claims::topics();
                self.projectors[1] = sitting("claims", &self.log, topics, self.claims.clone());
            }
            Blow::Stall(lasts) => {
                self.history.fault("projector stalled");
                self.projectors[0].stalled = now.plus(lasts);
            }
            Blow::StoreDown(lasts) => self.store.falls(now.plus(lasts)),
            Blow::Turn(channel, mood) => self.providers[&channel].turn(mood),
            Blow::CrashWorker | Blow::CrashProcess | Blow::Freeze { .. } | Blow::Scale => {
                return self.crew.meets(blow);
            }
        }
        Ok(true)
    }

    /// The next moment at which anything happens by itself.
    fn next(&self) -> Option<Timestamp> {
        let stalled = self.projectors.iter().map(|it| it.stalled);
        let stalled = stalled.filter(|until| *until > self.universe.now());
        let own = [self.universe.next_wake(), self.universe.next_thaw(), self.crew.next_due()];
        let blow = self.blows.front().map(|(at, _)| *at);
        own.into_iter().flatten().chain(blow).chain(stalled).min()
    }
}

fn sitting(
    name: &'static str,
    log: &EmbeddedLog,
    topics: Vec<Topic>,
    view: Arc<dyn Projection>,
) -> Sitting {
    let pace = Pace { batch: 7, wait: Duration::ZERO, ..Pace::default() };
    let projector = Projector::new(name, Arc::new(log.clone()), topics, view, pace);
    Sitting { projector, stalled: Timestamp(0), idle_at: None }
}

/// Everybody who is no stage.
struct Outside<'a> {
    universe: &'a Universe,
    history: &'a History,
    log: &'a EmbeddedLog,
    news: &'a News,
}

impl Outside<'_> {
    fn people(
        &self,
        plan: &Plan,
        view: &Arc<EmbeddedDirectory>,
        keys: &consumers::keys::Keys,
    ) -> Result<(), LogError> {
        let door = Arc::new(Door {
            universe: self.universe.clone(),
            world: self.universe.world(0),
            log: self.log.clone(),
            writer: Mutex::new(self.log.writer("citizen-api")?),
            view: view.clone(),
            keys: keys.clone(),
            history: self.history.clone(),
            news: self.news.clone(),
            write_fault: plan.write_fault,
        });
        for (person, deeds) in PEOPLE.into_iter().zip(&plan.deeds) {
            let citizen = Citizen::new(door.clone(), person);
            self.universe.spawn(citizen.live(deeds.clone()));
        }
        Ok(())
    }

    fn senders(&self, plan: Plan, keys: consumers::keys::Keys) -> Result<(), LogError> {
        let senders = Senders {
            universe: self.universe.clone(),
            world: self.universe.world(0),
            log: self.log.clone(),
            appender: self.log.appender()?,
            keys,
            history: self.history.clone(),
            news: self.news.clone(),
            append_fault: plan.append_fault,
        };
        self.universe.spawn(senders.send(plan.wishes));
        Ok(())
    }
}

/// All that a topic holds, partition by partition.
///
/// # Errors
/// The log cannot be read.
pub fn read_all(log: &EmbeddedLog, topic: Topic) -> Result<Vec<Incoming>, LogError> {
    let mut reader = log.reader(&[topic], &Start::Beginning)?;
    let mut records = Vec::new();
    read_to_end(reader.as_mut(), PARTITIONS, |record| records.push(record))?;
    records.sort_by_key(|record| record.position);
    Ok(records)
}
