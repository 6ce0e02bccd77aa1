//! Citizens' records as they lie on the log. Keys: the pseudonym, and what the catalogue names behind
//! it after a `+`; partitioned by the pseudonym, so that one citizen's records share a partition.

use runtime::log::Outgoing;
use schemas::codec::{Codec, Record};
use schemas::headers::Headers;
use schemas::ids::{MessageId, Pseudonym};
use schemas::records::{
    Activation, CitizenErased, CitizenKeyRecord, CitizenProfile, Device, MailboxValidation,
    Preference, Unsubscribe,
};
use schemas::topics::Topic;

/// A record of a citizen's, with its place on the log.
pub(super) trait Fact: Record {
    const TOPIC: Topic;
    fn citizen(&self) -> Pseudonym;
    /// What stands behind the pseudonym in the key; empty where nothing does.
    fn rest(&self) -> String;
}

macro_rules! facts {
    ($($type:ty => $topic:ident, |$it:ident| $rest:expr;)*) => {$(
        impl Fact for $type {
            const TOPIC: Topic = Topic::$topic;
            fn citizen(&self) -> Pseudonym {
                self.citizen
            }
            fn rest(&self) -> String {
                let $it = self;
                $rest
            }
        }
    )*};
}

facts! {
    CitizenProfile => Profile, |_it| String::new();
    CitizenKeyRecord => CitizenKey, |it| it.generation.to_string();
    Preference => Preference, |it| it.service_id.to_string();
    Activation => Activation, |it| it.service_id.to_string();
    Unsubscribe => Unsubscribe, |it| it.service_id.to_string();
    Device => Device, |it| it.installation.clone();
    CitizenErased => Erased, |it| it.generation.to_string();
    MailboxValidation => Validation, |_it| String::new();
}

/// The record that says `fact`.
pub(super) fn put<F: Fact>(codec: &Codec, fact: &F) -> Outgoing {
    let value = Some(codec.encode(fact));
    Outgoing { value, ..tombstone(F::TOPIC, fact.citizen(), &fact.rest()) }
}

/// The record that takes back what was said under the same key.
pub(super) fn tombstone(topic: Topic, citizen: Pseudonym, rest: &str) -> Outgoing {
    let key = if rest.is_empty() { citizen.to_string() } else { format!("{citizen}+{rest}") };
    outgoing(topic, key, citizen)
}

/// A stored message's end.
pub(super) fn unstore(citizen: Pseudonym, message: MessageId) -> Outgoing {
    outgoing(Topic::Stored, message.to_string(), citizen)
}

fn outgoing(topic: Topic, key: String, citizen: Pseudonym) -> Outgoing {
    Outgoing {
        topic,
        key: key.into_bytes(),
        partition_by: citizen.to_string().into_bytes(),
        value: None,
        headers: Headers::default(),
    }
}
