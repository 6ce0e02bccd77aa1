//! Content that is still on its way: read from `message.accepted` itself, at the place where the status
//! view saw the record. Published clients cannot read an answer without content, and a message that
//! waits (a view that is not ready, a stage that is down) would have none until it is stored.
//!
//! One thread reads, one record at a time, and a bounded number waits for it: such messages are few
//! while everything runs, and while it does not, their senders are told to come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use consumers::keys::Keys;
use producers::ingest::ports::NotReady;
use runtime::log::{Log, LogError, Position, Start};
use runtime::world::World;
use schemas::content::Content;
use schemas::ids::MessageId;
use schemas::records::MessageAccepted;
use sealing::Part;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Asked and not yet answered at most.
const WAITING: usize = 64;
/// For a record that is there to be read.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// For an answer, whoever else is before one: the next reads wait as long again.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(100);

/// Reads accepted messages by their place.
pub struct AcceptedContents {
    asks: mpsc::Sender<Ask>,
    keys: Keys,
    answer_within: Duration,
}

struct Ask {
    place: Position,
    answer: oneshot::Sender<Result<Option<MessageAccepted>, LogError>>,
}

impl AcceptedContents {
    /// Starts the thread that reads; it ends when nobody can ask any more.
    ///
    /// # Errors
    /// No thread.
    pub fn start(log: Arc<dyn Log>, world: World, keys: Keys) -> std::io::Result<Self> {
        let (asks, mut asked) = mpsc::channel::<Ask>(WAITING);
        let work = move || {
            while let Some(ask) = asked.blocking_recv() {
                // Who does not wait any more needs no answer, and keeps nobody waiting.
                if !ask.answer.is_closed() {
                    let _ = ask.answer.send(read(log.as_ref(), &world, ask.place));
                }
            }
        };
        std::thread::Builder::new().name("accepted".to_owned()).spawn(work)?;
        Ok(Self { asks, keys, answer_within: ANSWER_WITHIN })
    }

    /// The content of message `id`, whose record lies at `place`; nothing where it is there no more or
    /// cannot be opened any more.
    ///
    /// # Errors
    /// [`NotReady`]: too many ask at once, or the log does not answer in time.
    pub async fn open(&self, id: MessageId, place: Position) -> Result<Option<Content>, NotReady> {
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(Ask { place, answer }).map_err(|_| NotReady)?;
        let answered = timeout(self.answer_within, answered).await.map_err(|_| NotReady)?;
        let record = answered.map_err(|_| NotReady)?.map_err(|_| NotReady)?;
        let Some(record) = record.filter(|record| record.message_id == id) else {
            return Ok(None);
        };
        let key = self.keys.transit.read().unwrap(id, &record.sealed.wrapped_key.0);
        let plain = key.and_then(|key| key.open(Part::Content, id, &record.sealed.content.0));
        Ok(plain.ok().and_then(|plain| serde_json::from_slice(&plain).ok()))
    }
}

