//! Laws of redrive, on a log in memory.

mod waiting;

use std::sync::Arc;
use std::time::Duration;

use runtime::dead::{self, SealBytes};
use runtime::embedded::EmbeddedLog;
use runtime::log::{Incoming, Log, Outgoing, Position, TopicPartition};
use runtime::world::{Sources, Task, World};
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{MessageAccepted, MessageStatus, Reason, Sealed, SealedContent, Status};
use schemas::topics::{Lane, Topic};
use sealing::{KeySchedule, KeySchedules, KeyUse, Keyring, SeededEntropy, TransitKeys};

use super::letters::to_the_end;
use super::{
    Backgrounds, Desk, Filter, Letters, Origin, Refusal, Standing, Verdict, again, standings,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const RESEND: Verdict = Verdict::Resend { mended: None };

struct Still;

impl Sources for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
    fn spawn(&self, _: Task) {}
    fn sleep_until(&self, _: Timestamp) -> Task {
        Box::pin(std::future::ready(()))
    }
}

fn id() -> MessageId {
    MessageId::from_parts(1, 1)
}

fn accepted(message_id: MessageId) -> MessageAccepted {
    MessageAccepted {
        message_id,
        service_id: ServiceId::from("s"),
        citizen: Pseudonym([1; 16]),
        lane: Lane::Live,
        batch: None,
        accepted_at: NOW,
        expires_at: NOW.plus(Duration::from_secs(3_600)),
        special: false,
        secure_channels: false,
        full_notice: false,
        fallback_email: false,
        sealed: SealedContent { wrapped_key: Sealed(vec![1]), content: Sealed(vec![2]) },
        notice: Sealed(vec![3]),
    }
}

struct Rig {
    log: EmbeddedLog,
    transit: TransitKeys,
    codec: Codec,
}

impl Rig {
    fn new() -> Self {
        let world = World::new(Arc::new(Still), Codec::default(), 1.0);
        let entropy = SeededEntropy::new(1);
        let keyring = Keyring::generate(&entropy, NOW);
        let daily = KeySchedule::daily(Duration::from_secs(86_400));
        let schedules = KeySchedules { wire: daily, dead_letter: daily, batch_rows: daily };
        let mut transit = TransitKeys::default();
        let due = transit.due_records(&entropy, keyring.masters(), NOW, &schedules);
        for record in due.expect("keys can be made") {
            transit.apply(keyring.masters(), &record).expect("its own record");
        }
        Self { log: EmbeddedLog::in_memory(world, 3), transit, codec: Codec::default() }
    }

    fn write(&self, records: Vec<Outgoing>) {
        self.log.writer("test").expect("a writer").write(records).expect("memory takes it");
    }

    /// A record of `message.accepted`, set aside with `value`; its FAILED took sequence 0.
    fn set_aside(&self, value: Vec<u8>, why: Reason) -> Origin {
        let headers = Headers {
            message_id: Some(id()),
            service_id: Some(ServiceId::from("s")),
            epoch: Some(0),
            next_sequence: Some(0),
            ..Headers::default()
        };
        let at = TopicPartition { topic: Topic::Accepted(Lane::Live), partition: 2 };
        let record = Incoming {
            position: Position { at, offset: 40 },
            appended_at: NOW,
            key: b"citizen".to_vec(),
            value: Some(value),
            headers: headers.to_raw(),
        };
        let ring = self.transit.clone();
        let seal: SealBytes = Arc::new(move |place: &str, plain: &[u8]| {
            let entropy = SeededEntropy::new(9);
            let sealed =
                ring.seal_envelope(&entropy, KeyUse::DeadLetter, NOW, place.as_bytes(), plain);
            let envelope = sealed.map_err(|_| Reason::KeyUnknown)?;
            Ok((envelope.wrapped_key.0, envelope.sealed.0))
        });
        let letter = dead::letter(&record, "consent", why, &seal, &self.codec, NOW);
        let failed = dead::failed(&headers, why, &self.codec, NOW).expect("headers name it");
        self.write(vec![letter.expect("sealed"), failed]);
        Origin { topic: at.topic.name().to_owned(), partition: 2, offset: 40 }
    }

