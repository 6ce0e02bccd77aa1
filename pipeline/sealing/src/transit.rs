//! Transit keys: what wraps message keys on the wire, and dead letters, and batch rows.

use std::sync::Arc;

use schemas::ids::{MessageId, Timestamp};
use schemas::records::{Sealed, TransitKeyRecord};

use crate::aad::{Aad, Purpose};
use crate::cipher::Cipher;
use crate::entropy::Entropy;
use crate::error::SealError;
use crate::key_id::{KeyId, KeyUse};
use crate::master::MasterKeys;
use crate::message_key::MessageKey;
use crate::rotation::KeySchedules;
use crate::secret::{Secret, redacted};
use crate::wrap::{self, WRAPPED_LEN};

/// All transit keys read from `key.transit`, the destroyed ones by name.
///
/// Nothing enters but by [`TransitKeys::apply`], so a process wraps only under keys that it has read
/// back. A clone is cheap and shares the keys; replace a shared ring as a whole.
#[derive(Clone, Default)]
pub struct TransitKeys {
    /// Ordered by start, then id.
    entries: Vec<Entry>,
}

redacted!(TransitKeys);

#[derive(Clone)]
struct Entry {
    valid_from: Timestamp,
    id: KeyId,
    key_use: KeyUse,
    destroy_after: Timestamp,
    /// Absent once destroyed.
    cipher: Option<Arc<Cipher>>,
}

/// Bytes under a key of their own, and that key under a transit key: for dead letters and chunks of
/// batch rows, whose keys live longer than those of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// [`WRAPPED_LEN`] bytes; names the transit key that wraps it.
    pub wrapped_key: Sealed,
    /// The sealed bytes: nonce (12) ‖ ciphertext ‖ tag (16).
    pub sealed: Sealed,
}

impl TransitKeys {
    /// Takes in one record of `key.transit`. The order of records does not matter, save that a
    /// destroyed key stays destroyed.
    ///
    /// # Errors
    /// `UnknownKey`: ours, the keyring lacks the master key. `TooShort`, `Tampered` (also: the
    /// record's id or times were changed), `BadForm` (its id is none): the record's fault.
    pub fn apply(
        &mut self,
        masters: &MasterKeys,
        record: &TransitKeyRecord,
    ) -> Result<(), SealError> {
        let id: KeyId = record.key_id.parse().map_err(|_| SealError::BadForm)?;
        let key_use = id.key_use().ok_or(SealError::BadForm)?;
        let known = self.entries.iter().position(|entry| entry.id == id);
        if known.is_some_and(|at| self.entries[at].cipher.is_none()) {
            return Ok(());
        }
        let (valid_from, destroy_after) = (record.valid_from, record.destroy_after);
        let cipher = if record.wrapped.0.is_empty() {
            None
        } else {
            let times = times(valid_from, destroy_after);
            let aad = Aad::new(Purpose::TransitKey, &id.0).part(&times);
            Some(Arc::new(Cipher::new(&masters.unwrap(&aad, &record.wrapped.0)?)))
        };
        if let Some(at) = known {
            self.entries.remove(at);
        }
        let entry = Entry { valid_from, id, key_use, destroy_after, cipher };
        let at = self.entries.partition_point(|other| other.order() < entry.order());
        self.entries.insert(at, entry);
        Ok(())
    }

    /// What to publish to `key.transit` now: a new key for each use that is due for one, and the
    /// mark of destruction (its `wrapped` is empty) for each key whose time is over. Publish all,
    /// read them back through [`TransitKeys::apply`], ask again; often, for instance every minute.
    /// Two processes that ask at once publish two keys, which does no harm.
    ///
    /// # Errors
    /// `Unavailable` only: ours.
    pub fn due_records(
        &self,
        entropy: &dyn Entropy,
        masters: &MasterKeys,
        now: Timestamp,
        schedules: &KeySchedules,
    ) -> Result<Vec<TransitKeyRecord>, SealError> {
        let mut due = Vec::new();
        for key_use in KeyUse::ALL {
            let newest = self.of(key_use).next_back().map(|entry| entry.valid_from);
            let schedule = schedules.of(key_use);
            if let Some(start) = schedule.next_start(newest, now) {
                let end = schedule.destroy_after(start);
                due.push(new_key(entropy, masters, key_use, start, end)?);
            }
        }
        let over = self.entries.iter().filter(|entry| self.is_over(entry, now, schedules));
        due.extend(over.map(Entry::destroyed));
        Ok(due)
    }

