//! Records as each topic holds them, made without the stages before it.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use runtime::log::{Log, Outgoing};
use schemas::codec::Codec;
use schemas::content::{Content, Notice};
use schemas::headers::Headers;
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{
    CitizenProfile, Device, MailboxValidation, MessageAccepted, MessagePermitted, NoticeType,
    Sealed, SealedContent, Story, StoryTarget, Target, TargetState, TransitKeyRecord,
};
use schemas::topics::{Channel, Lane, Topic};
use sealing::{FiscalCode, KeyUse, Keyring, MessageKey, Part, SystemEntropy, TransitKeys};

use crate::search::everything;

/// A service of the sample with every usual right.
const SERVICE: &str = "01JNDKQJM0THQ3F7T59F27VNZ4";

/// Writes what a stage of this installation would have written.
pub struct Maker {
    transit: TransitKeys,
    citizen: Pseudonym,
    generation: Generation,
    devices: Vec<(Channel, String)>,
    validation: MailboxValidation,
    now: Timestamp,
    nth: Cell<u64>,
}

impl Maker {
    /// For the citizen of this code, who is on board with a device of each kind and a mailbox.
    /// Somebody has already asked for a link that validates an address. Ids run on from `first`.
    pub fn new(keyring: &Path, log: &dyn Log, code: &str, now: Timestamp, first: u64) -> Self {
        let keyring = Keyring::load(keyring).unwrap();
        let code: FiscalCode = code.parse().unwrap();
        let citizen = keyring.pepper().pseudonym(&code);
        let mut transit = TransitKeys::default();
        for key in decoded::<TransitKeyRecord>(log, Topic::TransitKey) {
            transit.apply(keyring.masters(), &key).unwrap();
        }
        let profile = decoded::<CitizenProfile>(log, Topic::Profile);
        let profile = profile.iter().rfind(|it| it.citizen == citizen).unwrap();
        let devices = decoded::<Device>(log, Topic::Device).into_iter();
        let devices = devices.filter(|it| it.citizen == citizen);
        let devices = devices.map(|it| (channel(it.platform), it.installation)).collect();
        let validation = decoded::<MailboxValidation>(log, Topic::Validation).pop().unwrap();
        let (generation, nth) = (profile.generation, Cell::new(first));
        Self { transit, citizen, generation, devices, validation, now, nth }
    }

    /// A message of its own, as it lies in `topic`.
    pub fn record(&self, topic: Topic) -> Outgoing {
        let nth = self.nth.get();
        self.nth.set(nth + 1);
        let id = MessageId::from_parts(self.now.0.unsigned_abs(), u128::from(nth));
        if topic == Topic::Validation {
            let again = MailboxValidation { id, ..self.validation.clone() };
            let headers = Headers { message_id: Some(id), ..Headers::default() };
            return outgoing(topic, again.citizen, Codec::default().encode(&again), headers);
        }
        let lane = runtime::delay::lane_of(topic);
        let channel = if let Topic::Attempt(channel, _) = topic { channel } else { Channel::Apns };
        let accepted = self.accepted(id, lane);
        let mut headers = Headers {
            message_id: Some(id),
            service_id: Some(accepted.service_id.clone()),
            epoch: Some(0),
            next_sequence: Some(0),
            accepted_at: Some(self.now),
            ..Headers::default()
        };
        let codec = Codec::default();
        let value = if matches!(topic, Topic::Accepted(_)) {
            codec.encode(&accepted)
        } else if matches!(topic, Topic::Permitted(_)) {
            codec.encode(&self.permitted(accepted))
        } else {
            codec.encode(&self.story(accepted, channel))
        };
        if let Topic::Delay(_, lane) = topic {
            headers.not_before = Some(self.now);
            headers.return_to = Some(Topic::Attempt(Channel::Apns, lane).name().to_owned());
        }
        outgoing(topic, self.citizen, value, headers)
    }

