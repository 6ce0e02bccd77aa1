//! Objects in memory, in a store that fails now and then.

use std::collections::BTreeMap;

use async_trait::async_trait;
use consumers::vault::{StoreError, VaultStore};
use parking_lot::Mutex;
use schemas::ids::Timestamp;

use crate::history::History;
use crate::universe::Universe;

/// Fails before or after the deed; nobody outside can tell which.
pub struct Store {
    universe: Universe,
    history: History,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Vec<u8>>,
    down_until: Timestamp,
    /// One write in so many fails; none at 0.
    fails_once_in: u64,
}

impl Store {
    #[must_use]
    pub fn new(universe: Universe, history: History, fails_once_in: u64) -> Self {
        let inner = Inner { fails_once_in, ..Inner::default() };
        Self { universe, history, inner: Mutex::new(inner) }
    }

    pub fn falls(&self, until: Timestamp) {
        self.history.fault("object store down");
        self.history.note("the object store is down".into());
        self.inner.lock().down_until = until;
    }

    /// What lies there.
    #[must_use]
    pub fn range(&self, name: &str, offset: i64, length: i64) -> Option<Vec<u8>> {
        let (from, to) = (usize::try_from(offset).ok()?, usize::try_from(offset + length).ok()?);
        self.inner.lock().objects.get(name)?.get(from..to).map(<[u8]>::to_vec)
    }
}

#[async_trait]
impl VaultStore for Store {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        let down = || StoreError::Down("as was drawn".into());
        if self.universe.now() < inner.down_until {
            return Err(down());
        }
        let fails = self.universe.once_in(inner.fails_once_in);
        if fails {
            self.history.fault("object write failed");
        }
        if !fails || self.universe.draw(2) == 0 {
            inner.objects.insert(name.to_owned(), bytes);
        }
        if fails { Err(down()) } else { Ok(()) }
    }

    async fn get(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.range(name, signed(offset), signed(length)).ok_or(StoreError::Absent)
    }
}