    /// Wraps a message's key under the current key of `key_use`.
    ///
    /// # Errors
    /// `NoCurrentKey`: ours, none has been read back yet.
    pub fn wrap(
        &self,
        entropy: &dyn Entropy,
        key_use: KeyUse,
        now: Timestamp,
        id: MessageId,
        key: &MessageKey,
    ) -> Result<[u8; WRAPPED_LEN], SealError> {
        let id = id.to_bytes();
        let aad = Aad::new(Purpose::MessageKeyInTransit, &id);
        wrap::wrap(self.current(key_use, now)?, entropy, &aad, key.secret())
    }

    /// Unwraps a message's key, whichever transit key wrapped it.
    ///
    /// # Errors
    /// `UnknownKey`: ours, wait. `DestroyedKey`, `TooShort`, `Tampered`: the record's fault.
    pub fn unwrap(&self, id: MessageId, wrapped: &[u8]) -> Result<MessageKey, SealError> {
        let id = id.to_bytes();
        let (cipher, sealed) = self.find(wrapped)?;
        let aad = Aad::new(Purpose::MessageKeyInTransit, &id);
        wrap::open_key(cipher, &aad, sealed).map(MessageKey::from_secret)
    }

    /// Wraps a message's key anew under the current key of `key_use`: what a record needs that is
    /// about to be kept longer, or less long, than before.
    ///
    /// # Errors
    /// As [`TransitKeys::unwrap`] and [`TransitKeys::wrap`].
    pub fn rewrap(
        &self,
        entropy: &dyn Entropy,
        key_use: KeyUse,
        now: Timestamp,
        id: MessageId,
        wrapped: &[u8],
    ) -> Result<[u8; WRAPPED_LEN], SealError> {
        self.wrap(entropy, key_use, now, id, &self.unwrap(id, wrapped)?)
    }

    /// Seals `plain` under a fresh key, and that under the current key of `key_use`. `id` is what
    /// the envelope is bound to: the position of a dead letter, the name of a chunk.
    ///
    /// # Errors
    /// `NoCurrentKey`: ours. `TooLarge` over 16 MiB: the caller's fault.
    pub fn seal_envelope(
        &self,
        entropy: &dyn Entropy,
        key_use: KeyUse,
        now: Timestamp,
        id: &[u8],
        plain: &[u8],
    ) -> Result<Envelope, SealError> {
        let current = self.current(key_use, now)?;
        let key = MessageKey::draw(entropy);
        let aad = Aad::new(Purpose::EnvelopeKey, id);
        let wrapped_key = wrap::wrap(current, entropy, &aad, key.secret())?;
        let sealed = key.cipher().seal(entropy, &Aad::new(Purpose::Envelope, id), plain)?;
        Ok(Envelope { wrapped_key: Sealed(wrapped_key.to_vec()), sealed: Sealed(sealed) })
    }

    /// Opens what [`TransitKeys::seal_envelope`] sealed for the same `id`.
    ///
    /// # Errors
    /// `UnknownKey`: ours, wait. `DestroyedKey`, `TooShort`, `Tampered`, `BadForm`: the record's.
    pub fn open_envelope(
        &self,
        id: &[u8],
        wrapped_key: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let (cipher, sealed_key) = self.find(wrapped_key)?;
        let secret = wrap::open_key(cipher, &Aad::new(Purpose::EnvelopeKey, id), sealed_key)?;
        Cipher::new(&secret).open(&Aad::new(Purpose::Envelope, id), sealed)
    }

