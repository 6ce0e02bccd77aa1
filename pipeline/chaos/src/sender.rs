//! The senders: an open loop over HTTP that begins a request at its hour whatever became of those
//! before, and repeats under one `Idempotency-Key` until it is answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use reqwest::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::evidence::Taken;
use crate::parts::now;
use crate::sample::Sample;

const ANSWER: Duration = Duration::from_secs(30);
/// A sender that has had no answer for so long gives up.
const PATIENCE: Duration = Duration::from_secs(300);
const REST: Duration = Duration::from_millis(500);

/// What is sent, how fast, and where it is counted.
#[derive(Debug, Clone)]
pub struct Load {
    pub messages: usize,
    pub per_second: f64,
    pub seed: u64,
    /// Doors, used in turn; who gets no answer knocks at the next.
    pub urls: Vec<String>,
    /// Told the number of requests begun. Whoever says that it is `messages` ends the sending.
    pub begun: watch::Sender<usize>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Sent {
    pub taken: Vec<Taken>,
    pub refused: HashMap<u16, u64>,
    pub given_up: u64,
    pub unanswered: u64,
    /// Answers 429 and 503: not taken, come again.
    pub put_off: u64,
}

/// The indices of the sample's messages, each round in another order.
#[must_use]
pub fn order(count: usize, of: usize, seed: u64) -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut order = Vec::with_capacity(count);
    while order.len() < count && of > 0 {
        let mut round: Vec<usize> = (0..of).collect();
        round.shuffle(&mut rng);
        order.extend(round.into_iter().take(count - order.len()));
    }
    order
}

#[derive(Default)]
struct Tally {
    unanswered: AtomicU64,
    put_off: AtomicU64,
}

/// Sends everything and waits for every answer.
pub async fn send(load: Load, sample: Arc<Sample>) -> Result<Sent> {
    let client = reqwest::Client::builder().timeout(ANSWER).build().context("no HTTP client")?;
    let tally = Arc::new(Tally::default());
    let mut tasks = tokio::task::JoinSet::new();
    let started = Instant::now();
    let between = Duration::from_secs_f64(1.0 / load.per_second);
    let mut due = started;
    for (number, index) in (0_u64..).zip(order(load.messages, sample.messages.len(), load.seed)) {
        tokio::time::sleep_until(due).await;
        due += between;
        if *load.begun.borrow() >= load.messages {
            break;
        }
        let request = Request {
            client: client.clone(),
            urls: load.urls.iter().map(|url| format!("{url}/api/v1/messages")).collect(),
            turn: usize::try_from(number).unwrap_or_default(),
            key: format!("chaos-{}-{number}", load.seed),
            index,
        };
        let (sample, tally) = (Arc::clone(&sample), Arc::clone(&tally));
        tasks.spawn(async move { (index, request.until_answered(&sample, &tally).await) });
        load.begun.send_modify(|begun| *begun += 1);
    }
    let mut sent = Sent::default();
    while let Some(done) = tasks.join_next().await {
        let (sample, answer) = done.context("a request panicked")?;
        match answer {
            Answer::Taken { id, at } => sent.taken.push(Taken { id, sample, at }),
            Answer::Refused(status) => *sent.refused.entry(status).or_default() += 1,
            Answer::None => sent.given_up += 1,
        }
    }
    sent.unanswered = tally.unanswered.load(Ordering::Relaxed);
    sent.put_off = tally.put_off.load(Ordering::Relaxed);
    Ok(sent)
}

enum Answer {
    Taken { id: String, at: i64 },
    Refused(u16),
    None,
}

struct Request {
    client: reqwest::Client,
    urls: Vec<String>,
    turn: usize,
    key: String,
    index: usize,
}

impl Request {
    async fn until_answered(&self, sample: &Sample, tally: &Tally) -> Answer {
        let end = Instant::now() + PATIENCE;
        for turn in self.turn.. {
            if Instant::now() >= end {
                break;
            }
            match self.once(sample, turn).await {
                Once::Taken(id) => return Answer::Taken { id, at: now() },
                Once::Refused(status) => return Answer::Refused(status),
                Once::PutOff(wait) => {
                    tally.put_off.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(wait).await;
                }
                Once::Unknown => {
                    tally.unanswered.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(REST).await;
                }
                Once::NotSent => tokio::time::sleep(REST).await,
            }
        }
        Answer::None
    }

    async fn once(&self, sample: &Sample, turn: usize) -> Once {
        let message = &sample.messages[self.index];
        let key = sample.keys.get(&message.service_id).map_or("", String::as_str);
        let request = self.client.post(&self.urls[turn % self.urls.len()]).json(&message.body);
        let request = request.header("Ocp-Apim-Subscription-Key", key);
        let answer = match request.header("Idempotency-Key", &self.key).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Once::NotSent,
            Err(_) => return Once::Unknown,
        };
        let status = answer.status();
        let wait = answer.headers().get("retry-after").and_then(|wait| wait.to_str().ok());
        let wait = wait.and_then(|wait| wait.parse().ok()).map_or(REST, Duration::from_secs);
        match status {
            StatusCode::CREATED => {
                let body: Option<serde_json::Value> = answer.json().await.ok();
                let id = body.and_then(|body| Some(body["id"].as_str()?.to_owned()));
                id.map_or(Once::Unknown, Once::Taken)
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Once::PutOff(wait),
            status if status.is_server_error() => Once::Unknown,
            status => Once::Refused(status.as_u16()),
        }
    }
}

enum Once {
    Taken(String),
    Refused(u16),
    /// Not taken, says the server.
    PutOff(Duration),
    /// It left, and nobody knows.
    Unknown,
    /// No connection.
    NotSent,
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_seed_is_one_order_and_each_round_holds_every_message() {
        let order = super::order(250, 100, 7);
        assert_eq!(order, super::order(250, 100, 7));
        assert_ne!(order, super::order(250, 100, 8));
        let mut round = order[100..200].to_vec();
        round.sort_unstable();
        assert_eq!(round, (0..100).collect::<Vec<_>>());
    }
}
