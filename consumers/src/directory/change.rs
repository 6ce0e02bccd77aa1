//! What one record of the directory's topics changes.

use runtime::log::Incoming;
use schemas::codec::{Codec, DecodeError, Record};
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId};
use schemas::records::{
    Activation, CitizenErased, CitizenKeyRecord, CitizenProfile, Device, DeviceDeath,
    MessageStored, Preference, Unsubscribe,
};
use schemas::topics::Topic;

use crate::view::{ViewError, unread};

/// A record, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Replaces whatever stood in the same part.
    Put(Pseudonym, Fact),
    /// A tombstone.
    Remove(Pseudonym, Part),
    Stored(MessageStored),
    Unstored(MessageId),
    /// Undecodable: the citizen is held until the part is written anew.
    Held(Pseudonym, Part),
    /// Neither citizen nor message can be named: operators must look.
    Nameless,
    /// Another version of this program can read it: it is neither understood here nor passed over.
    Unread(DecodeError),
}

/// Where a fact belongs within a citizen's dossier; one record key, one part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Profile,
    Key(Generation),
    Preference(ServiceId),
    Activation(ServiceId),
    Unsubscribe(ServiceId),
    Device(String),
    Death(String),
    Erasure(Generation),
    /// The key is a citizen's, what follows the pseudonym is not understood.
    Unknown(String),
}

/// A citizen's record.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    Profile(Box<CitizenProfile>),
    Key(CitizenKeyRecord),
    Preference(Preference),
    Activation(Activation),
    Unsubscribe(Unsubscribe),
    Device(Device),
    Death(DeviceDeath),
    Erased(CitizenErased),
}

impl Fact {
    /// Where it belongs, and to whom.
    #[must_use]
    pub fn part(&self) -> (Pseudonym, Part) {
        match self {
            Self::Profile(it) => (it.citizen, Part::Profile),
            Self::Key(it) => (it.citizen, Part::Key(it.generation)),
            Self::Preference(it) => (it.citizen, Part::Preference(it.service_id.clone())),
            Self::Activation(it) => (it.citizen, Part::Activation(it.service_id.clone())),
            Self::Unsubscribe(it) => (it.citizen, Part::Unsubscribe(it.service_id.clone())),
            Self::Device(it) => (it.citizen, Part::Device(it.installation.clone())),
            Self::Death(it) => (it.citizen, Part::Death(it.installation.clone())),
            Self::Erased(it) => (it.citizen, Part::Erasure(it.generation)),
        }
    }

    /// The registration it belongs to; facts without one outlive registrations.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        match self {
            Self::Profile(it) => Some(it.generation),
            Self::Key(it) => Some(it.generation),
            Self::Preference(it) => Some(it.generation),
            Self::Device(it) => Some(it.generation),
            Self::Activation(_) | Self::Unsubscribe(_) | Self::Death(_) | Self::Erased(_) => None,
        }
    }

    /// Reads a value that lies in `part`; `None` where nobody knows what belongs there.
    pub(crate) fn read(
        part: &Part,
        value: &[u8],
        codec: &Codec,
    ) -> Option<Result<Self, DecodeError>> {
        fn of<R: Record>(
            codec: &Codec,
            value: &[u8],
            fact: fn(R) -> Fact,
        ) -> Option<Result<Fact, DecodeError>> {
            Some(codec.decode(value).map(fact))
        }
        match part {
            Part::Profile => of(codec, value, |it| Self::Profile(Box::new(it))),
            Part::Key(_) => of(codec, value, Self::Key),
            Part::Preference(_) => of(codec, value, Self::Preference),
            Part::Activation(_) => of(codec, value, Self::Activation),
            Part::Unsubscribe(_) => of(codec, value, Self::Unsubscribe),
            Part::Device(_) => of(codec, value, Self::Device),
            Part::Death(_) => of(codec, value, Self::Death),
            Part::Erasure(_) => of(codec, value, Self::Erased),
            Part::Unknown(_) => None,
        }
    }
}

impl Change {
    /// Reads a record of one of [`topics`](super::topics). Keys are the pseudonym's 32 hex digits,
    /// followed by `+` and the rest where the catalogue names a second half. A record whose value
    /// names another key than its own counts as undecodable.
    #[must_use]
    pub fn read(record: &Incoming, codec: &Codec) -> Self {
        if record.position.at.topic == Topic::Stored {
            return Self::read_stored(record, codec);
        }
        let Some((citizen, part)) = named(record) else { return Self::Nameless };
        let Some(value) = &record.value else { return Self::Remove(citizen, part) };
        match Fact::read(&part, value, codec) {
            Some(Ok(fact)) if fact.part() == (citizen, part.clone()) => Self::Put(citizen, fact),
            Some(Err(error)) if error.is_of_another_version() => Self::Unread(error),
            Some(Ok(_) | Err(_)) | None => Self::Held(citizen, part),
        }
    }

    fn read_stored(record: &Incoming, codec: &Codec) -> Self {
        let key = std::str::from_utf8(&record.key).ok().and_then(|key| key.parse().ok());
        match (key, &record.value) {
            (Some(message), None) => Self::Unstored(message),
            (Some(message), Some(value)) => match codec.decode::<MessageStored>(value) {
                Ok(stored) if stored.message_id == message => Self::Stored(stored),
                Err(error) if error.is_of_another_version() => Self::Unread(error),
                Ok(_) | Err(_) => Self::Nameless,
            },
            (None, _) => Self::Nameless,
        }
    }
}

/// The changes of a read, or why it must be read again by somebody else.
///
/// # Errors
/// `Down`: a record of another version. Nothing of the read may be applied.
pub(super) fn changes(records: &[Incoming], codec: &Codec) -> Result<Vec<Change>, ViewError> {
    let read = |record: &Incoming| {
        let change = Change::read(record, codec);
        if let Change::Unread(error) = &change { Err(unread(record, error)) } else { Ok(change) }
    };
    records.iter().map(read).collect()
}

/// Whose record it is and where it belongs, by topic and key.
fn named(record: &Incoming) -> Option<(Pseudonym, Part)> {
    let key = std::str::from_utf8(&record.key).ok()?;
    let (citizen, rest) = match key.split_once('+') {
        Some((citizen, rest)) => (citizen, Some(rest)),
        None => (key, None),
    };
    Some((citizen.parse().ok()?, part(record.position.at.topic, rest)))
}

fn part(topic: Topic, rest: Option<&str>) -> Part {
    let part = match (topic, rest) {
        (Topic::Profile, None) => Some(Part::Profile),
        (Topic::CitizenKey, Some(rest)) => rest.parse().ok().map(Part::Key),
        (Topic::Preference, Some(rest)) => Some(Part::Preference(rest.into())),
        (Topic::Activation, Some(rest)) => Some(Part::Activation(rest.into())),
        (Topic::Unsubscribe, Some(rest)) => Some(Part::Unsubscribe(rest.into())),
        (Topic::Device, Some(rest)) => Some(Part::Device(rest.to_owned())),
        (Topic::DeviceDeath, Some(rest)) => Some(Part::Death(rest.to_owned())),
        (Topic::Erased, Some(rest)) => rest.parse().ok().map(Part::Erasure),
        (_, _) => None,
    };
    part.unwrap_or_else(|| Part::Unknown(format!("{topic}/{}", rest.unwrap_or_default())))
}
