//! The one desk that all writing about citizens passes: one citizen's changes one after the other, each
//! decided on all that went before, all of them through the pen, each answered only once the view
//! shows it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use runtime::crash::{self, Point};
use runtime::log::{Log, Outgoing, Position};
use runtime::world::World;
use schemas::ids::Pseudonym;
use schemas::topics::Topic;
use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::answers::Trouble;
use super::config::CitizensConfig;
use super::metrics::CitizenMetrics;
use super::pen::{NotHeld, Pen, Tenure, Unwritten};
use super::ports::{Citizens, Dossier};

/// Citizens whose pseudonyms share the last byte wait for each other; there are enough of them.
const TURNS: usize = 256;

/// How often a change is decided anew because another process took the pen meanwhile.
const DECISIONS: usize = 5;

/// Where changes are handed in.
pub struct Desk {
    pen: Pen,
    turns: Vec<Arc<tokio::sync::Mutex<()>>>,
    /// For changes that have begun; they outlive the requests that asked for them.
    places: Arc<Semaphore>,
    /// Written and not yet seen in the view.
    unseen: Mutex<HashMap<Pseudonym, Vec<Position>>>,
    citizens: Arc<dyn Citizens>,
    world: World,
    config: CitizensConfig,
}

impl Desk {
    /// Starts the writer's thread; it ends when the desk is dropped and all is written. Nothing is
    /// taken from another process before there is something to write.
    ///
    /// # Errors
    /// No thread.
    pub fn open(
        log: Arc<dyn Log>,
        citizens: Arc<dyn Citizens>,
        world: World,
        config: CitizensConfig,
        metrics: CitizenMetrics,
    ) -> std::io::Result<(Arc<Self>, JoinHandle<()>)> {
        let (pen, thread) = Pen::open(log, world.clone(), &config, metrics)?;
        let turns = (0..TURNS).map(|_| Arc::default()).collect();
        let places = Arc::new(Semaphore::new(config.changes));
        let desk = Self { pen, turns, places, unseen: Mutex::default(), citizens, world, config };
        Ok((Arc::new(desk), thread))
    }

    /// Runs `work` with the only right to change this citizen's records, to its end also when its
    /// caller hangs up: a write whose places nobody noted would let the next request decide on the
    /// past. Where another process took the pen before the write, `work` runs again on what it wrote.
    ///
    /// # Errors
    /// `NotReady`: the view has not come as far as what was written before. `NotTaken`: the pen is
    /// not to be had, or too many changes wait already. And whatever `work` ends with.
    pub(super) async fn change<T, F>(
        self: &Arc<Self>,
        citizen: Pseudonym,
        work: impl Fn(Turn) -> F + Send + 'static,
    ) -> Result<T, Trouble>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Trouble>> + Send,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Trouble::NotTaken)?;
        let desk = Arc::clone(self);
        let decided = tokio::spawn(async move {
            let _place = place;
            for _ in 0..DECISIONS {
                let turn = desk.turn(citizen).await?;
                let decided = work(turn).await;
                if !matches!(decided, Err(Trouble::PenTaken)) {
                    return decided;
                }
            }
            Err(Trouble::NotTaken)
        });
        decided.await.unwrap_or(Err(Trouble::Unknown))
    }

    async fn turn(self: &Arc<Self>, citizen: Pseudonym) -> Result<Turn, Trouble> {
        let turn = Arc::clone(&self.turns[usize::from(citizen.0[15])]).lock_owned().await;
        let tenure = self.tenure(citizen).await?;
        let mut before = tenure.before.clone();
        before.extend(self.unseen.lock().get(&citizen).into_iter().flatten());
        self.see(citizen, &before).await.map_err(|_| Trouble::NotReady)?;
        Ok(Turn { desk: Arc::clone(self), citizen, tenure, _turn: turn })
    }

    async fn tenure(&self, citizen: Pseudonym) -> Result<Tenure, Trouble> {
        let deadline = self.world.now().plus(self.config.barrier);
        loop {
            match self.pen.hold(citizen).await {
                Ok(tenure) => return Ok(tenure),
                Err(NotHeld::Rest { until }) if until <= deadline => {
                    self.world.sleep_until(until).await;
                }
                Err(NotHeld::Rest { .. } | NotHeld::Unavailable) => return Err(Trouble::NotTaken),
            }
        }
    }

    async fn see(&self, citizen: Pseudonym, positions: &[Position]) -> Result<(), Trouble> {
        let until = self.world.now().plus(self.config.barrier);
        if positions.is_empty() {
            return Ok(());
        }
        if !self.citizens.wait_applied(citizen, positions, until).await {
            return Err(Trouble::NotInForce);
        }
        self.unseen.lock().remove(&citizen);
        Ok(())
    }
}

/// The right to change one citizen's records, held by one request at a time.
pub(super) struct Turn {
    desk: Arc<Desk>,
    citizen: Pseudonym,
    tenure: Tenure,
    _turn: OwnedMutexGuard<()>,
}

impl Turn {
    /// Whose records they are.
    pub fn citizen(&self) -> Pseudonym {
        self.citizen
    }

    /// What the view says now, with all earlier changes in it.
    ///
    /// # Errors
    /// `NotReady`, `Held`.
    pub async fn dossier(&self) -> Result<Dossier, Trouble> {
        let dossier = self.desk.citizens.dossier(self.citizen).await?;
        if dossier.held { Err(Trouble::Held) } else { Ok(dossier) }
    }

    /// Writes records in one transaction and waits until the view shows those that it holds.
    ///
    /// # Errors
    /// `NotTaken`, `Unknown`, `NotInForce`, `PenTaken`.
    pub async fn write(&self, records: Vec<Outgoing>) -> Result<(), Trouble> {
        if records.is_empty() {
            return Ok(());
        }
        let written = self.desk.pen.write(&self.tenure, records).await;
        let mut positions = written.map_err(|unwritten| match unwritten {
            Unwritten::NotTaken => Trouble::NotTaken,
            Unwritten::Unknown => Trouble::Unknown,
            Unwritten::Over => Trouble::PenTaken,
        })?;
        crash::at(Point::ChangeWritten);
        // No view holds the work that is asked of a stage.
        positions.retain(|position| position.at.topic != Topic::Validation);
        self.desk.unseen.lock().entry(self.citizen).or_default().extend(&positions);
        self.desk.see(self.citizen, &positions).await?;
        crash::at(Point::ChangeShown);
        Ok(())
    }

    /// Writes, and returns only when no send can start any more on facts older than this change.
    ///
    /// # Errors
    /// As [`Turn::write`].
    pub async fn settle(self, records: Vec<Outgoing>) -> Result<(), Trouble> {
        self.write(records).await?;
        let desk = Arc::clone(&self.desk);
        // Others need not wait for what only this answer waits for.
        drop(self);
        let old = desk.world.now().plus(desk.config.consent_max_age);
        desk.world.sleep_until(old).await;
        Ok(())
    }
}
