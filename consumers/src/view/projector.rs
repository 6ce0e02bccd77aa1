//! Builds a view: reads the log without a group and applies what it finds, for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::crash::{self, Point};
use runtime::log::{Log, LogError, Read, Reader, Start, TopicPartition};
use runtime::world::World;
use schemas::topics::Topic;

use super::{Projection, ViewError};

/// How a projector spends its time.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Records applied in one step.
    pub batch: usize,
    /// How long one step waits for records; an idle step also looks whether the view is still there.
    pub wait: Duration,
    /// How long to wait when view or log does not answer.
    pub pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { batch: 2_000, wait: ms(100), pause: ms(250) }
    }
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stepped {
    /// So many records are in the view now.
    Applied(usize),
    /// Nothing new; the view is still there.
    Idle,
    /// The view was not the one we had opened: the next step opens it again and goes on from
    /// wherever it stands, the beginning if it is empty.
    Lost,
    /// View or log does not answer; the same step is to be repeated after a pause.
    Waiting(String),
}

/// Fills one view from some topics. One step at a time; whoever holds it decides when.
pub struct Projector {
    name: &'static str,
    log: Arc<dyn Log>,
    topics: Vec<Topic>,
    view: Arc<dyn Projection>,
    pace: Pace,
    opened: Option<Opened>,
}

/// A view as it was opened, and the reader that follows it.
struct Opened {
    reader: Box<dyn Reader>,
    /// Partitions whose end has not been seen since.
    behind: BTreeSet<TopicPartition>,
    ready: bool,
    /// It began at the log's beginning: there is nowhere to go back to.
    from_nothing: bool,
    /// Read and perhaps not applied.
    pending: Option<Read>,
}

impl Projector {
    #[must_use]
    pub fn new(
        name: &'static str,
        log: Arc<dyn Log>,
        topics: Vec<Topic>,
        view: Arc<dyn Projection>,
        pace: Pace,
    ) -> Self {
        Self { name, log, topics, view, pace, opened: None }
    }

    /// Whether the view was marked ready by this projector.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.ready)
    }

    /// Reads at most one batch and applies it. Blocks for at most `pace.wait` in the log.
    ///
    /// # Errors
    /// Only what waiting does not heal: `Broken`, `Fenced`.
    pub async fn step(&mut self) -> Result<Stepped, LogError> {
        match self.try_step().await {
            Ok(stepped) => Ok(stepped),
            Err(Trouble::View(ViewError::NotReady)) => {
                tracing::warn!(
                    view = self.name,
                    "the view was flushed or replaced: opening it again"
                );
                self.opened = None;
                Ok(Stepped::Lost)
            }
            Err(Trouble::View(ViewError::Down(why))) => Ok(Stepped::Waiting(why)),
            Err(Trouble::Log(LogError::Unavailable(why))) => Ok(Stepped::Waiting(why)),
            Err(Trouble::Log(error @ LogError::Broken(_))) => self.start_over(error).await,
            Err(Trouble::Log(error @ LogError::Fenced)) => Err(error),
        }
    }

    async fn try_step(&mut self) -> Result<Stepped, Trouble> {
        if self.opened.is_none() {
            self.opened = Some(self.open().await?);
        }
        let Some(opened) = &mut self.opened else { return Ok(Stepped::Idle) };
        if opened.pending.is_none() {
            opened.pending = Some(opened.reader.poll(self.pace.batch, self.pace.wait)?);
        }
        let Some(read) = &opened.pending else { return Ok(Stepped::Idle) };
        self.view.apply(read).await?;
        let applied = read.records.len();
        if applied > 0 {
            crash::at(Point::ViewApplied);
        }
        for (at, _) in &read.ended {
            opened.behind.remove(at);
        }
        opened.pending = None;
        if !opened.ready && opened.behind.is_empty() {
            self.view.mark_ready().await?;
            opened.ready = true;
            tracing::info!(view = self.name, "the view is ready");
        }
        Ok(if applied == 0 { Stepped::Idle } else { Stepped::Applied(applied) })
    }

    /// A view that lay idle may stand where the log no longer reaches: tombstones may have passed
    /// unseen, so it is built anew. Once; a log that breaks at its beginning needs an operator.
    async fn start_over(&mut self, error: LogError) -> Result<Stepped, LogError> {
        if self.opened.as_ref().is_none_or(|opened| opened.from_nothing) {
            return Err(error);
        }
        tracing::warn!(view = self.name, %error, "building the view anew");
        match self.view.restart().await {
            Ok(()) | Err(ViewError::NotReady) => {
                self.opened = None;
                Ok(Stepped::Lost)
            }
            Err(ViewError::Down(why)) => Ok(Stepped::Waiting(why)),
        }
    }

    async fn open(&self) -> Result<Opened, Trouble> {
        let positions = self.view.open().await?;
        let mut behind = BTreeSet::new();
        for &topic in &self.topics {
            let partitions = self.log.partitions(topic)?;
            behind.extend((0..partitions).map(|partition| TopicPartition { topic, partition }));
        }
        tracing::info!(view = self.name, known = positions.len(), of = behind.len(), "opened");
        let from_nothing = positions.is_empty();
        let reader = self.log.reader(&self.topics, &Start::At(positions))?;
        Ok(Opened { reader, behind, ready: false, from_nothing, pending: None })
    }
}

enum Trouble {
    View(ViewError),
    Log(LogError),
}

impl From<ViewError> for Trouble {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// Steps until `stop` is set; belongs on a thread of its own, outside any executor.
///
/// # Errors
/// As [`Projector::step`].
pub fn run(
    projector: &mut Projector,
    world: &World,
    runtime: &tokio::runtime::Handle,
    stop: &AtomicBool,
) -> Result<(), LogError> {
    let mut waiting = false;
    while !stop.load(Ordering::Relaxed) {
        let stepped = runtime.block_on(projector.step())?;
        match stepped {
            Stepped::Applied(_) | Stepped::Idle | Stepped::Lost => waiting = false,
            Stepped::Waiting(why) => {
                // Said once for each outage, not at each try.
                if !waiting {
                    tracing::warn!(view = projector.name, why, "waiting");
                }
                waiting = true;
                let until = world.now().plus(projector.pace.pause);
                runtime.block_on(world.sleep_until(until));
            }
        }
    }
    Ok(())
}
