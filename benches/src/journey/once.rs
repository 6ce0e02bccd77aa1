//! One run: a fresh installation, its phases, its books; then the floor with the same numbers.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::books::{Books, Losses};
use super::load::{self, Phase, Sent};
use super::people::Mail;
use super::scrape::{Names, Stages, scrape};
use super::subscriber::{Seen, Subscriber};
use super::verdict::{Bottleneck, find};
use super::watch::{Watch, settle};
use super::world::{Plan, World};
use crate::console::note;
use crate::figures::Figures;
use crate::logs::Place;
use crate::machine;
use crate::meter::{Meter, count};

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Setup {
    pub staffetta: PathBuf,
    pub place: Place,
    pub folder: PathBuf,
    pub validating: bool,
    pub split: bool,
    pub connections: usize,
    /// Messages as fast as they are answered; none where a rate is given.
    pub flood: usize,
    /// Messages a second of the paced phase; half of what the flood found otherwise.
    pub rate: Option<f64>,
    pub seconds: f64,
    /// At most so many in the paced phase.
    pub paced_at_most: usize,
}

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub messages: usize,
    pub losses: Losses,
    /// The providers' own count of accepted pushes; absent where they keep no books.
    pub taken_by_providers: Option<u64>,
    pub journey: Figures,
    pub floor: Figures,
    pub bottleneck: Option<Bottleneck>,
}

/// Messages that go before, so that connections stand, topics have leaders and files exist.
const WARM_UP: usize = 400;
/// How long nothing is sent, to see what waiting costs.
const IDLE: Duration = Duration::from_secs(2);
/// The chain of copies carries more: so many times the records, lest it be over at once.
const FLOOR_FLOOD: usize = 4;

/// The installation while it runs.
struct Going<'a> {
    world: &'a World,
    meter: Meter,
    names: Arc<Names>,
    mail: &'a Arc<Mail>,
    connections: usize,
    next: usize,
}

/// Measures once.
///
/// # Errors
/// Something did not start, answer or end.
pub async fn run(setup: &Setup, mail: &Arc<Mail>) -> Result<Run> {
    let plan = Plan {
        staffetta: &setup.staffetta,
        folder: &setup.folder,
        place: &setup.place,
        validating: setup.validating,
        split: setup.split,
    };
    let world = World::start(&plan, mail).await?;
    let follower = match setup.place.kafka {
        Some(_) => Some(Subscriber::start(setup.place.open()?.as_ref())?),
        None => None,
    };
    let mut meter = world.meter();
    if let Some(pid) = setup.place.broker_port().and_then(machine::listener_at) {
        meter.add("broker", pid);
    }
    let names = Arc::new(Names::default());
    let mut going =
        Going { world: &world, meter, names, mail, connections: setup.connections, next: 0 };
    let mut figures = Figures::default();
    let warm = going.warm_up().await?;
    going.idle(&mut figures).await;
    let (flood, bottleneck) = going.flood(setup.flood, &mut figures).await?;
    let rate = setup.rate.or(figures.get("flood.rough_rate").map(|rate| rate / 2.0));
    let rate = rate.context("no rate: give --rate or --messages")?;
    let paced = going.paced(rate, setup, &mut figures).await?;
    going.meter.put_peaks(&mut figures);
    let taken_by_providers = match setup.validating {
        true => Some(world.taken_by_providers().await?),
        false => None,
    };
    let messages = going.next;
    let seen = follower.map(Subscriber::stop).unwrap_or_default();
    world.stop()?;
    note("reading the log");
    let books = Books::read(setup.place.open()?.as_ref())?;
    let losses = settle_books(&books, messages, &[&warm, &flood, &paced], &seen, &mut figures);
    let floor = floor(setup, &figures)?;
    Ok(Run { messages, losses, taken_by_providers, journey: figures, floor, bottleneck })
}

fn settle_books(
    books: &Books,
    messages: usize,
    [warm, flood, paced]: &[&Vec<Sent>; 3],
    seen: &Seen,
    figures: &mut Figures,
) -> Losses {
    let all: Vec<&Sent> = [warm, flood, paced].into_iter().flat_map(|sent| sent.iter()).collect();
    if !flood.is_empty() {
        books.put_rate(figures, "flood", flood);
    }
    books.put_rate(figures, "paced", paced);
    books.put_times(figures, "paced", paced, seen);
    books.put_sizes(figures);
    books.losses(messages, &all)
}

