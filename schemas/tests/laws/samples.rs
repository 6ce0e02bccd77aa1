//! Two of each record: one with every optional field set, one with none.

use std::collections::BTreeMap;
use std::fmt::Debug;

use schemas::codec::Record;
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::*;
use schemas::topics::{Channel, Lane, Topic};

pub trait Sample: Record + PartialEq + Debug {
    fn full() -> Self;
    fn sparse() -> Self;
}

const CITIZEN: Pseudonym = Pseudonym([0xC1; 16]);
const GENERATION: Generation = Generation([0x0E; 16]);
const AT: Timestamp = Timestamp(1_700_000_000_123);
const LATER: Timestamp = Timestamp(1_700_003_600_456);

fn id() -> MessageId {
    MessageId::from_parts(1_700_000_000_123, 77)
}

fn service() -> ServiceId {
    ServiceId::from("01HSERVICE0000000000000000")
}

fn bytes(first: u8) -> Sealed {
    Sealed((0..40).map(|n| first.wrapping_add(n)).collect())
}

fn batch() -> BatchRow {
    BatchRow { batch_id: "spring".into(), row: 70_000 }
}

fn content() -> SealedContent {
    SealedContent { wrapped_key: bytes(1), content: bytes(2) }
}

impl Sample for MessageAccepted {
    fn full() -> Self {
        Self {
            message_id: id(),
            service_id: service(),
            citizen: CITIZEN,
            lane: Lane::Bulk,
            batch: Some(batch()),
            accepted_at: AT,
            expires_at: LATER,
            special: true,
            secure_channels: false,
            full_notice: true,
            fallback_email: false,
            sealed: content(),
            notice: bytes(3),
        }
    }

    fn sparse() -> Self {
        let accepted = Self::full();
        Self { batch: None, lane: Lane::Live, fallback_email: true, ..accepted }
    }
}

impl Sample for MessagePermitted {
    fn full() -> Self {
        let target =
            |channel, installation: &str| Target { channel, installation: installation.to_owned() };
        Self {
            accepted: MessageAccepted::full(),
            generation: GENERATION,
            notice_type: NoticeType::Full,
            language: "it_IT".into(),
            targets: vec![target(Channel::Apns, "phone"), target(Channel::Email, "")],
            consent_version: 12,
        }
    }

    fn sparse() -> Self {
        Self { accepted: MessageAccepted::sparse(), targets: Vec::new(), ..Self::full() }
    }
}

impl Sample for MessageStored {
    fn full() -> Self {
        Self {
            message_id: id(),
            citizen: CITIZEN,
            generation: GENERATION,
            service_id: service(),
            object: "20000/0011".into(),
            offset: 4_096,
            length: 1_024,
            wrapped_key: bytes(4),
            accepted_at: AT,
            kept_until: LATER,
        }
    }

    fn sparse() -> Self {
        Self { offset: 0, wrapped_key: Sealed::default(), ..Self::full() }
    }
}

impl Sample for Story {
    fn full() -> Self {
        let target = |channel, state| StoryTarget {
            channel,
            installation: "phone".into(),
            state,
            tries: 2,
            retry_at: LATER,
        };
        Self {
            message_id: id(),
            service_id: service(),
            citizen: CITIZEN,
            generation: Some(GENERATION),
            lane: Lane::Bulk,
            batch: Some(batch()),
            accepted_at: AT,
            deadline: LATER,
            fallback_at: LATER,
            special: false,
            secure_channels: true,
            full_notice: false,
            language: "de_DE".into(),
            notice_type: NoticeType::Anonymous,
            targets: vec![
                target(Channel::Apns, TargetState::Untried),
                target(Channel::Fcm, TargetState::Retry),
                target(Channel::Fcm, TargetState::Pending),
                target(Channel::Email, TargetState::Closed),
            ],
            attempts: vec![Attempt {
                channel: Channel::Fcm,
                outcome: OutcomeKind::Throttled,
                reason: Reason::Quota,
                at: AT,
            }],
            tries: 3,
            epoch: 1,
            next_sequence: 7,
            finished: true,
            wrapped_key: bytes(5),
            notice: bytes(6),
            content: Some(content()),
        }
    }

