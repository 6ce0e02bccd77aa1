//! The run itself: rows in, requests out, a bounded number at once, results as they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use edge::pacing::{Pace, PaceConfig};
use futures::StreamExt as _;
use parking_lot::Mutex;
use runtime::world::World;
use schemas::ids::Timestamp;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};

use super::journal::{Earlier, Journal, Line, Standing};
use super::judge::{Answer, MOST_GIVEN_UP, Stop, Tries, Verdict, judge};
use super::post::{Endpoint, Look};
use super::progress::Progress;
use super::request::Sending;
use super::said::without_the_row;
use super::watch::{Outcome, pause};
use producers::batch::rows::{Row, Rows};

/// Messages watched at once; beyond, sending waits.
const WATCHED: u32 = 1_024;
/// After a stop, for the requests that have left.
const GRACE: Duration = Duration::from_secs(10);

/// What a run works with.
pub struct Run {
    pub endpoint: Endpoint,
    pub sending: Sending,
    pub journal: Journal,
    pub progress: Progress,
    pub world: World,
    pub limits: Limits,
    pace: Mutex<Pace>,
    given_up: AtomicU32,
    stop: watch::Sender<Option<Stop>>,
    watching: Arc<Semaphore>,
}

/// The bounds that the sender chose.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests a second; absent: as fast as `at_once` allows.
    pub rate: Option<u32>,
    /// Rows in flight.
    pub at_once: usize,
    /// Troubles of one row that are borne.
    pub tries: u32,
    /// How long each message is watched; absent: not at all.
    pub watch: Option<Duration>,
}

/// What is to be done about a row.
enum Job {
    Send(Row),
    /// It was taken by an earlier run, which did not see what it came to.
    Watch {
        line: Line,
        body: String,
    },
}

