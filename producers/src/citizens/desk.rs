//! The one desk that all writing about citizens passes: one citizen's changes one after the other,
//! all of them through one transactional writer, each answered only once the view shows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use runtime::log::{AppendError, Outgoing, Position, Writer};
use runtime::world::World;
use schemas::ids::Pseudonym;
use tokio::sync::{MutexGuard, mpsc, oneshot};

use super::answers::Trouble;
use super::config::CitizensConfig;
use super::ports::{Citizens, Dossier};

/// Citizens whose pseudonyms share the last byte wait for each other; there are enough of them.
const TURNS: usize = 256;

/// Requests that may wait for the writer; one more is told to come again.
const QUEUE: usize = 1_024;

struct Job {
    records: Vec<Outgoing>,
    done: oneshot::Sender<Result<Vec<Position>, AppendError>>,
}

/// Where changes are handed in.
pub struct Desk {
    jobs: mpsc::Sender<Job>,
    turns: Vec<tokio::sync::Mutex<()>>,
    /// Written and not yet seen in the view.
    unseen: Mutex<HashMap<Pseudonym, Vec<Position>>>,
    citizens: Arc<dyn Citizens>,
    world: World,
    config: CitizensConfig,
}

impl Desk {
    /// Starts the writer's thread; it ends when the desk is dropped and all is written.
    ///
    /// # Errors
    /// No thread.
    pub fn open(
        writer: Box<dyn Writer>,
        citizens: Arc<dyn Citizens>,
        world: World,
        config: CitizensConfig,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let group = config.group.max(1);
        let thread = std::thread::Builder::new()
            .name("citizens-writer".to_owned())
            .spawn(move || write_all(writer, queue, group))?;
        let turns = (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect();
        let unseen = Mutex::default();
        Ok((Self { jobs, turns, unseen, citizens, world, config }, thread))
    }

    /// Waits until all earlier changes of this citizen are seen, then gives the only right to change.
    ///
    /// # Errors
    /// `NotReady`: an earlier change is still not seen; deciding on what the view shows would be
    /// deciding on the past.
    pub(super) async fn turn(&self, citizen: Pseudonym) -> Result<Turn<'_>, Trouble> {
        let turn = self.turns[usize::from(citizen.0[15])].lock().await;
        let unseen = self.unseen.lock().get(&citizen).cloned();
        if let Some(positions) = unseen {
            self.see(citizen, &positions).await.map_err(|_| Trouble::NotReady)?;
        }
        Ok(Turn { desk: self, citizen, _turn: turn })
    }

    async fn see(&self, citizen: Pseudonym, positions: &[Position]) -> Result<(), Trouble> {
        let until = self.world.now().plus(self.config.barrier);
        if !self.citizens.wait_applied(citizen, positions, until).await {
            return Err(Trouble::NotInForce);
        }
        self.unseen.lock().remove(&citizen);
        Ok(())
    }
}

/// The right to change one citizen's records, held by one request at a time. To be used in a task that
/// goes on when the caller hangs up: a write whose positions nobody noted would let the next request
/// decide on the past.
pub(super) struct Turn<'a> {
    desk: &'a Desk,
    citizen: Pseudonym,
    _turn: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// What the view says now, with all earlier changes in it.
    ///
    /// # Errors
    /// `NotReady`, `Held`.
    pub async fn dossier(&self) -> Result<Dossier, Trouble> {
        let dossier = self.desk.citizens.dossier(self.citizen).await?;
        if dossier.held { Err(Trouble::Held) } else { Ok(dossier) }
    }

    /// Writes records in one transaction and waits until the view shows them.
    ///
    /// # Errors
    /// `NotTaken`, `Unknown`, `NotInForce`.
    pub async fn write(&self, records: Vec<Outgoing>) -> Result<(), Trouble> {
        if records.is_empty() {
            return Ok(());
        }
        let (done, written) = oneshot::channel();
        self.desk.jobs.try_send(Job { records, done }).map_err(|_| Trouble::NotTaken)?;
        let positions = match written.await {
            Ok(Ok(positions)) => positions,
            Ok(Err(AppendError::NotTaken(why))) => {
                tracing::warn!(why, "a citizen's change was not written");
                return Err(Trouble::NotTaken);
            }
            Ok(Err(AppendError::Fenced)) => return Err(Trouble::NotTaken),
            Ok(Err(AppendError::Unknown(why))) => {
                tracing::warn!(why, "a citizen's change has an unknown outcome");
                return Err(Trouble::Unknown);
            }
            Err(_) => return Err(Trouble::Unknown),
        };
        self.desk.unseen.lock().entry(self.citizen).or_default().extend(&positions);
        self.desk.see(self.citizen, &positions).await
    }

    /// Writes, and returns only when no send can start any more on facts older than this change.
    ///
    /// # Errors
    /// As [`Turn::write`].
    pub async fn settle(self, records: Vec<Outgoing>) -> Result<(), Trouble> {
        self.write(records).await?;
        let desk = self.desk;
        // Others need not wait for what only this answer waits for.
        drop(self);
        let old = desk.world.now().plus(desk.config.consent_max_age);
        desk.world.sleep_until(old).await;
        Ok(())
    }
}

/// Takes what has queued up, at most `group` requests, and writes it as one transaction.
fn write_all(mut writer: Box<dyn Writer>, mut queue: mpsc::Receiver<Job>, group: usize) {
    while let Some(first) = queue.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < group {
            let Ok(job) = queue.try_recv() else { break };
            jobs.push(job);
        }
        let records = jobs.iter().flat_map(|job| job.records.iter().cloned()).collect();
        let written = writer.write(records);
        let mut rest = written.as_deref().unwrap_or_default();
        for job in jobs {
            let answer = match &written {
                Ok(_) => {
                    let (own, others) = rest.split_at(job.records.len().min(rest.len()));
                    rest = others;
                    Ok(own.to_vec())
                }
                Err(error) => Err(error.clone()),
            };
            // Nobody listens any more: the caller hung up, the records stand all the same.
            let _ = job.done.send(answer);
        }
    }
}
