//! All that is known of one citizen, and what of it counts.

use std::collections::{BTreeMap, BTreeSet};

use policy::consent::{Citizen, DeviceRef};
use schemas::ids::{Generation, ServiceId, Timestamp};
use schemas::records::{Activation, CitizenKeyRecord, CitizenProfile, Device, Preference};

use super::{Change, DeviceToken, Fact, Found, Part};

/// One citizen's facts as the log gave them, registrations mixed; [`Dossier::found`] sorts them out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dossier {
    pub profile: Option<CitizenProfile>,
    /// By registration: a key that is wrapped anew never stands in another one's place.
    pub keys: BTreeMap<Generation, CitizenKeyRecord>,
    pub preferences: BTreeMap<ServiceId, Preference>,
    pub activations: BTreeMap<ServiceId, Activation>,
    pub unsubscribed: BTreeSet<ServiceId>,
    pub devices: BTreeMap<String, Device>,
    /// Installation → registrations up to this moment are dead.
    pub deaths: BTreeMap<String, Timestamp>,
    /// Ended registrations.
    pub erased: BTreeSet<Generation>,
    /// Parts whose newest record could not be decoded.
    pub held: BTreeSet<Part>,
}

impl Dossier {
    /// Applies a change; the caller sees to the order within each part. The order between parts
    /// does not matter: an erasure undoes what came before it and bars what comes after.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put(_, fact) => {
                self.held.remove(&fact.part().1);
                if fact.generation().is_none_or(|generation| !self.erased.contains(&generation)) {
                    self.put(fact);
                }
            }
            Change::Remove(_, part) => {
                self.held.remove(&part);
                self.remove(&part);
            }
            Change::Held(_, part) => {
                self.held.insert(part);
            }
            Change::Stored(_) | Change::Unstored(_) | Change::Nameless | Change::Unread(_) => {}
        }
    }

    /// Puts a fact where it belongs, asking nothing.
    pub(super) fn put(&mut self, fact: Fact) {
        match fact {
            Fact::Profile(it) => self.profile = Some(*it),
            Fact::Key(it) => {
                self.keys.insert(it.generation, it);
            }
            Fact::Preference(it) => {
                self.preferences.insert(it.service_id.clone(), it);
            }
            Fact::Activation(it) => {
                self.activations.insert(it.service_id.clone(), it);
            }
            Fact::Unsubscribe(it) => {
                self.unsubscribed.insert(it.service_id);
            }
            Fact::Device(it) => {
                self.devices.insert(it.installation.clone(), it);
            }
            Fact::Death(it) => {
                self.deaths.insert(it.installation, it.since);
            }
            Fact::Erased(it) => self.erase(it.generation),
        }
    }

    fn remove(&mut self, part: &Part) {
        match part {
            Part::Profile => self.profile = None,
            Part::Key(generation) => {
                self.keys.remove(generation);
            }
            Part::Preference(service) => {
                self.preferences.remove(service);
            }
            Part::Activation(service) => {
                self.activations.remove(service);
            }
            Part::Unsubscribe(service) => {
                self.unsubscribed.remove(service);
            }
            Part::Device(installation) => {
                self.devices.remove(installation);
            }
            Part::Death(installation) => {
                self.deaths.remove(installation);
            }
            Part::Erasure(generation) => {
                self.erased.remove(generation);
            }
            Part::Unknown(_) => {}
        }
    }

    fn erase(&mut self, generation: Generation) {
        self.erased.insert(generation);
        self.profile = self.profile.take().filter(|it| it.generation != generation);
        self.keys.remove(&generation);
        self.preferences.retain(|_, it| it.generation != generation);
        self.devices.retain(|_, it| it.generation != generation);
    }

    /// The present registration.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.profile.as_ref().map(|profile| profile.generation)
    }

    /// What counts towards `service`: facts of the present registration, dead devices marked.
    #[must_use]
    pub fn found(&self, service: &ServiceId) -> Found {
        let present = self.generation();
        let current = |generation| Some(generation) == present;
        let devices = || self.devices.values().filter(|it| current(it.generation));
        let is_dead = |device: &Device| {
            self.deaths
                .get(&device.installation)
                .is_some_and(|since| *since >= device.registered_at)
        };
        Found {
            citizen: Citizen {
                profile: self.profile.clone(),
                preference: self
                    .preferences
                    .get(service)
                    .filter(|it| current(it.generation))
                    .cloned(),
                activation: self.activations.get(service).cloned(),
                unsubscribed: self.unsubscribed.contains(service),
                devices: devices()
                    .map(|it| DeviceRef {
                        installation: it.installation.clone(),
                        platform: it.platform,
                        registered_at: it.registered_at,
                        dead: is_dead(it),
                    })
                    .collect(),
                held: !self.held.is_empty(),
            },
            key: present.and_then(|generation| self.keys.get(&generation)).cloned(),
            tokens: devices()
                .filter(|it| !is_dead(it))
                .map(|it| DeviceToken {
                    installation: it.installation.clone(),
                    platform: it.platform,
                    token: it.token.clone(),
                    registered_at: it.registered_at,
                })
                .collect(),
        }
    }
}