fn read(
    log: &dyn Log,
    world: &World,
    place: Position,
) -> Result<Option<MessageAccepted>, LogError> {
    let start = Start::Only(vec![(place.at, place.offset)]);
    let mut reader = log.reader(&[place.at.topic], &start)?;
    let until = Instant::now() + READ_WITHIN;
    while Instant::now() < until {
        let read = reader.poll(1, POLL)?;
        if let Some(record) = read.records.into_iter().next() {
            let here = record.value.filter(|_| record.position == place);
            return Ok(here.and_then(|value| world.codec.decode(&value).ok()));
        }
        if !read.ended.is_empty() {
            return Ok(None);
        }
    }
    Err(LogError::Unavailable("a record was not read in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::RwLock;
    use runtime::embedded::EmbeddedLog;
    use runtime::log::{Outgoing, TopicPartition};
    use schemas::codec::Codec;
    use schemas::headers::Headers;
    use schemas::ids::{Pseudonym, Timestamp};
    use schemas::records::{Sealed, SealedContent};
    use schemas::topics::{Lane, Topic};
    use sealing::{
        KeySchedule, KeySchedules, KeyUse, Keyring, MessageKey, SystemEntropy, TransitKeys,
    };

    use super::*;

    /// Keys as a process holds them once it has read its first transit key back.
    fn keys(now: Timestamp) -> Keys {
        let daily = KeySchedule::daily(Duration::from_secs(86_400));
        let schedules = KeySchedules { wire: daily, dead_letter: daily, batch_rows: daily };
        let keyring = Keyring::generate(&SystemEntropy, now);
        let mut transit = TransitKeys::default();
        let due = transit.due_records(&SystemEntropy, keyring.masters(), now, &schedules).unwrap();
        due.iter().for_each(|record| transit.apply(keyring.masters(), record).unwrap());
        Keys {
            keyring: Arc::new(keyring),
            transit: Arc::new(RwLock::new(transit)),
            entropy: Arc::new(SystemEntropy),
        }
    }

    fn content(subject: &str) -> Content {
        Content {
            fiscal_code: "AAAAAA00A00A000A".into(),
            created_at: "2026-11-23T08:00:00.000Z".into(),
            time_to_live: 3_600,
            feature_level_type: "STANDARD".into(),
            content: serde_json::json!({ "subject": subject }),
            fallback_email: None,
            organisation: "An organisation".into(),
            service: "A service".into(),
        }
    }

    fn accepted(keys: &Keys, n: u64, now: Timestamp) -> MessageAccepted {
        let id = MessageId::from_parts(n, 1);
        let key = MessageKey::draw(&SystemEntropy);
        let wrapped =
            keys.transit.read().wrap(&SystemEntropy, KeyUse::Wire, now, id, &key).unwrap();
        let plain = serde_json::to_vec(&content(&format!("subject {n}"))).unwrap();
        let sealed = key.seal(&SystemEntropy, Part::Content, id, &plain).unwrap();
        MessageAccepted {
            message_id: id,
            service_id: "a-service".to_owned().into(),
            citizen: Pseudonym([1; 16]),
            lane: Lane::Live,
            batch: None,
            accepted_at: now,
            expires_at: now,
            special: false,
            secure_channels: false,
            full_notice: true,
            fallback_email: false,
            sealed: SealedContent {
                wrapped_key: Sealed(wrapped.to_vec()),
                content: Sealed(sealed),
            },
            notice: Sealed(Vec::new()),
        }
    }

    struct Bed {
        contents: AcceptedContents,
        places: Vec<Position>,
    }

    /// Twenty messages of one citizen on a log.
    async fn bed() -> Bed {
        let world = World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0);
        let keys = keys(world.now());
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::in_memory(world.clone(), 4));
        let appender = log.appender().unwrap();
        let mut places = Vec::new();
        for n in 0..20 {
            let record = accepted(&keys, n, world.now());
            let key = record.citizen.to_string().into_bytes();
            let record = Outgoing {
                topic: Topic::Accepted(Lane::Live),
                key: key.clone(),
                partition_by: key,
                value: Some(world.codec.encode(&record)),
                headers: Headers::default(),
            };
            places.push(appender.append(record).await.unwrap());
        }
        Bed { contents: AcceptedContents::start(log, world, keys).unwrap(), places }
    }

    fn id(n: u64) -> MessageId {
        MessageId::from_parts(n, 1)
    }

    #[tokio::test]
    async fn a_message_that_is_only_accepted_is_opened_where_it_lies() {
        let bed = bed().await;
        for n in [0, 7, 19] {
            let found = bed.contents.open(id(n), bed.places[n as usize]).await;
            assert_eq!(found, Ok(Some(content(&format!("subject {n}")))));
        }
    }

    #[tokio::test]
    async fn another_message_at_that_place_is_not_shown() {
        let bed = bed().await;
        assert_eq!(bed.contents.open(id(3), bed.places[4]).await, Ok(None));
        let end = Position { offset: bed.places[19].offset + 1, ..bed.places[19] };
        assert_eq!(bed.contents.open(id(20), end).await, Ok(None));
    }

    #[tokio::test]
    async fn who_is_not_answered_in_time_is_told_so_however_many_stand_before() {
        let (asks, _nobody_reads) = mpsc::channel(WAITING);
        let keys = keys(Timestamp(0));
        let contents = AcceptedContents { asks, keys, answer_within: Duration::from_millis(10) };
        let at = TopicPartition { topic: Topic::Accepted(Lane::Live), partition: 0 };
        let opened = contents.open(id(1), Position { at, offset: 0 });
        let opened = timeout(Duration::from_secs(60), opened).await;
        assert_eq!(opened, Ok(Err(NotReady)));
    }

    #[tokio::test]
    async fn a_place_that_the_log_does_not_have_is_not_ready_rather_than_nothing() {
        let bed = bed().await;
        let at = TopicPartition { partition: 99, ..bed.places[0].at };
        let nowhere = Position { at, offset: 1_000 };
        assert_eq!(bed.contents.open(id(1), nowhere).await, Err(NotReady));
    }
}