impl Going<'_> {
    async fn send(&mut self, count: usize, rate: Option<f64>) -> Result<Vec<Sent>> {
        let connections = self.connections;
        let phase = Phase { first: self.next, count, rate, connections };
        self.next += count;
        load::send(self.world.sender_api, self.mail, phase).await
    }

    async fn stages(&self) -> Result<Stages> {
        scrape(&self.names, &self.world.operations()).await
    }

    async fn settle(&self, before: &Stages, sent: &[Sent]) -> Result<(Stages, Instant)> {
        let taken = sent.iter().filter(|one| matches!(one.answer, load::Answer::Taken(_)));
        settle(&self.names, &self.world.operations(), before, count(taken.count())).await
    }

    async fn warm_up(&mut self) -> Result<Vec<Sent>> {
        let before = self.stages().await?;
        let sent = self.send(WARM_UP, None).await?;
        self.settle(&before, &sent).await?;
        Ok(sent)
    }

    /// What the processes use while nothing is to be done, in percent of one processor.
    async fn idle(&self, figures: &mut Figures) {
        let before = self.meter.read();
        tokio::time::sleep(IDLE).await;
        let spent = self.meter.since(&before);
        for (name, time) in &spent.parts {
            let percent = 100.0 * time.as_secs_f64() / spent.elapsed.as_secs_f64();
            figures.put(&format!("idle.cpu_percent.{name}"), percent);
        }
    }

    async fn flood(
        &mut self,
        messages: usize,
        figures: &mut Figures,
    ) -> Result<(Vec<Sent>, Option<Bottleneck>)> {
        if messages == 0 {
            return Ok((Vec::new(), None));
        }
        note(format_args!("{messages} messages at once"));
        let before = self.stages().await?;
        let watch = Watch::start(&self.names, &self.world.operations());
        let (reading, started) = (self.meter.read(), Instant::now());
        let sent = self.send(messages, None).await?;
        let (after, ended) = self.settle(&before, &sent).await?;
        let spent = self.meter.since(&reading);
        let peaks = watch.stop().await?;
        spent.put(figures, "flood", messages);
        let took = ended.saturating_duration_since(started).as_secs_f64();
        figures.put("flood.rough_rate", count(messages) / took.max(1e-3));
        Ok((sent, Some(find(&spent, &before, &after, &peaks))))
    }

    async fn paced(
        &mut self,
        rate: f64,
        setup: &Setup,
        figures: &mut Figures,
    ) -> Result<Vec<Sent>> {
        let messages = whole(rate * setup.seconds).clamp(1, setup.paced_at_most);
        note(format_args!("{messages} messages at {rate:.0} a second"));
        let before = self.stages().await?;
        let reading = self.meter.read();
        let sent = self.send(messages, Some(rate)).await?;
        self.settle(&before, &sent).await?;
        let spent = self.meter.since(&reading);
        spent.put(figures, "paced", messages);
        figures.put("paced.offered_per_second", rate);
        figures.put("paced.messages", count(messages));
        Ok(sent)
    }
}

/// The chain of copies, with records as long as the pipeline's first one, at the same rate.
fn floor(setup: &Setup, journey: &Figures) -> Result<Figures> {
    let whole_of = |name: &str| whole(journey.get(name).unwrap_or(0.0));
    let rate = journey.get("paced.offered_per_second").unwrap_or(0.0);
    let seconds = journey.get("paced.messages").unwrap_or(0.0) / rate.max(1e-9);
    note("the bare chain of copies");
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg("floor").stdin(Stdio::null()).stderr(Stdio::inherit());
    command.args(["--messages", &(setup.flood * FLOOR_FLOOD).to_string()]);
    command.args(["--bytes", &whole_of("log.accepted_bytes").max(64).to_string()]);
    command.args(["--rate", &rate.to_string(), "--seconds", &seconds.to_string()]);
    command.args(["--partitions", &setup.place.partitions.to_string()]);
    match &setup.place.kafka {
        Some(bootstrap) => {
            let prefix = format!("{}floor-", setup.place.prefix);
            command.args(["--kafka", bootstrap, "--prefix", &prefix]);
        }
        None => {
            command.arg("--folder").arg(floor_folder(&setup.folder));
            if setup.place.unsynced {
                command.arg("--unsynced");
            }
        }
    }
    let out = command.output().context("the chain of copies cannot be started")?;
    ensure!(out.status.success(), "the chain of copies failed");
    Figures::read(String::from_utf8_lossy(&out.stdout).trim())
}

fn floor_folder(folder: &Path) -> PathBuf {
    folder.join("floor")
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers")]
fn whole(number: f64) -> usize {
    number.max(0.0).round() as usize
}
