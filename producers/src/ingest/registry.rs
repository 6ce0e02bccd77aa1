//! The services, held in memory from the compacted topic: a request waits for nobody to be recognised.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use policy::admit::service::{Service, ServiceDocument};
use schemas::ids::ServiceId;
use schemas::records::ServiceRecord;
use sealing::ApiKeyHash;

/// Services by id, by keyed hash of either API key, and the owners of remote-content configurations.
#[derive(Default)]
pub struct Registry {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<ServiceId, Held>,
    by_key: HashMap<ApiKeyHash, ServiceId>,
    /// By configuration: the account of each service that lists it.
    owners: HashMap<String, BTreeMap<ServiceId, String>>,
}

struct Held {
    service: Arc<Service>,
    keys: [ApiKeyHash; 2],
}

/// A `service` record that says nothing usable: the record's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("service {id}: {why}")]
pub struct BadDocument {
    pub id: ServiceId,
    pub why: &'static str,
}

impl Registry {
    /// Takes in a record; the newest of a service counts.
    ///
    /// # Errors
    /// [`BadDocument`]: the service stays as it was.
    pub fn apply(&self, record: &ServiceRecord) -> Result<(), BadDocument> {
        let bad = |why| BadDocument { id: record.service_id.clone(), why };
        let document: ServiceDocument = serde_json::from_str(&record.document)
            .map_err(|_| bad("its document is no service document"))?;
        if document.service.service_id != record.service_id {
            return Err(bad("its document names another service"));
        }
        let hashes = [&document.api_key_hashes.primary, &document.api_key_hashes.secondary];
        let [primary, secondary] = hashes.map(|text| text.parse::<ApiKeyHash>());
        let (Ok(primary), Ok(secondary)) = (primary, secondary) else {
            return Err(bad("its API keys are no keyed hashes"));
        };
        let mut inner = self.inner.write();
        inner.remove(&record.service_id);
        inner.insert(document.service, [primary, secondary]);
        Ok(())
    }

    /// A tombstone: its keys open nothing from here on.
    pub fn remove(&self, id: &ServiceId) {
        self.inner.write().remove(id);
    }

    /// The service whose primary or secondary key has this hash.
    pub fn by_key(&self, hash: &ApiKeyHash) -> Option<Arc<Service>> {
        let inner = self.inner.read();
        let held = inner.by_id.get(inner.by_key.get(hash)?)?;
        Some(Arc::clone(&held.service))
    }

    pub fn by_id(&self, id: &ServiceId) -> Option<Arc<Service>> {
        self.inner.read().by_id.get(id).map(|held| Arc::clone(&held.service))
    }

    /// The account that owns a remote-content configuration: that of the first service, by id, which
    /// lists it.
    pub fn owner_of(&self, configuration: &str) -> Option<String> {
        self.inner.read().owners.get(configuration)?.values().next().cloned()
    }

    /// Services known.
    pub fn len(&self) -> usize {
        self.inner.read().by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn insert(&mut self, service: Service, keys: [ApiKeyHash; 2]) {
        for key in keys {
            self.by_key.insert(key, service.service_id.clone());
        }
        for configuration in &service.remote_content_configurations {
            let services = self.owners.entry(configuration.clone()).or_default();
            services.insert(service.service_id.clone(), service.account.account_id.clone());
        }
        let held = Held { service: Arc::new(service), keys };
        self.by_id.insert(held.service.service_id.clone(), held);
    }

    fn remove(&mut self, id: &ServiceId) {
        let Some(held) = self.by_id.remove(id) else { return };
        for key in &held.keys {
            // A key that has moved to another service stays with it.
            if self.by_key.get(key) == Some(id) {
                self.by_key.remove(key);
            }
        }
        for configuration in &held.service.remote_content_configurations {
            let Some(services) = self.owners.get_mut(configuration) else { continue };
            services.remove(id);
            if services.is_empty() {
                self.owners.remove(configuration);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::ids::Timestamp;
    use serde_json::json;

    use super::*;

    fn record(id: &str, configurations: &[&str]) -> ServiceRecord {
        let hash = |n: u8| format!("{n:02x}{}", "00".repeat(31));
        let n = id.as_bytes()[0];
        let document = json!({
            "service_id": id, "name": "Tributi", "account": { "account_id": "account-1" },
            "organisation": { "name": "Comune", "fiscal_code": "80001017773" },
            "remote_content_configurations": configurations,
            "api_key_hashes": { "primary": hash(n), "secondary": hash(n + 100) },
        });
        let document = document.to_string();
        ServiceRecord { service_id: id.into(), document, updated_at: Timestamp(0) }
    }

    #[test]
    fn a_configuration_is_known_as_long_as_any_service_lists_it() {
        let registry = Registry::default();
        let check = |known: [bool; 3]| {
            for (configuration, known) in ["one", "two", "three"].into_iter().zip(known) {
                let owner = registry.owner_of(configuration);
                assert_eq!(owner.as_deref(), known.then_some("account-1"), "{configuration}");
            }
        };
        registry.apply(&record("a", &["one", "two"])).unwrap();
        registry.apply(&record("b", &["two", "three"])).unwrap();
        registry.apply(&record("b", &["three"])).unwrap();
        check([true, true, true]);
        registry.remove(&"a".into());
        check([false, false, true]);
        assert_eq!(registry.inner.read().owners.len(), 1);
    }
}
