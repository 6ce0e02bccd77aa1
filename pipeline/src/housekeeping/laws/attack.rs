//! Somebody with every file, the keyring, and a good memory for all that is no key: which bytes were
//! sealed, for whom, in which message, when each transit key was made. What opens, opens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aho_corasick::AhoCorasick;
use runtime::log::Log;
use schemas::codec::{Codec, Record};
use schemas::ids::{Generation, MessageId, Pseudonym};
use schemas::records::{
    CitizenKeyRecord, CitizenProfile, DeadLetter, Device, MessageAccepted, MessageStored,
    TransitKeyRecord,
};
use schemas::topics::{Lane, Topic};
use sealing::{
    CitizenKey, Field, KEPT_KEY_LEN, Keyring, MessageKey, Part, TransitKeys, WRAPPED_LEN,
};

use super::read;

/// What was ever sealed, and by which names; no key.
#[derive(Default)]
pub struct Knowledge {
    registrations: BTreeSet<(Pseudonym, Generation)>,
    addresses: BTreeSet<(Pseudonym, Vec<u8>)>,
    tokens: BTreeSet<(Pseudonym, String, Vec<u8>)>,
    messages: BTreeMap<MessageId, BTreeSet<(bool, Vec<u8>)>>,
    transit: BTreeMap<String, TransitKeyRecord>,
    masters: BTreeSet<Vec<u8>>,
}

impl Knowledge {
    /// Takes in all that the log shows now.
    pub fn learn(&mut self, log: &dyn Log, keyring: &Keyring) {
        self.masters.insert(hex::decode(keyring.masters().newest().to_string()).expect("hex"));
        for key in all::<CitizenKeyRecord>(log, Topic::CitizenKey) {
            self.registrations.insert((key.citizen, key.generation));
        }
        for profile in all::<CitizenProfile>(log, Topic::Profile) {
            let sealed = profile.email.map(|email| (profile.citizen, email.0));
            self.addresses.extend(sealed);
        }
        for device in all::<Device>(log, Topic::Device) {
            self.tokens.insert((device.citizen, device.installation, device.token.0));
        }
        for accepted in all::<MessageAccepted>(log, Topic::Accepted(Lane::Live)) {
            let parts = [(true, accepted.sealed.content.0), (false, accepted.notice.0)];
            self.messages.entry(accepted.message_id).or_default().extend(parts);
        }
        for stored in all::<MessageStored>(log, Topic::Stored) {
            self.messages.entry(stored.message_id).or_default();
        }
        for key in all::<TransitKeyRecord>(log, Topic::TransitKey) {
            self.transit.insert(key.key_id.clone(), key);
        }
    }

    /// Every text that can be had out of the files in `folder` and the letters on `log`.
    pub fn loot(&self, folder: &Path, log: &dyn Log, keyring: &Keyring) -> Vec<String> {
        let mut bytes = files(folder);
        let (citizens, ring) = self.keys_under_the_masters(&bytes, keyring);
        for letter in all::<DeadLetter>(log, Topic::DeadLetter) {
            let place = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
            let (key, record) = (&letter.wrapped_key.0, &letter.record.0);
            bytes.extend(ring.open_envelope(place.as_bytes(), key, record).ok());
        }
        let mut texts = Vec::new();
        for (id, key) in self.message_keys(&bytes, &citizens, &ring) {
            for (is_content, sealed) in &self.messages[&id] {
                let part = if *is_content { Part::Content } else { Part::Notice };
                texts.extend(key.open(part, id, sealed).ok());
            }
        }
        let mut texts: Vec<_> =
            texts.into_iter().map(|it| String::from_utf8(it).expect("json")).collect();
        for key in &citizens {
            let mine = |(citizen, sealed): &(Pseudonym, Vec<u8>)| {
                let open = || key.open_field(Field::EmailAddress, sealed).ok();
                (*citizen == key.citizen()).then(open).flatten()
            };
            texts.extend(self.addresses.iter().filter_map(mine));
            for (_, installation, sealed) in &self.tokens {
                let field = Field::DeviceToken { installation };
                texts.extend(key.open_field(field, sealed).ok());
            }
        }
        texts
    }

    /// Whatever a master key opens.
    fn keys_under_the_masters(
        &self,
        bytes: &[Vec<u8>],
        keyring: &Keyring,
    ) -> (Vec<CitizenKey>, TransitKeys) {
        let (mut citizens, mut ring) = (Vec::new(), TransitKeys::default());
        for wrapped in behind(&self.masters, WRAPPED_LEN, bytes) {
            let opened = self.registrations.iter().filter_map(|(citizen, generation)| {
                keyring.masters().unwrap_citizen(*citizen, *generation, wrapped).ok()
            });
            citizens.extend(opened);
            for known in self.transit.values() {
                let wrapped = schemas::records::Sealed(wrapped.to_vec());
                // Most are other keys' bytes: only those that open are taken.
                let _ =
                    ring.apply(keyring.masters(), &TransitKeyRecord { wrapped, ..known.clone() });
            }
        }
        (citizens, ring)
    }

    /// Message keys, from whatever transit or citizen keys open.
    fn message_keys(
        &self,
        bytes: &[Vec<u8>],
        citizens: &[CitizenKey],
        ring: &TransitKeys,
    ) -> Vec<(MessageId, MessageKey)> {
        let ids = self.transit.keys().map(|id| hex::decode(id).expect("hex")).collect();
        let mut keys = Vec::new();
        for wrapped in behind(&ids, WRAPPED_LEN, bytes) {
            let opened = self.messages.keys().map(|id| (*id, ring.unwrap(*id, wrapped)));
            keys.extend(opened.filter_map(|(id, key)| Some((id, key.ok()?))));
        }
        // A kept key names nothing; Avro writes its length before it, doubled.
        let length = u8::try_from(KEPT_KEY_LEN * 2).expect("one byte");
        for kept in behind(&[vec![length]].into(), KEPT_KEY_LEN + 1, bytes) {
            for citizen in citizens {
                let opened = self.messages.keys().map(|id| (*id, citizen.recall(*id, &kept[1..])));
                keys.extend(opened.filter_map(|(id, key)| Some((id, key.ok()?))));
            }
        }
        keys
    }
}

/// Every stretch of so many bytes that begins with one of `marks`, each once.
fn behind<'a>(
    marks: &BTreeSet<Vec<u8>>,
    length: usize,
    bytes: &'a [Vec<u8>],
) -> BTreeSet<&'a [u8]> {
    let search = AhoCorasick::new(marks).expect("short marks");
    let mut found = BTreeSet::new();
    for text in bytes {
        let starts = search.find_overlapping_iter(text).map(|found| found.start());
        found.extend(starts.filter_map(|at| text.get(at..at + length)));
    }
    found
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            // A file may be merged away while we look: what it held is in another one.
            all.extend(std::fs::read(&path).ok());
        }
    }
    all
}

/// What of a topic can be read as such records.
fn all<R: Record>(log: &dyn Log, topic: Topic) -> Vec<R> {
    let values = read(log, topic).into_iter().filter_map(|record| record.value);
    values.filter_map(|value| Codec::default().decode(&value).ok()).collect()
}
