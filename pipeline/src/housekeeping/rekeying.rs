//! Keys under the newest master key, and no key of an ended registration.
//!
//! A citizen's key lies under its registration, so nothing written here can stand in the place of
//! another registration's key. What it can do is bring back a key whose registration ends at the same
//! moment: so every look goes over all keys again, with the ends as they are then, until it finds
//! nothing to do.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use runtime::log::{Incoming, Log, Outgoing, Position, TopicPartition, Writer};
use runtime::world::World;
use schemas::codec::Record;
use schemas::headers::Headers;
use schemas::ids::{Generation, Pseudonym};
use schemas::records::{CitizenErased, CitizenKeyRecord, TransitKeyRecord};
use schemas::topics::Topic;
use sealing::{Entropy, Keyring};

use super::{every_record, partitions};

/// Records of one transaction.
const TRANSACTION: usize = 1_000;
/// A transit key that is destroyed within this is let alone: written anew, it could come after its end.
const LAST_DAY: Duration = Duration::from_secs(86_400);

/// Everything that a look at the keys takes.
pub struct Rekeying<'a> {
    pub log: &'a dyn Log,
    pub keyring: &'a Keyring,
    pub entropy: &'a dyn Entropy,
    pub world: &'a World,
    pub stop: &'a AtomicBool,
}

/// What was done, over all looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Citizen keys wrapped by the newest master key.
    pub citizens: usize,
    /// Transit keys likewise.
    pub transit: usize,
    /// Keys of ended registrations that were ended once more.
    pub buried: usize,
    /// Keys that nothing in this keyring opens; they are left as they are.
    pub unopened: usize,
}

/// How far a look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub partition: usize,
    pub partitions: usize,
    pub written: usize,
}

/// Keys that are still wrapped by an older master key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outdated {
    pub citizens: usize,
    pub transit: usize,
    /// Keys that this process cannot read at all.
    pub unread: usize,
}

/// What stands in the log for one key of a compacted topic.
enum Key {
    Citizen(CitizenKeyRecord),
    Transit(TransitKeyRecord),
    /// Not understood here; it may well be one that only an older master opens.
    Unread,
}

type Ended = HashSet<(Pseudonym, Generation)>;