    /// Whether something can be wrapped for `key_use` now; readiness hangs on it.
    #[must_use]
    pub fn is_ready(&self, key_use: KeyUse, now: Timestamp) -> bool {
        self.current(key_use, now).is_ok()
    }

    /// The newest living key of this use that has started.
    fn current(&self, key_use: KeyUse, now: Timestamp) -> Result<(KeyId, &Cipher), SealError> {
        self.of(key_use)
            .rev()
            .filter(|entry| entry.valid_from <= now)
            .find_map(|entry| entry.cipher.as_deref().map(|cipher| (entry.id, cipher)))
            .ok_or(SealError::NoCurrentKey(key_use))
    }

    fn find<'w>(&self, wrapped: &'w [u8]) -> Result<(&Cipher, &'w [u8]), SealError> {
        let (id, sealed) = wrap::split(wrapped)?;
        let entry = self.entries.iter().rev().find(|entry| entry.id == id);
        let cipher = entry.ok_or(SealError::UnknownKey(id))?.cipher.as_deref();
        Ok((cipher.ok_or(SealError::DestroyedKey(id))?, sealed))
    }

    fn of(&self, key_use: KeyUse) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.key_use == key_use)
    }

    fn is_over(&self, entry: &Entry, now: Timestamp, schedules: &KeySchedules) -> bool {
        let mut later = self.of(entry.key_use).map(|other| other.valid_from);
        let successor = later.find(|&start| start > entry.valid_from);
        let schedule = schedules.of(entry.key_use);
        entry.cipher.is_some() && schedule.may_destroy(entry.destroy_after, successor, now)
    }
}

impl MasterKeys {
    /// The record with its key wrapped by the newest master key; nothing where it is already, or
    /// where the key is destroyed. The key inside stays as it is.
    ///
    /// # Errors
    /// As [`TransitKeys::apply`].
    pub fn rewrap_transit(
        &self,
        entropy: &dyn Entropy,
        record: &TransitKeyRecord,
    ) -> Result<Option<TransitKeyRecord>, SealError> {
        if record.wrapped.0.is_empty() || !self.is_outdated(&record.wrapped.0) {
            return Ok(None);
        }
        let id: KeyId = record.key_id.parse().map_err(|_| SealError::BadForm)?;
        let times = times(record.valid_from, record.destroy_after);
        let aad = Aad::new(Purpose::TransitKey, &id.0).part(&times);
        let secret = self.unwrap(&aad, &record.wrapped.0)?;
        let wrapped = Sealed(self.wrap(entropy, &aad, &secret)?.to_vec());
        Ok(Some(TransitKeyRecord { wrapped, ..record.clone() }))
    }
}

impl Entry {
    fn order(&self) -> (Timestamp, KeyId) {
        (self.valid_from, self.id)
    }

    fn destroyed(&self) -> TransitKeyRecord {
        TransitKeyRecord {
            key_id: self.id.to_string(),
            valid_from: self.valid_from,
            destroy_after: self.destroy_after,
            wrapped: Sealed::default(),
        }
    }
}

fn new_key(
    entropy: &dyn Entropy,
    masters: &MasterKeys,
    key_use: KeyUse,
    valid_from: Timestamp,
    destroy_after: Timestamp,
) -> Result<TransitKeyRecord, SealError> {
    let id = KeyId::draw_for(entropy, key_use);
    let times = times(valid_from, destroy_after);
    let aad = Aad::new(Purpose::TransitKey, &id.0).part(&times);
    let wrapped = masters.wrap(entropy, &aad, &Secret::draw(entropy))?;
    let wrapped = Sealed(wrapped.to_vec());
    Ok(TransitKeyRecord { key_id: id.to_string(), valid_from, destroy_after, wrapped })
}

/// Bound to the key, so that nobody lengthens its life by editing the record.
fn times(valid_from: Timestamp, destroy_after: Timestamp) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&valid_from.0.to_be_bytes());
    bytes[8..].copy_from_slice(&destroy_after.0.to_be_bytes());
    bytes
}