    fn sparse() -> Self {
        Self {
            generation: None,
            batch: None,
            targets: Vec::new(),
            attempts: Vec::new(),
            content: None,
            ..Self::full()
        }
    }
}

impl Sample for MessageStatus {
    fn full() -> Self {
        Self {
            message_id: id(),
            service_id: service(),
            batch: Some(batch()),
            epoch: 1,
            sequence: 4,
            status: Status::Notified,
            reason: Reason::Delivered,
            channel: Some(Channel::Apns),
            outcome: Some(OutcomeKind::Accepted),
            provider_id: Some("0b1c".into()),
            attempt: 2,
            at: AT,
        }
    }

    fn sparse() -> Self {
        Self { batch: None, channel: None, outcome: None, provider_id: None, ..Self::full() }
    }
}

impl Sample for MessageDecision {
    fn full() -> Self {
        Self {
            message_id: id(),
            channel: Channel::Email,
            generation: Some(GENERATION),
            consent_version: 3,
            decided_at: AT,
            outcome: OutcomeKind::Indeterminate,
            reason: Reason::NoAnswer,
            send_id: "s-1".into(),
        }
    }

    fn sparse() -> Self {
        Self { generation: None, ..Self::full() }
    }
}

impl Sample for CitizenProfile {
    fn full() -> Self {
        Self {
            citizen: CITIZEN,
            generation: GENERATION,
            version: 9,
            inbox_enabled: true,
            push_enabled: false,
            email_enabled: true,
            email_validated: false,
            email: Some(bytes(7)),
            mode: Mode::Legacy,
            settings_version: -1,
            blocked: BTreeMap::from([("a".into(), vec!["INBOX".into(), "EMAIL".into()])]),
            notice_type: NoticeType::Full,
            languages: vec!["it_IT".into(), "en_GB".into()],
            reminders: true,
            accepted_tos_version: serde_json::from_str("3.2").expect("a number"),
            last_app_version: "2.1.0".into(),
            updated_at: AT,
        }
    }

    fn sparse() -> Self {
        Self { email: None, blocked: BTreeMap::new(), languages: Vec::new(), ..Self::full() }
    }
}

impl Sample for CitizenKeyRecord {
    fn full() -> Self {
        Self { citizen: CITIZEN, generation: GENERATION, wrapped: bytes(8), created_at: AT }
    }

    fn sparse() -> Self {
        Self { wrapped: Sealed::default(), ..Self::full() }
    }
}

impl Sample for Preference {
    fn full() -> Self {
        Self {
            citizen: CITIZEN,
            generation: GENERATION,
            service_id: service(),
            settings_version: 2,
            inbox_enabled: true,
            email_enabled: false,
            push_enabled: true,
            read_access: "DENY".into(),
            updated_at: AT,
        }
    }

    fn sparse() -> Self {
        Self { read_access: String::new(), ..Self::full() }
    }
}

impl Sample for Activation {
    fn full() -> Self {
        let state = ActivationState::Pending;
        Self { citizen: CITIZEN, service_id: service(), state, version: 1, changed_at: AT }
    }

    fn sparse() -> Self {
        Self { state: ActivationState::Active, ..Self::full() }
    }
}

impl Sample for Unsubscribe {
    fn full() -> Self {
        Self { citizen: CITIZEN, service_id: service(), at: AT }
    }

    fn sparse() -> Self {
        Self { at: Timestamp(0), ..Self::full() }
    }
}

impl Sample for Device {
    fn full() -> Self {
        Self {
            citizen: CITIZEN,
            generation: GENERATION,
            installation: "phone".into(),
            platform: Platform::Apns,
            token: bytes(9),
            registered_at: AT,
        }
    }

    fn sparse() -> Self {
        Self { platform: Platform::Fcm, token: Sealed::default(), ..Self::full() }
    }
}

impl Sample for DeviceDeath {
    fn full() -> Self {
        Self { citizen: CITIZEN, installation: "phone".into(), since: AT, reported_at: LATER }
    }