impl Rekeying<'_> {
    /// Looks over all keys until there is nothing left to do. Safe to be broken off and begun again, by
    /// several at once too.
    ///
    /// # Errors
    /// The log's; what was written until then stands.
    pub fn run(&self, progress: &mut dyn FnMut(Progress)) -> anyhow::Result<Rekeyed> {
        let mut done = Rekeyed::default();
        let mut writer = self.log.writer("keys-rewrap")?;
        loop {
            let before = done;
            done.unopened = 0;
            self.look(&mut *writer, &mut done, progress)?;
            if (done.citizens, done.transit, done.buried)
                == (before.citizens, before.transit, before.buried)
            {
                return Ok(done);
            }
        }
    }

    /// Counts what keeps an older master key from being dropped.
    ///
    /// # Errors
    /// The log's.
    pub fn outdated(&self) -> anyhow::Result<Outdated> {
        let mut outdated = Outdated::default();
        let masters = self.keyring.masters();
        for topic in [Topic::CitizenKey, Topic::TransitKey] {
            for at in partitions(self.log, topic)? {
                for key in self.newest(at)? {
                    match key {
                        Key::Citizen(it) if masters.is_outdated(&it.wrapped.0) => {
                            outdated.citizens += 1;
                        }
                        Key::Transit(it) if masters.is_outdated(&it.wrapped.0) => {
                            outdated.transit += 1;
                        }
                        Key::Unread => outdated.unread += 1,
                        Key::Citizen(_) | Key::Transit(_) => {}
                    }
                }
            }
        }
        Ok(outdated)
    }

    fn look(
        &self,
        writer: &mut dyn Writer,
        done: &mut Rekeyed,
        progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<()> {
        let ended = self.ended()?;
        let citizens = partitions(self.log, Topic::CitizenKey)?;
        let all: Vec<_> =
            citizens.into_iter().chain(partitions(self.log, Topic::TransitKey)?).collect();
        for (partition, at) in (1..).zip(&all) {
            let mut batch = Vec::new();
            for key in self.newest(*at)? {
                batch.extend(self.renewed(key, &ended, done));
                if batch.len() >= TRANSACTION {
                    writer.write(std::mem::take(&mut batch))?;
                }
            }
            if !batch.is_empty() {
                writer.write(batch)?;
            }
            let written = done.citizens + done.transit + done.buried;
            progress(Progress { partition, partitions: all.len(), written });
        }
        Ok(())
    }

    /// The record that has to follow a key, if any.
    fn renewed(&self, key: Key, ended: &Ended, done: &mut Rekeyed) -> Option<Outgoing> {
        let masters = self.keyring.masters();
        let soon = self.world.now().plus(LAST_DAY);
        let renewed = match key {
            Key::Citizen(it) if ended.contains(&(it.citizen, it.generation)) => {
                done.buried += 1;
                return Some(citizens_place(&it));
            }
            Key::Unread => {
                done.unopened += 1;
                return None;
            }
            Key::Transit(it) if it.destroy_after <= soon => return None,
            Key::Citizen(it) => {
                let renewed = masters.rewrap_citizen(self.entropy, &it);
                let put = |it| self.put(citizens_place(&it), &it, &mut done.citizens);
                renewed.map(|it| it.map(put))
            }
            Key::Transit(it) => {
                let renewed = masters.rewrap_transit(self.entropy, &it);
                let put = |it| self.put(transits_place(&it), &it, &mut done.transit);
                renewed.map(|it| it.map(put))
            }
        };
        renewed.unwrap_or_else(|_| {
            done.unopened += 1;
            None
        })
    }

    fn put<R: Record>(&self, place: Outgoing, record: &R, count: &mut usize) -> Outgoing {
        *count += 1;
        Outgoing { value: Some(self.world.codec.encode(record)), ..place }
    }

    /// The registrations that have ended by now.
    fn ended(&self) -> anyhow::Result<Ended> {
        let mut ended = Ended::new();
        for at in partitions(self.log, Topic::Erased)? {
            every_record(self.log, at, self.stop, &mut |record| {
                let erased = self.decoded::<CitizenErased>(record);
                ended.extend(erased.map(|it| (it.citizen, it.generation)));
                Ok(())
            })?;
        }
        Ok(ended)
    }

    /// What a compacted partition says at its end, key by key: the log may still hold what was replaced.
    fn newest(&self, at: TopicPartition) -> anyhow::Result<Vec<Key>> {
        let mut newest: BTreeMap<Vec<u8>, (Position, Key)> = BTreeMap::new();
        every_record(self.log, at, self.stop, &mut |record| {
            let key = if at.topic == Topic::CitizenKey {
                self.decoded(record).map(Key::Citizen)
            } else {
                self.decoded(record).map(Key::Transit)
            };
            let key = key.or_else(|| record.value.as_ref().map(|_| Key::Unread));
            match key {
                Some(key) => {
                    newest.insert(record.key.clone(), (record.position, key));
                }
                None => {
                    newest.remove(&record.key);
                }
            }
            Ok(())
        })?;
        let mut keys: Vec<_> = newest.into_values().collect();
        keys.sort_by_key(|(position, _)| *position);
        Ok(keys.into_iter().map(|(_, key)| key).collect())
    }

    fn decoded<R: Record>(&self, record: &Incoming) -> Option<R> {
        self.world.codec.decode(record.value.as_deref()?).ok()
    }
}

/// Where a citizen's key lies; as it stands, its tombstone.
fn citizens_place(key: &CitizenKeyRecord) -> Outgoing {
    let citizen = key.citizen.to_string();
    Outgoing {
        topic: Topic::CitizenKey,
        key: format!("{citizen}+{}", key.generation).into_bytes(),
        partition_by: citizen.into_bytes(),
        value: None,
        headers: Headers::default(),
    }
}

fn transits_place(key: &TransitKeyRecord) -> Outgoing {
    let id = key.key_id.clone().into_bytes();
    Outgoing {
        topic: Topic::TransitKey,
        key: id.clone(),
        partition_by: id,
        value: None,
        headers: Headers::default(),
    }
}
