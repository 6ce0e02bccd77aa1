//! A view of citizens for tests: plain maps, filled record by record.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use runtime::log::Incoming;
use schemas::codec::Codec;
use schemas::ids::{Generation, MessageId, Pseudonym};
use schemas::records::{CitizenErased, DeviceDeath, MessageStored};
use schemas::topics::Topic;

use crate::citizens::Dossier;

#[derive(Default)]
pub struct Mirror {
    pub people: HashMap<Pseudonym, Dossier>,
    pub stored: BTreeMap<MessageId, MessageStored>,
    pub erased: BTreeSet<Generation>,
    /// Topics in the order in which their records were applied.
    pub applied: Vec<Topic>,
}

impl Mirror {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a double of some topics; the rest are mistakes"
    )]
    pub fn apply(&mut self, record: &Incoming) {
        let topic = record.position.at.topic;
        self.applied.push(topic);
        let key = String::from_utf8(record.key.clone()).expect("keys are text");
        let value = record.value.as_deref();
        if topic == Topic::Stored {
            let id: MessageId = key.parse().expect("a message id");
            let stored = value.map(|it| Codec::default().decode::<MessageStored>(it).expect("one"));
            match stored {
                Some(it) => {
                    self.people.entry(it.citizen).or_default().stored.push(id);
                    self.stored.insert(id, it);
                }
                None => {
                    self.stored.remove(&id);
                    self.people.values_mut().for_each(|it| it.stored.retain(|known| *known != id));
                }
            }
            return;
        }
        let (citizen, rest) = key.split_once('+').unwrap_or((&key, ""));
        let dossier = self.people.entry(citizen.parse().expect("a pseudonym")).or_default();
        macro_rules! read {
            () => {
                value.map(|it| Codec::default().decode(it).expect("a record"))
            };
        }
        macro_rules! keep {
            ($map:ident) => {
                match read!() {
                    Some(it) => {
                        dossier.$map.insert(rest.into(), it);
                    }
                    None => {
                        dossier.$map.remove(&rest.into());
                    }
                }
            };
        }
        match topic {
            Topic::Profile => dossier.profile = read!(),
            Topic::CitizenKey => {
                let generation = rest.parse().expect("a generation");
                match read!() {
                    Some(it) => dossier.keys.insert(generation, it),
                    None => dossier.keys.remove(&generation),
                };
            }
            Topic::Preference => keep!(preferences),
            Topic::Activation => keep!(activations),
            Topic::Device => match read!() {
                Some(it) => {
                    dossier.devices.insert(rest.to_owned(), it);
                }
                None => {
                    dossier.devices.remove(rest);
                }
            },
            Topic::DeviceDeath => {
                let death: Option<DeviceDeath> = read!();
                match death {
                    Some(it) => {
                        dossier.deaths.insert(rest.to_owned(), it.since);
                    }
                    None => {
                        dossier.deaths.remove(rest);
                    }
                }
            }
            Topic::Unsubscribe => {
                if value.is_some() {
                    dossier.unsubscribed.insert(rest.into());
                } else {
                    dossier.unsubscribed.remove(&rest.into());
                }
            }
            Topic::Erased => {
                let erased: Option<CitizenErased> = read!();
                self.erased.extend(erased.map(|it| it.generation));
            }
            other => panic!("{other} is no topic of citizens"),
        }
    }
}