    fn sparse() -> Self {
        Self { since: Timestamp(-1), ..Self::full() }
    }
}

impl Sample for CitizenErased {
    fn full() -> Self {
        Self { citizen: CITIZEN, generation: GENERATION, at: AT }
    }

    fn sparse() -> Self {
        Self { at: Timestamp(0), ..Self::full() }
    }
}

impl Sample for MailboxValidation {
    fn full() -> Self {
        Self {
            id: id(),
            citizen: CITIZEN,
            generation: GENERATION,
            email: bytes(6),
            asked_at: AT,
            until: LATER,
            tries: 2,
        }
    }

    fn sparse() -> Self {
        Self { email: Sealed(Vec::new()), tries: 0, ..Self::full() }
    }
}

impl Sample for ServiceRecord {
    fn full() -> Self {
        Self { service_id: service(), document: "{\"name\":\"Anagrafe\"}".into(), updated_at: AT }
    }

    fn sparse() -> Self {
        Self { document: String::new(), ..Self::full() }
    }
}

impl Sample for TransitKeyRecord {
    fn full() -> Self {
        let key_id = "0123456789abcdef".into();
        Self { key_id, valid_from: AT, destroy_after: LATER, wrapped: bytes(10) }
    }

    fn sparse() -> Self {
        Self { wrapped: Sealed::default(), ..Self::full() }
    }
}

impl Sample for DeadLetter {
    fn full() -> Self {
        Self {
            topic: Topic::Attempt(Channel::Apns, Lane::Live).name().into(),
            partition: 3,
            offset: 99,
            stage: "apns".into(),
            cause: "undecodable".into(),
            message_id: Some(id()),
            at: AT,
            wrapped_key: bytes(11),
            record: bytes(12),
        }
    }

    fn sparse() -> Self {
        Self { message_id: None, ..Self::full() }
    }
}

impl Sample for DeadResolution {
    fn full() -> Self {
        Self {
            topic: Topic::Attempt(Channel::Apns, Lane::Live).name().into(),
            partition: 3,
            offset: 99,
            how: "resent".into(),
            operator: "night".into(),
            at: AT,
        }
    }

    fn sparse() -> Self {
        Self { operator: String::new(), ..Self::full() }
    }
}

fn plan() -> BatchPlan {
    BatchPlan {
        created_at: AT,
        dry_run: true,
        not_before: Some(LATER),
        window_from: Some(480),
        window_to: Some(1_200),
        digest: (0..32).collect(),
        wrapped_key: bytes(13),
        settings: bytes(14),
    }
}

impl Sample for BatchChunk {
    fn full() -> Self {
        Self {
            batch_id: "spring".into(),
            number: 3,
            first_row: 3_000,
            rows: 1_000,
            refused: 7,
            repeated: 2,
            object: "20000/rows".into(),
            length: 123_456,
            wrapped_key: bytes(15),
        }
    }

    fn sparse() -> Self {
        Self { refused: 0, repeated: 0, ..Self::full() }
    }
}

impl Sample for BatchCommand {
    fn full() -> Self {
        Self {
            batch_id: "spring".into(),
            service_id: service(),
            at: AT,
            order: BatchOrder::Append,
            plan: Some(plan()),
            chunk: Some(BatchChunk::full()),
        }
    }

    fn sparse() -> Self {
        Self { order: BatchOrder::Cancel, plan: None, chunk: None, ..Self::full() }
    }
}

impl Sample for BatchState {
    fn full() -> Self {
        Self {
            batch_id: "spring".into(),
            service_id: service(),
            plan: plan(),
            phase: BatchPhase::Releasing,
            complete: true,
            chunks: 4,
            rows: 4_000,
            refused: 28,
            repeated: 8,
            released: 3_000,
            sent: 2_978,
            withdrawn: 1,
            answered: 9,
            updated_at: LATER,
        }
    }

    fn sparse() -> Self {
        let plan = BatchPlan { not_before: None, window_from: None, window_to: None, ..plan() };
        Self { plan, phase: BatchPhase::Paused, complete: false, ..Self::full() }
    }
}