    fn letters(&self) -> Letters {
        Letters::read(&self.log, &self.codec, &Filter::default(), NOW).expect("memory answers")
    }

    fn desk(&self) -> Desk<'_> {
        let operator = "op".to_owned();
        Desk::open(&self.log, &self.codec, &Filter::default(), operator, NOW).expect("a desk")
    }

    fn background(&self, verdict: &Verdict) -> Backgrounds {
        let letters = self.letters().open;
        standings(&self.log, &self.codec, &letters, verdict).expect("memory answers")
    }

    fn record(&self, verdict: &Verdict) -> Result<Option<Outgoing>, Refusal> {
        let letters = self.letters().open;
        self.background(verdict).record(&letters[0], verdict, &self.transit, &self.codec)
    }

    fn settle(&self, desk: &mut Desk<'_>, verdict: &Verdict) -> bool {
        let letter = desk.letters.open[0].clone();
        let record = self
            .background(verdict)
            .record(&letter, verdict, &self.transit, &self.codec)
            .expect("may be sent again");
        desk.settle(vec![(letter, verdict, record)], NOW).is_ok()
    }

    fn count(&self, topic: Topic) -> usize {
        let mut count = 0;
        to_the_end(&self.log, &[topic], |_| count += 1).expect("memory answers");
        count
    }
}

fn set_aside() -> Rig {
    let rig = Rig::new();
    rig.set_aside(rig.codec.encode(&accepted(id())), Reason::KeyMissing);
    rig
}

#[test]
fn a_letter_is_sent_again_once_though_two_operators_hold_it() {
    let rig = set_aside();
    let (mut first, mut second) = (rig.desk(), rig.desk());
    assert!(!rig.settle(&mut first, &RESEND), "the later desk fences the earlier");
    assert!(rig.settle(&mut second, &RESEND));
    assert_eq!(rig.count(Topic::Accepted(Lane::Live)), 1);
    assert!(rig.desk().letters.open.is_empty(), "who comes later sees it resolved");
}

#[test]
fn a_resolution_says_who_and_how() {
    let rig = set_aside();
    assert!(rig.settle(&mut rig.desk(), &Verdict::Drop));
    let resolved = rig.letters().resolved;
    assert_eq!(
        (&*resolved[0].resolution.operator, &*resolved[0].resolution.how),
        ("op", "dropped")
    );
    assert_eq!(rig.count(Topic::Accepted(Lane::Live)), 0, "a dropped letter sends nothing");
}

#[test]
fn a_resend_opens_the_next_epoch_and_runs_the_sequence_on() {
    let record = set_aside().record(&RESEND).expect("may be sent").expect("a record");
    assert_eq!((record.headers.epoch, record.headers.next_sequence), (Some(1), Some(1)));
    assert_eq!((record.topic, &*record.key), (Topic::Accepted(Lane::Live), &b"citizen"[..]));
}

#[test]
fn a_message_that_does_not_stand_at_failed_is_not_sent_again() {
    let rig = set_aside();
    let event = MessageStatus {
        message_id: id(),
        service_id: ServiceId::from("s"),
        batch: None,
        epoch: 1,
        sequence: 1,
        status: Status::Notified,
        reason: Reason::None,
        channel: None,
        outcome: None,
        provider_id: None,
        attempt: 1,
        at: NOW,
    };
    rig.write(vec![dead::status_record(&event, &Headers::default(), &rig.codec)]);
    assert_eq!(rig.record(&RESEND), Err(Refusal::NotFailed(Status::Notified)));
}

#[test]
fn an_undecodable_record_goes_out_only_mended() {
    let rig = Rig::new();
    rig.set_aside(b"poison".to_vec(), Reason::Undecodable);
    assert_eq!(rig.record(&RESEND), Err(Refusal::Undecodable(DecodeError::NoFrame)));
    let whole = rig.codec.encode(&accepted(id()));
    let mended = Verdict::Resend { mended: Some(whole.clone()) };
    let record = rig.record(&mended).expect("may be sent").expect("a record");
    assert_eq!(record.value, Some(whole));
}

