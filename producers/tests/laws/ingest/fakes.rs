//! Doubles that behave: they take, refuse, lose their answer and fall behind as the real parts do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use policy::admit::projection::Standing;
use policy::claim::{Claimed, Held, judge};
use policy::consent::Citizen;
use producers::ingest::ports::{
    Accept, Appended, Claims, Contents, Known, NotReady, Profiles, Statuses,
};
use runtime::log::{Position, TopicPartition};
use runtime::world::{Sources, Task};
use schemas::content::{Content, Notice};
use schemas::headers::Claim;
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::MessageAccepted;
use schemas::topics::Topic;
use sealing::{Entropy as _, Part, SystemEntropy, TransitKeys};
use tokio::sync::Notify;

/// A clock that stands until it is set.
pub struct Clock(AtomicI64);

impl Clock {
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now.0)))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Sources for Clock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    fn fill(&self, bytes: &mut [u8]) {
        SystemEntropy.fill(bytes);
    }
    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }
    fn sleep_until(&self, _: Timestamp) -> Task {
        Box::pin(std::future::pending())
    }
}

/// How the log takes the next records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    Full,
    /// Takes, but the acknowledgement is lost.
    TakesInSilence,
}

/// `message.accepted`, and the view that reads it.
pub struct Log {
    pub mood: Mutex<Mood>,
    pub records: Mutex<Vec<MessageAccepted>>,
    /// What each of them claims.
    pub claims: Mutex<Vec<Option<Claim>>>,
    pub view: Arc<View>,
    pub transit: Arc<RwLock<TransitKeys>>,
}

impl Log {
    pub fn content(&self, id: MessageId) -> Content {
        let records = self.records.lock();
        let record = records.iter().find(|record| record.message_id == id).unwrap();
        let key = self.transit.read().unwrap(id, &record.sealed.wrapped_key.0).unwrap();
        let plain = key.open(Part::Content, id, &record.sealed.content.0).unwrap();
        serde_json::from_slice(&plain).unwrap()
    }

    pub fn notice(&self, id: MessageId) -> Notice {
        let records = self.records.lock();
        let record = records.iter().find(|record| record.message_id == id).unwrap();
        let key = self.transit.read().unwrap(id, &record.sealed.wrapped_key.0).unwrap();
        serde_json::from_slice(&key.open(Part::Notice, id, &record.notice.0).unwrap()).unwrap()
    }

    pub fn ids(&self) -> Vec<MessageId> {
        self.records.lock().iter().map(|record| record.message_id).collect()
    }

    pub fn len(&self) -> usize {
        self.records.lock().len()
    }
}

#[async_trait]
impl Accept for Log {
    async fn append(&self, message: MessageAccepted, claim: Option<Claim>) -> Appended {
        let mood = *self.mood.lock();
        if mood == Mood::Full {
            return Appended::NotTaken;
        }
        if !self.view.lags.load(Ordering::SeqCst) {
            self.view.project(&message);
        }
        self.records.lock().push(message);
        self.claims.lock().push(claim);
        match mood {
            Mood::TakesInSilence => Appended::Unknown,
            Mood::Takes | Mood::Full => Appended::Acked,
        }
    }
}

#[async_trait]
impl Contents for Log {
    async fn open(&self, known: &Known, id: MessageId) -> Result<Option<Content>, NotReady> {
        self.view.readable()?;
        let held = self.records.lock().iter().any(|r| r.citizen == known.citizen);
        Ok(held.then(|| self.content(id)))
    }
}

/// Statuses and citizens.
#[derive(Default)]
pub struct View {
    pub lags: AtomicBool,
    pub broken: AtomicBool,
    /// Times that anybody was looked up, citizen or message.
    pub lookups: AtomicU64,
    known: Mutex<HashMap<MessageId, Known>>,
    pub citizens: Mutex<HashMap<Pseudonym, Citizen>>,
    changed: Notify,
    waits: Notify,
}

impl View {
    pub fn project(&self, message: &MessageAccepted) {
        let known = Known {
            citizen: message.citizen,
            service_id: message.service_id.clone(),
            standing: Standing::default(),
            place: Position {
                at: TopicPartition { topic: Topic::Accepted(message.lane), partition: 0 },
                offset: 0,
            },
        };
        self.known.lock().insert(message.message_id, known);
        self.changed.notify_waiters();
    }

    pub fn set(&self, id: MessageId, change: impl FnOnce(&mut Standing)) {
        change(&mut self.known.lock().get_mut(&id).unwrap().standing);
        self.changed.notify_waiters();
    }

    /// Resolves when a call has begun to wait.
    pub async fn waited_for(&self) {
        let waited = tokio::time::timeout(Duration::from_secs(10), self.waits.notified()).await;
        waited.expect("a request should have waited for a status");
    }

    fn readable(&self) -> Result<(), NotReady> {
        if self.broken.load(Ordering::SeqCst) { Err(NotReady) } else { Ok(()) }
    }
}

#[async_trait]
impl Statuses for View {
    async fn standing(&self, id: MessageId, wait: Duration) -> Result<Option<Known>, NotReady> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let until = tokio::time::Instant::now() + wait;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.readable()?;
            let known = self.known.lock().get(&id).cloned();
            let is_further = known.as_ref().is_some_and(|k| k.standing != Standing::default());
            if is_further || wait.is_zero() {
                return Ok(known);
            }
            self.waits.notify_one();
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return Ok(known);
            }
        }
    }
}

#[async_trait]
impl Profiles for View {
    async fn citizen(&self, citizen: Pseudonym, _: &ServiceId) -> Result<Citizen, NotReady> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.readable()?;
        Ok(self.citizens.lock().get(&citizen).cloned().unwrap_or_default())
    }
}

/// Claims in memory.
#[derive(Default)]
pub struct ClaimStore {
    pub down: AtomicBool,
    /// Whether its view has seen what was appended.
    pub lags: AtomicBool,
    claims: Mutex<HashMap<[u8; 32], Held>>,
}

#[async_trait]
impl Claims for ClaimStore {
    async fn claim(&self, claim: &Claim, offered: MessageId) -> Result<Claimed, NotReady> {
        if self.down.load(Ordering::SeqCst) {
            return Err(NotReady);
        }
        let is_in_log = !self.lags.load(Ordering::SeqCst);
        let mut claims = self.claims.lock();
        let held = claims.get(&claim.name).map(|held| Held { is_in_log, ..*held });
        let ours = Held { request: claim.request, id: offered, is_in_log };
        claims.entry(claim.name).or_insert(ours);
        Ok(judge(claim, held))
    }
}
