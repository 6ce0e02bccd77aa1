//! How a citizen lies in Redis: keys, fields, values. `operations.lua` writes what is read here.

use runtime::log::Incoming;
use schemas::codec::Codec;
use schemas::ids::{Generation, Pseudonym, ServiceId};
use schemas::records::MessageStored;

use super::group;
use crate::directory::{Change, Dossier, Fact, Part};
use crate::view::{Operation, Routed};

/// A hash as Redis gives it.
pub(super) type Hash = Vec<(Vec<u8>, Vec<u8>)>;

/// Every value begins with its generation; zeros where it has none.
const GENERATION: usize = 16;

pub(super) fn person(base: &str, citizen: Pseudonym) -> String {
    format!("{base}c:{citizen}")
}

pub(super) fn choices(base: &str, citizen: Pseudonym) -> String {
    format!("{base}p:{citizen}")
}

pub(super) fn inbox(base: &str, citizen: Pseudonym) -> String {
    format!("{base}i:{citizen}")
}

/// The fields that speak of one service.
pub(super) fn of_service(service: &ServiceId) -> [Vec<u8>; 3] {
    [
        Part::Preference(service.clone()),
        Part::Activation(service.clone()),
        Part::Unsubscribe(service.clone()),
    ]
    .map(|part| field(&part))
}

fn field(part: &Part) -> Vec<u8> {
    let text = match part {
        Part::Profile => "profile".to_owned(),
        Part::Key(generation) => format!("key:{generation}"),
        Part::Preference(service) => format!("pref:{service}"),
        Part::Activation(service) => format!("act:{service}"),
        Part::Unsubscribe(service) => format!("unsub:{service}"),
        Part::Device(installation) => format!("dev:{installation}"),
        Part::Death(installation) => format!("death:{installation}"),
        Part::Erasure(generation) => return [b"x:", &generation.0[..]].concat(),
        Part::Unknown(what) => format!("unknown:{what}"),
    };
    text.into_bytes()
}

fn part(field: &[u8]) -> Part {
    if let Some(generation) = field.strip_prefix(b"x:").and_then(|it| it.try_into().ok()) {
        return Part::Erasure(Generation(generation));
    }
    let text = String::from_utf8_lossy(field);
    match text.split_once(':') {
        None if text == "profile" => Part::Profile,
        Some(("pref", rest)) => Part::Preference(rest.into()),
        Some(("act", rest)) => Part::Activation(rest.into()),
        Some(("unsub", rest)) => Part::Unsubscribe(rest.into()),
        Some(("key", rest)) => match rest.parse() {
            Ok(generation) => Part::Key(generation),
            Err(_) => Part::Unknown(text.into_owned()),
        },
        Some(("dev", rest)) => Part::Device(rest.to_owned()),
        Some(("death", rest)) => Part::Death(rest.to_owned()),
        Some(("unknown", rest)) => Part::Unknown(rest.to_owned()),
        Some(_) | None => Part::Unknown(text.into_owned()),
    }
}

/// What a change does, and in which group; nothing where it names nobody.
pub(super) fn operation(record: &Incoming, change: Change) -> Option<Routed> {
    let value = record.value.clone().unwrap_or_default();
    let operation = |kind, id: Pseudonym, field, extra, value| {
        let id = id.to_string();
        Operation { kind, position: record.position, id, field, extra, value }
    };
    Some(match change {
        Change::Put(citizen, Fact::Erased(it)) => {
            let field = field(&Part::Erasure(it.generation));
            let extra = it.generation.0.to_vec();
            (Some(group(citizen)), operation("erase", citizen, field, extra, value))
        }
        Change::Put(citizen, fact) => {
            let extra = fact.generation().map(|it| it.0.to_vec()).unwrap_or_default();
            let field = field(&fact.part().1);
            (Some(group(citizen)), operation("put", citizen, field, extra, value))
        }
        Change::Remove(citizen, part) => {
            let it = operation("remove", citizen, field(&part), Vec::new(), Vec::new());
            (Some(group(citizen)), it)
        }
        Change::Held(citizen, part) => {
            let it = operation("hold", citizen, field(&part), Vec::new(), Vec::new());
            (Some(group(citizen)), it)
        }
        Change::Stored(it) => {
            let field = it.message_id.to_string().into_bytes();
            let extra = it.generation.0.to_vec();
            (Some(group(it.citizen)), operation("store", it.citizen, field, extra, value))
        }
        // Whose it was only its group knows.
        Change::Unstored(message) => {
            let field = message.to_string().into_bytes();
            (None, operation("unstore", Pseudonym([0; 16]), field, Vec::new(), Vec::new()))
        }
        Change::Nameless | Change::Unread(_) => return None,
    })
}

/// A citizen out of their fields. What cannot be read holds them, as on the log.
pub(super) fn dossier(fields: impl Iterator<Item = (Vec<u8>, Vec<u8>)>, codec: &Codec) -> Dossier {
    let mut dossier = Dossier::default();
    for (name, value) in fields {
        if let Some(held) = name.strip_prefix(b"h:") {
            dossier.held.insert(part(held));
            continue;
        }
        let part = part(&name);
        let fact = value.get(GENERATION..).and_then(|it| Fact::read(&part, it, codec));
        match fact {
            Some(Ok(fact)) => dossier.put(fact),
            Some(Err(_)) | None => {
                dossier.held.insert(part);
            }
        }
    }
    dossier
}

pub(super) fn generation(value: &[u8]) -> Option<Generation> {
    value.first_chunk::<GENERATION>().map(|it| Generation(*it))
}

/// A stored message of the present registration.
pub(super) fn stored(
    value: &[u8],
    present: Option<Generation>,
    codec: &Codec,
) -> Option<MessageStored> {
    let of_now = generation(value).is_some() && generation(value) == present;
    let value = value.get(GENERATION..).filter(|_| of_now)?;
    codec.decode(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_by_its_field() {
        let generation = Generation(*b"ab:cd\0efghijklmn");
        for it in [
            Part::Profile,
            Part::Key(generation),
            Part::Preference("a:b".into()),
            Part::Activation("a".into()),
            Part::Unsubscribe("a".into()),
            Part::Device("dev:1".into()),
            Part::Death("x:".into()),
            Part::Erasure(generation),
            Part::Unknown("citizen.device/".into()),
        ] {
            assert_eq!(part(&field(&it)), it);
        }
    }
}