#[test]
fn a_mended_record_of_another_message_is_refused() {
    let rig = set_aside();
    let other = rig.codec.encode(&accepted(MessageId::from_parts(2, 2)));
    let mended = Verdict::Resend { mended: Some(other) };
    assert_eq!(rig.record(&mended), Err(Refusal::OtherMessage));
}

#[test]
fn a_restart_begins_with_the_accepted_record() {
    let rig = Rig::new();
    rig.set_aside(b"poison".to_vec(), Reason::Undecodable);
    assert_eq!(rig.record(&Verdict::Restart), Err(Refusal::NoBeginning));
    let whole = rig.codec.encode(&accepted(id()));
    let headers = Headers { message_id: Some(id()), ..Headers::default() };
    let topic = Topic::Accepted(Lane::Live);
    let key = b"citizen".to_vec();
    let begun =
        Outgoing { topic, partition_by: key.clone(), key, value: Some(whole.clone()), headers };
    rig.write(vec![begun]);
    let record = rig.record(&Verdict::Restart).expect("may be sent").expect("a record");
    assert_eq!((record.value, record.headers.epoch), (Some(whole), Some(1)));
}

#[test]
fn of_several_letters_of_one_message_one_goes_out_in_a_run() {
    let rig = set_aside();
    let letters = rig.letters().open;
    let mut background = rig.background(&RESEND);
    let mut decide = |verdict: &Verdict| {
        let record = background.record(&letters[0], verdict, &rig.transit, &rig.codec);
        record.map(|record| record.is_some())
    };
    assert_eq!(decide(&RESEND), Ok(true));
    assert_eq!(decide(&RESEND), Err(Refusal::AnotherLetter));
    assert_eq!(decide(&Verdict::Drop), Ok(false), "a drop sends nothing");
}

#[test]
fn a_letter_under_a_destroyed_or_unknown_key_stays_where_it_is() {
    let mut rig = set_aside();
    rig.transit = TransitKeys::default();
    assert!(matches!(rig.record(&RESEND), Err(Refusal::Sealed(_))));
}

#[test]
fn a_record_that_no_stage_reads_is_not_sent_again() {
    let original = dead::Original { key: vec![], value: vec![], headers: vec![] };
    let standing = Some(Standing { epoch: 0, sequence: 0, status: Status::Failed });
    let refused = again(Topic::Profile.name(), None, original, None, standing, &Codec::default());
    assert_eq!(refused, Err(Refusal::NotOurs(Topic::Profile.name().to_owned())));
}

#[test]
fn a_filter_names_letters_by_each_of_its_words() {
    let rig = set_aside();
    let origin = rig.letters().open[0].origin();
    let check = |filter: Filter, expected: usize| {
        let later = NOW.plus(Duration::from_secs(60));
        let letters = Letters::read(&rig.log, &rig.codec, &filter, later).expect("memory answers");
        assert_eq!(letters.open.len(), expected, "{filter:?}");
    };
    let all = Filter::default;
    let word = |text: &str| Some(text.to_owned());
    check(all(), 1);
    check(Filter { origins: vec![origin], ..all() }, 1);
    check(Filter { message: Some(id()), ..all() }, 1);
    check(Filter { message: Some(MessageId::from_parts(9, 9)), ..all() }, 0);
    check(Filter { cause: word("key_missing"), ..all() }, 1);
    check(Filter { cause: word("undecodable"), ..all() }, 0);
    check(Filter { stage: word("vault"), ..all() }, 0);
    check(Filter { topic: word(Topic::Accepted(Lane::Live).name()), ..all() }, 1);
    check(Filter { service: Some(ServiceId::from("t")), ..all() }, 0);
    check(Filter { older_than: Some(Duration::from_secs(61)), ..all() }, 0);
    check(Filter { newer_than: Some(Duration::from_secs(59)), ..all() }, 0);
    check(Filter { newer_than: Some(Duration::from_secs(60)), ..all() }, 1);
}