    fn accepted(&self, id: MessageId, lane: Lane) -> MessageAccepted {
        let key = MessageKey::draw(&SystemEntropy);
        let seal =
            |part, plain: Vec<u8>| Sealed(key.seal(&SystemEntropy, part, id, &plain).unwrap());
        let wrapped = self.transit.wrap(&SystemEntropy, KeyUse::Wire, self.now, id, &key).unwrap();
        MessageAccepted {
            message_id: id,
            service_id: ServiceId::from(SERVICE),
            citizen: self.citizen,
            lane,
            batch: None,
            accepted_at: self.now,
            expires_at: self.now.plus(Duration::from_secs(3_600)),
            special: false,
            secure_channels: false,
            full_notice: true,
            fallback_email: false,
            sealed: SealedContent {
                wrapped_key: Sealed(wrapped.to_vec()),
                content: seal(Part::Content, serde_json::to_vec(&content()).unwrap()),
            },
            notice: seal(Part::Notice, serde_json::to_vec(&notice()).unwrap()),
        }
    }

    fn permitted(&self, accepted: MessageAccepted) -> MessagePermitted {
        let targets = self.devices.iter();
        let targets = targets.map(|(channel, installation)| Target {
            channel: *channel,
            installation: installation.clone(),
        });
        MessagePermitted {
            accepted,
            generation: self.generation,
            notice_type: NoticeType::Full,
            language: "it_IT".into(),
            targets: targets.collect(),
            consent_version: 1,
        }
    }

    fn story(&self, accepted: MessageAccepted, channel: Channel) -> Story {
        let installation = self.devices.iter().find(|it| it.0 == channel);
        let target = StoryTarget {
            channel,
            installation: installation.map(|it| it.1.clone()).unwrap_or_default(),
            state: TargetState::Untried,
            tries: 0,
            retry_at: Timestamp(0),
        };
        Story {
            message_id: accepted.message_id,
            service_id: accepted.service_id,
            citizen: accepted.citizen,
            generation: Some(self.generation),
            lane: accepted.lane,
            batch: None,
            accepted_at: accepted.accepted_at,
            deadline: accepted.expires_at,
            fallback_at: accepted.accepted_at,
            special: false,
            secure_channels: false,
            full_notice: true,
            language: "it_IT".into(),
            notice_type: NoticeType::Full,
            targets: vec![target],
            attempts: Vec::new(),
            tries: 0,
            epoch: 0,
            next_sequence: 0,
            finished: false,
            wrapped_key: accepted.sealed.wrapped_key,
            notice: accepted.notice,
            content: None,
        }
    }
}

/// What a topic holds and this version can read.
pub fn decoded<R: schemas::codec::Record>(log: &dyn Log, topic: Topic) -> Vec<R> {
    let records = everything(log, &[topic]).into_iter();
    records.filter_map(|it| Codec::default().decode(&it.value?).ok()).collect()
}

fn channel(platform: schemas::records::Platform) -> Channel {
    match platform {
        schemas::records::Platform::Apns => Channel::Apns,
        schemas::records::Platform::Fcm => Channel::Fcm,
    }
}

fn outgoing(topic: Topic, citizen: Pseudonym, value: Vec<u8>, headers: Headers) -> Outgoing {
    let key = citizen.to_string().into_bytes();
    Outgoing { topic, partition_by: key.clone(), key, value: Some(value), headers }
}

fn content() -> Content {
    Content {
        fiscal_code: "AAAAAA00A00A000A".into(),
        created_at: "2023-11-14T22:13:20.000Z".into(),
        time_to_live: 3_600,
        feature_level_type: "STANDARD".into(),
        content: serde_json::json!({"subject": "Un oggetto di prova", "markdown": "Un testo."}),
        fallback_email: None,
        organisation: "Comune".into(),
        service: "Anagrafe".into(),
    }
}

fn notice() -> Notice {
    let [organisation, service, subject] =
        ["Comune", "Anagrafe", "Un oggetto di prova"].map(str::to_owned);
    Notice { organisation, service, subject }
}
