//! Messages as ingest would have accepted them, appended as ingest appends them.

use std::sync::Arc;
use std::time::Duration;

use consumers::keys::Keys;
use runtime::embedded::{Call, EmbeddedLog, Fault};
use runtime::log::{AppendError, Appender, Outgoing};
use runtime::world::World;
use schemas::content::{Content, Notice};
use schemas::headers::{Claim, Headers};
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::{MessageAccepted, Sealed, SealedContent};
use schemas::topics::{Lane, Topic};
use sealing::{KeyUse, MessageKey, Part};

use crate::history::History;
use crate::member::News;
use crate::people::fallback_address;
use crate::universe::{START, Universe};

/// What is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    pub at: Timestamp,
    pub nth: u64,
    pub to: Pseudonym,
    pub service: &'static str,
    pub time_to_live: Duration,
    pub fallback: bool,
    pub secure_channels: bool,
    /// Nobody can read the value; its headers name the message.
    pub spoilt: bool,
    /// A copy follows at a later position, as after an append of unknown outcome.
    pub twice: bool,
}

/// Everybody who sends.
pub struct Senders {
    pub universe: Universe,
    pub world: World,
    pub log: EmbeddedLog,
    pub appender: Arc<dyn Appender>,
    pub keys: Keys,
    pub history: History,
    pub news: News,
    /// One append in so many is refused or has an unknown outcome; none at 0.
    pub append_fault: u64,
}

impl Senders {
    /// Sends all of it, in order of time.
    pub async fn send(self, wishes: Vec<Wish>) {
        for wish in wishes {
            self.world.sleep_until(wish.at).await;
            let record = self.record(&wish);
            self.append(&record, !wish.spoilt).await;
            if wish.twice && !wish.spoilt {
                self.history.fault("message appended twice");
                self.world.sleep_until(self.world.now().plus(self.universe.millis(0, 9_000))).await;
                self.append(&record, true).await;
            }
        }
    }

    /// Until it is acknowledged, under one and the same id. What nobody can read is appended once: of
    /// copies of it nobody can tell that they are copies.
    async fn append(&self, record: &Outgoing, may_fail: bool) {
        loop {
            if may_fail && self.universe.once_in(self.append_fault) {
                let fault = match self.universe.draw(3) {
                    0 => Fault::RefuseBefore,
                    1 => Fault::AppliedButUnknown,
                    _ => Fault::NotAppliedUnknown,
                };
                self.history.fault("append failed or unknown");
                self.log.inject_at(Call::Append, fault);
            }
            self.news.tell();
            match self.appender.append(record.clone()).await {
                Ok(_) => return,
                Err(AppendError::NotTaken(_) | AppendError::Unknown(_) | AppendError::Fenced) => {
                    let wait = self.universe.millis(0, 2_000);
                    self.world.sleep_until(self.world.now().plus(wait)).await;
                }
            }
        }
    }

    fn record(&self, wish: &Wish) -> Outgoing {
        let now = self.world.now();
        let id = MessageId::from_parts(START.0.unsigned_abs() + wish.nth, wish.nth.into());
        let accepted = self.accepted(wish, id, now);
        let citizen = wish.to.to_string().into_bytes();
        let value = self.world.codec.encode(&accepted);
        Outgoing {
            topic: Topic::Accepted(Lane::Live),
            key: citizen.clone(),
            partition_by: citizen,
            value: Some(if wish.spoilt { b"rubbish".to_vec() } else { value }),
            headers: Headers {
                message_id: Some(id),
                service_id: Some(accepted.service_id),
                epoch: Some(0),
                next_sequence: Some(0),
                accepted_at: Some(now),
                claim: Some(claim(wish.nth)),
                ..Headers::default()
            },
        }
    }

    fn accepted(&self, wish: &Wish, id: MessageId, now: Timestamp) -> MessageAccepted {
        let entropy = self.keys.entropy.as_ref();
        let key = MessageKey::draw(entropy);
        let seal = |part, plain: Vec<u8>| {
            Sealed(key.seal(entropy, part, id, &plain).expect("a short text"))
        };
        let wrapped = self.keys.transit.read().wrap(entropy, KeyUse::Wire, now, id, &key);
        let content = serde_json::to_vec(&content(wish.to)).expect("plain data");
        let notice = serde_json::to_vec(&notice()).expect("plain data");
        MessageAccepted {
            message_id: id,
            service_id: ServiceId::from(wish.service),
            citizen: wish.to,
            lane: Lane::Live,
            batch: None,
            accepted_at: now,
            expires_at: now.plus(wish.time_to_live),
            special: false,
            secure_channels: wish.secure_channels,
            full_notice: !wish.secure_channels,
            fallback_email: wish.fallback,
            sealed: SealedContent {
                wrapped_key: Sealed(wrapped.expect("a transit key").to_vec()),
                content: seal(Part::Content, content),
            },
            notice: seal(Part::Notice, notice),
        }
    }
}

/// Every sender gives an `Idempotency-Key`: without one nothing would be appended twice.
fn claim(nth: u64) -> Claim {
    let mut name = [0; 32];
    name[..8].copy_from_slice(&nth.to_le_bytes());
    Claim { name, request: name }
}

fn content(to: Pseudonym) -> Content {
    Content {
        fiscal_code: "AAAAAA00A00A000A".into(),
        created_at: "2023-11-14T22:13:20.000Z".into(),
        time_to_live: 3_600,
        feature_level_type: "STANDARD".into(),
        content: serde_json::json!({"subject": "A subject of words", "markdown": "Some text."}),
        fallback_email: Some(fallback_address(to)),
        organisation: "Comune".into(),
        service: "Anagrafe".into(),
    }
}

fn notice() -> Notice {
    let [organisation, service, subject] =
        ["Comune", "Anagrafe", "A subject of words"].map(str::to_owned);
    Notice { organisation, service, subject }
}
