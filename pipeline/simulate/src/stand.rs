//! What a citizen has said, in the model's own words: who may reach them, where.

use std::collections::{BTreeMap, BTreeSet};

use schemas::topics::Channel;

/// A citizen between two choices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stand {
    /// Which registration, counted from 1; absent: not on board.
    pub registration: Option<u32>,
    pub inbox: bool,
    pub push: bool,
    pub email: bool,
    /// Services that may not write.
    pub blocked: BTreeSet<String>,
    /// Services that may not mail, registered or not.
    pub unsubscribed: BTreeSet<String>,
    /// Where they can be reached: channel and installation (empty: the mailbox) → address.
    pub addresses: BTreeMap<(Channel, String), String>,
}

impl Stand {
    /// Whether `service` may send to `address` now.
    #[must_use]
    pub fn lets(&self, service: &str, channel: Channel, installation: &str, address: &str) -> bool {
        let known = self.addresses.get(&(channel, installation.to_owned()));
        self.registration.is_some()
            && self.takes(service)
            && self.open(service, channel)
            && known.is_some_and(|known| known == address)
    }

    /// Whether a message of `service` may be mailed whole to the sender's own fallback address: to nobody
    /// on board who refuses it.
    #[must_use]
    pub fn lets_fallback(&self, service: &str) -> bool {
        if self.registration.is_some() {
            return self.takes(service);
        }
        !self.unsubscribed.contains(service)
    }

    /// Whether the inbox takes what `service` writes.
    #[must_use]
    pub fn takes(&self, service: &str) -> bool {
        self.inbox && !self.blocked.contains(service)
    }

    fn open(&self, service: &str, channel: Channel) -> bool {
        match channel {
            Channel::Apns | Channel::Fcm => self.push,
            Channel::Email => self.email && !self.unsubscribed.contains(service),
        }
    }
}