impl Run {
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        sending: Sending,
        journal: Journal,
        progress: Progress,
        world: World,
        limits: Limits,
    ) -> Self {
        // Without a rate only a rest that the endpoint asks for holds anything back.
        let per_second = limits.rate.unwrap_or(u32::MAX);
        let config = PaceConfig { per_second, burst: per_second.div_ceil(50) };
        let pace = Mutex::new(Pace::new(config, world.now().0));
        let watching = Arc::new(Semaphore::new(WATCHED as usize));
        let (given_up, stop) = (AtomicU32::new(0), watch::Sender::new(None));
        Self { endpoint, sending, journal, progress, world, limits, pace, given_up, stop, watching }
    }

    /// Ends the run early; what has left is waited for.
    pub fn stop(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(why);
            first
        });
    }

    /// Works through the rows. Gives the reason if it ended before they did.
    pub async fn all(self: &Arc<Self>, rows: Rows<'static>, earlier: Earlier) -> Option<Stop> {
        let (give, take) = mpsc::channel(self.limits.at_once);
        let run = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || run.read(rows, earlier, &give));
        let jobs = futures::stream::unfold(take, |mut take| async {
            let mut stop = self.stop.subscribe();
            tokio::select! {
                job = take.recv() => job.map(|job| (job, take)),
                _ = stop.wait_for(Option::is_some) => None,
            }
        });
        let work = jobs.for_each_concurrent(self.limits.at_once, |job| {
            let run = Arc::clone(self);
            async move { run.carry_out(job).await }
        });
        let watched = async {
            work.await;
            // Every watch gives its permit back when it ends.
            let _ = self.watching.acquire_many(WATCHED).await;
        };
        tokio::select! {
            () = watched => {}
            () = self.stopped_and_past_grace() => {}
        }
        // Input that says nothing (an open pipe) is not waited for once the run has stopped.
        if self.stop.borrow().is_none() {
            let _ = reading.await;
        }
        self.stop.borrow().clone()
    }

    /// Reads rows until there are none or nobody takes them; the channel holds it back.
    fn read(&self, rows: Rows<'static>, mut earlier: Earlier, give: &mpsc::Sender<Job>) {
        for row in rows {
            if self.stop.borrow().is_some() {
                return;
            }
            let row = match row {
                Ok(row) => row,
                Err(error) => return self.stop(Stop::Input(error.to_string())),
            };
            let line = match earlier.of(row.number) {
                Ok(line) => line,
                Err(error) => return self.stop(Stop::Journal(error.to_string())),
            };
            let Some(job) = self.job(row, line) else { continue };
            if give.blocking_send(job).is_err() {
                return;
            }
        }
    }

    /// What an earlier run left to be done of a row.
    fn job(&self, row: Row, line: Option<Line>) -> Option<Job> {
        let Some(line) = line.filter(|line| line.status != Standing::Failed) else {
            return Some(Job::Send(row));
        };
        self.progress.ended_earlier(line.status);
        let unseen = line.outcome.as_ref().is_none_or(|outcome| !outcome.is_final);
        match row.body {
            Ok(body) if line.status == Standing::Taken && unseen && self.limits.watch.is_some() => {
                Some(Job::Watch { line, body })
            }
            Ok(_) | Err(_) => None,
        }
    }

    async fn carry_out(self: Arc<Self>, job: Job) {
        if self.stop.borrow().is_some() {
            return;
        }
        match job {
            Job::Watch { line, body } => self.watch(line, &body).await,
            Job::Send(row) => {
                let key = self.sending.key(row.number);
                let line = Line {
                    row: row.number,
                    key,
                    status: Standing::Refused,
                    http: None,
                    id: None,
                    title: None,
                    detail: None,
                    outcome: None,
                };
                match row.body {
                    Err(fault) => {
                        let title = Some("Not sent".to_owned());
                        self.end(&Line { title, detail: Some(fault.to_string()), ..line });
                    }
                    Ok(body) => self.send(line, body).await,
                }
            }
        }
    }

    /// Sends a row until it has its end, or the run stops.
    async fn send(self: Arc<Self>, line: Line, body: String) {
        let mut tries = Tries::default();
        loop {
            if self.slot().await.is_err() {
                return;
            }
            let now = self.world.now().0;
            let (answer, why) = self.endpoint.submit(&line.key, body.clone(), now).await;
            match judge(&answer, tries, self.limits.tries, self.chance()) {
                Verdict::Taken { id } => {
                    self.given_up.store(0, Ordering::Relaxed);
                    let (status, http) = (Standing::Taken, http(&answer));
                    let line = Line { status, http, id: Some(id), ..line };
                    self.end(&line);
                    if self.limits.watch.is_some() {
                        self.watch(line, &body).await;
                    }
                    return;
                }
                Verdict::Refused { http, title, detail } => {
                    self.given_up.store(0, Ordering::Relaxed);
                    let title = Some(without_the_row(&title, &body));
                    let detail = detail.map(|detail| without_the_row(&detail, &body));
                    return self.end(&Line { http: Some(http), title, detail, ..line });
                }
                Verdict::GivenUp { http, title } => {
                    self.progress.tell(&format!("row {}: given up: {title}", line.row));
                    let (status, title) = (Standing::Failed, Some(title));
                    self.end(&Line { status, http, title, ..line });
                    if self.given_up.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_GIVEN_UP {
                        self.stop(Stop::NoAnswer);
                    }
                    return;
                }
                Verdict::Stop(why) => return self.stop(why),
                Verdict::Again { after, everyone } => {
                    self.tell_trouble(line.row, &answer, &why, after);
                    match everyone {
                        true => tries.throttled += 1,
                        false => tries.troubles += 1,
                    }
                    if self.rest(after, everyone).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn tell_trouble(&self, row: u64, answer: &Answer, why: &str, after: Duration) {
        self.progress.trouble(|| {
            let what = match answer {
                Answer::Reply(reply) => reply.status.to_string(),
                Answer::Lost => why.to_owned(),
            };
            format!("row {row}: {what}; again in {:.1} s", after.as_secs_f64())
        });
    }

    fn end(&self, line: &Line) {
        match self.journal.write(line) {
            Ok(()) => self.progress.ended(line.status),
            Err(error) => self.stop(Stop::Journal(error.to_string())),
        }
    }

    /// Watches a message on a task of its own, once there is room for one more.
    async fn watch(self: Arc<Self>, line: Line, body: &str) {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let code = body["fiscal_code"].as_str().unwrap_or_default().to_owned();
        let (Some(id), false) = (line.id.clone(), code.is_empty()) else { return };
        let Ok(permit) = Arc::clone(&self.watching).acquire_owned().await else { return };
        tokio::spawn(async move {
            if let Some(outcome) = self.seen(&code, &id).await {
                let line = Line { outcome: Some(outcome), ..line };
                if let Err(error) = self.journal.write(&line) {
                    self.stop(Stop::Journal(error.to_string()));
                }
            }
            drop(permit);
        });
    }

    /// The message's last outcome: the final one, or what it was when the time was over.
    async fn seen(&self, code: &str, id: &str) -> Option<Outcome> {
        let until = self.world.now().plus(self.limits.watch.unwrap_or_default());
        let (mut last, mut processed_at) = (None, None);
        for looks in 1.. {
            if self.rest(pause(looks, self.chance()), false).await.is_err() {
                break;
            }
            if self.slot().await.is_err() {
                break;
            }
            let look = self.endpoint.look(code, id, self.world.now().0).await;
            let now = self.world.now();
            match look {
                Look::Seen(answer) => {
                    let since = processed_at.map_or(Duration::ZERO, |at| now.since(at));
                    last = Outcome::read(&answer, since).or(last);
                    if last.as_ref().is_some_and(Outcome::is_processed) {
                        processed_at.get_or_insert(now);
                    }
                }
                Look::Later(wait) => {
                    let wait =
                        wait.unwrap_or(Duration::from_secs(1)).min(super::judge::LONGEST_REST);
                    self.hold_everyone(wait);
                }
                Look::Nothing => {}
            }
            let settled = last.as_ref().is_some_and(|outcome: &Outcome| outcome.is_final);
            if settled || now >= until {
                break;
            }
        }
        last
    }

    /// Waits for the pace's leave.
    async fn slot(&self) -> Result<(), Stopped> {
        loop {
            let now = self.world.now().0;
            let grant = self.pace.lock().take(1, now);
            if grant.granted == 1 {
                return self.rest(Duration::ZERO, false).await;
            }
            let wait = u64::try_from(grant.more_at_ms - now).unwrap_or(0).max(1);
            self.rest(Duration::from_millis(wait), false).await?;
        }
    }

    /// Waits, unless the run stops; `everyone`: nobody else starts in the meantime.
    async fn rest(&self, wait: Duration, everyone: bool) -> Result<(), Stopped> {
        if everyone {
            self.hold_everyone(wait);
        }
        if self.stop.borrow().is_some() {
            return Err(Stopped);
        }
        if wait.is_zero() {
            return Ok(());
        }
        let mut stop = self.stop.subscribe();
        tokio::select! {
            () = self.world.sleep_until(self.world.now().plus(wait)) => Ok(()),
            _ = stop.wait_for(Option::is_some) => Err(Stopped),
        }
    }

    fn hold_everyone(&self, wait: Duration) {
        let now: Timestamp = self.world.now();
        self.pace.lock().pause(now.plus(wait).0, now.0);
    }

    async fn stopped_and_past_grace(&self) {
        let _ = self.stop.subscribe().wait_for(Option::is_some).await;
        self.world.sleep_until(self.world.now().plus(GRACE)).await;
    }

    /// Uniform in 0..1.
    fn chance(&self) -> f64 {
        (self.world.random() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The run has stopped: nothing new may start.
struct Stopped;

fn http(answer: &Answer) -> Option<u16> {
    match answer {
        Answer::Reply(reply) => Some(reply.status),
        Answer::Lost => None,
    }
}
