//! Edges and store without a machine behind them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use consumers::channel::{Letter, NotStarted, Port};
use consumers::vault::{StoreError, VaultStore};
use parking_lot::Mutex;
use policy::outcome::{Answer, AttemptOutcome};
use runtime::world::World;
use schemas::ids::{MessageId, Timestamp};
use schemas::records::Reason;
use schemas::topics::Channel;

/// An answer that has not come by then never will.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// An edge that answers after a drawn while, as drawn or as told.
pub struct FakePort {
    channel: Channel,
    world: World,
    /// What it answers; drawn where absent.
    pub always: Mutex<Option<Answer>>,
    /// How long the answer about this message takes; those about others come soon then.
    pub takes: Mutex<Option<(MessageId, Duration)>>,
    /// How long every answer takes.
    pub all_take: Mutex<Option<Duration>>,
    /// Why nothing starts, while told so.
    pub starts_nothing: Mutex<Option<NotStarted>>,
    /// Every send, with the moment at which it started.
    pub sent: Mutex<Vec<(MessageId, String, Timestamp)>>,
    down: Mutex<Option<Timestamp>>,
}

impl FakePort {
    pub fn new(channel: Channel, world: World) -> Self {
        let (always, takes, all_take) = Default::default();
        let (starts_nothing, sent, down) = Default::default();
        Self { channel, world, always, takes, all_take, starts_nothing, sent, down }
    }

    /// Most answers come soon; one in sixteen takes seconds.
    fn takes(&self, message: MessageId) -> Duration {
        let (told, random) = (*self.takes.lock(), self.world.random());
        if let Some(takes) = *self.all_take.lock() {
            return takes;
        }
        match told {
            Some((told, takes)) if told == message => takes,
            None if random >> 60 == 0 => Duration::from_millis(random % 12_000),
            Some(_) | None => Duration::from_millis(random % 400),
        }
    }

    fn drawn(&self) -> Answer {
        let random = self.world.random();
        let retry_after = (random & 1 == 0).then(|| Duration::from_secs(random >> 8 & 0x7f));
        let (outcome, reason) = match random >> 32 & 0xf {
            0..=5 => (AttemptOutcome::Accepted, Reason::Delivered),
            6 => (AttemptOutcome::AddressGone { since: None }, Reason::Unregistered),
            7 => (AttemptOutcome::Refused, Reason::BadRequest),
            8 | 9 => (AttemptOutcome::Throttled { retry_after }, Reason::Quota),
            10 | 11 => (AttemptOutcome::Unavailable { retry_after }, Reason::ServerError),
            12 => (AttemptOutcome::Unavailable { retry_after: None }, Reason::Unsent),
            13 => (AttemptOutcome::Misconfigured, Reason::Credential),
            _ => (AttemptOutcome::Indeterminate, Reason::NoAnswer),
        };
        Answer { provider_id: Some(format!("{random:016x}")), ..Answer::new(outcome, reason) }
    }
}

#[async_trait]
impl Port for FakePort {
    fn channel(&self) -> Channel {
        self.channel
    }

    fn down_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.down.lock().filter(|until| now < *until)
    }

    async fn send(&self, letter: &Letter, start_by: Timestamp) -> Result<Answer, NotStarted> {
        let now = self.world.now();
        assert!(now <= start_by, "a send starts on facts that are young");
        if let Some(why) = *self.starts_nothing.lock() {
            return Err(why);
        }
        self.sent.lock().push((letter.message_id, letter.installation.clone(), now));
        let takes = self.takes(letter.message_id);
        self.world.sleep_until(now.plus(takes.min(ANSWER_WITHIN))).await;
        if takes > ANSWER_WITHIN {
            return Ok(Answer::new(AttemptOutcome::Indeterminate, Reason::NoAnswer));
        }
        let told = self.always.lock().clone();
        let answer = told.unwrap_or_else(|| self.drawn());
        if answer.outcome == AttemptOutcome::Misconfigured {
            *self.down.lock() = Some(self.world.now().plus(Duration::from_secs(30)));
        }
        Ok(answer)
    }

    fn answer_within(&self) -> Duration {
        ANSWER_WITHIN
    }

    fn send_id(&self, letter: &Letter) -> String {
        format!("{}-{}", letter.message_id, letter.installation)
    }

    fn believes_gone(&self, gone: bool, _: Timestamp) -> bool {
        gone
    }
}

/// Objects in memory.
#[derive(Default)]
pub struct MemoryStore {
    pub down: AtomicBool,
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
}

#[async_trait]
impl VaultStore for MemoryStore {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(StoreError::Down("told so".to_owned()));
        }
        self.objects.lock().insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        let objects = self.objects.lock();
        let range = usize::try_from(offset).ok().zip(usize::try_from(offset + length).ok());
        let found =
            objects.get(name).zip(range).and_then(|(object, (from, to))| object.get(from..to));
        found.map(<[u8]>::to_vec).ok_or(StoreError::Absent)
    }
}
