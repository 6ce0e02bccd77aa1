//! The configuration's shape; what each key is for stands in `default.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use consumers::apns::ApnsConfig;
use consumers::email::EmailConfig;
use consumers::fcm::FcmConfig;
use consumers::vault::StoreConfig;
use producers::batch::BatchConfig;
use producers::citizens::{CitizenRates, EmailClaim};
use producers::ingest::IngestConfig;
use runtime::dead_limit::DeadLimits;
use runtime::worker::Limits;
use schemas::codec::VersionIds;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub time_scale: f64,
    pub simulated_providers: bool,
    pub log: LogSettings,
    pub directory: DirectorySettings,
    pub keyring: KeyringSettings,
    pub store: StoreConfig,
    pub retention: RetentionSettings,
    pub housekeeping: HousekeepingSettings,
    pub worker: WorkerSettings,
    pub consent: ConsentSettings,
    pub sender_api: DoorSettings,
    pub citizen_api: CitizenApiSettings,
    pub operations: OperationsSettings,
    pub ingest: IngestConfig,
    pub batches: BatchConfig,
    pub apns: Switched<ApnsConfig>,
    pub fcm: Switched<FcmConfig>,
    pub email: Switched<EmailConfig>,
    pub registry_ids: BTreeMap<String, VersionIds>,
}

/// An edge that may be switched off: its messages then wait in its topic.
#[derive(Debug, Clone, Deserialize)]
pub struct Switched<T> {
    pub enabled: bool,
    #[serde(flatten)]
    pub config: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    Embedded,
    Kafka,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    pub kind: LogKind,
    pub folder: PathBuf,
    pub partitions: u32,
    pub sync: bool,
    pub bootstrap: String,
    pub prefix: String,
    pub replication: u16,
    pub session_timeout_ms: u64,
    pub transaction_timeout_ms: u64,
    pub producers_in_turn: usize,
    pub security: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectoryKind {
    Embedded,
    Redis,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectorySettings {
    pub kind: DirectoryKind,
    pub redis_url: String,
    pub redis_ca_file: PathBuf,
    pub redis_prefix: String,
}

impl DirectorySettings {
    /// The authorities to trust instead of this machine's, where a file is named.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn redis_authorities(&self) -> anyhow::Result<Option<Vec<u8>>> {
        if self.redis_ca_file.as_os_str().is_empty() {
            return Ok(None);
        }
        let read = std::fs::read(&self.redis_ca_file);
        let place = || format!("directory.redis_ca_file: {}", self.redis_ca_file.display());
        read.with_context(place).map(Some)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyringSettings {
    pub file: PathBuf,
    pub create: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    pub messages_days: u32,
    pub margin_days: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HousekeepingSettings {
    pub sweep_every_minutes: u64,
    pub compact_every_hours: u64,
    pub days_every_hours: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    pub ordinal: u32,
    pub batch: usize,
    pub batches: usize,
    pub window: usize,
    pub transaction: usize,
    pub cadence_ms: u64,
    pub grace_ms: u64,
    pub dead_letter_min_count: u32,
    pub dead_letter_percent: u32,
}

impl WorkerSettings {
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            batch: self.batch,
            batches: self.batches,
            window: self.window,
            transaction: self.transaction,
            cadence: Duration::from_millis(self.cadence_ms),
            dead: DeadLimits {
                min_count: self.dead_letter_min_count,
                percent: self.dead_letter_percent,
                ..DeadLimits::default()
            },
            ..Limits::default()
        }
    }

    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentSettings {
    pub max_age_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorSettings {
    pub listen: String,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CitizenApiSettings {
    pub listen: String,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
    pub issuer: String,
    pub audience: String,
    pub jwks: String,
    pub fiscal_code_claim: String,
    pub email_claim: String,
    pub email_verified_claim: String,
    pub rate: CitizenRates,
}

impl CitizenApiSettings {
    /// The claims of a mailbox that counts as validated; none where no claim is named.
    #[must_use]
    pub fn email(&self) -> Option<EmailClaim> {
        let named = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
        let verified = named(&self.email_verified_claim);
        named(&self.email_claim).map(|address| EmailClaim { address, verified })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationsSettings {
    pub listen: String,
    pub log_format: String,
    pub log_filter: String,
}

impl Settings {
    /// What the shape alone does not refuse.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.of_sections();
        let mut must = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        must(self.time_scale >= 1.0 && self.time_scale.is_finite(), "time_scale: at least 1.0");
        let real = !self.simulated_providers
            && (self.apns.enabled || self.fcm.enabled || self.email.enabled);
        must(
            !real || (self.time_scale - 1.0).abs() < f64::EPSILON,
            "time_scale: must be 1.0 with real providers; other values are for simulated ones \
             (simulated_providers = true)",
        );
        must((1..=1024).contains(&self.log.partitions), "log.partitions: between 1 and 1024");
        must(self.log.producers_in_turn >= 1, "log.producers_in_turn: at least 1");
        must(
            self.log.kind == LogKind::Embedded || !self.log.bootstrap.is_empty(),
            "log.bootstrap: name the brokers, such as \"kafka-1:9092,kafka-2:9092\"",
        );
        must(
            self.directory.kind == DirectoryKind::Embedded || !self.directory.redis_url.is_empty(),
            "directory.redis_url: name the server, such as \"redis://redis:6379\"",
        );
        must(
            self.directory.redis_ca_file.as_os_str().is_empty()
                || self.directory.redis_url.starts_with("rediss://"),
            "directory.redis_ca_file: only TLS asks for authorities; write directory.redis_url as \
             rediss://host:6379, or leave the file out",
        );
        must(
            self.worker.batch >= 1 && self.worker.batches >= 1 && self.worker.transaction >= 1,
            "worker: batch, batches and transaction must be at least 1",
        );
        must(
            self.worker.window >= self.worker.batch,
            "worker.window: at least worker.batch, or no batch is ever full",
        );
        must(
            self.consent.max_age_ms >= 50,
            "consent.max_age_ms: at least 50, or every send looks up its citizen again",
        );
        self.kept(&mut must);
        must(
            ["json", "human"].contains(&self.operations.log_format.as_str()),
            "operations.log_format: \"json\" or \"human\"",
        );
        must(
            !self.email.enabled
                || self.citizen_api.issuer.is_empty()
                || !self.email.config.validation_url.is_empty(),
            "email.validation_url: say where the citizen API is seen from outside, such as \
             \"https://cittadini.example.it/mailbox\"; without it no address is ever validated by mail",
        );
        for (name, address) in [
            ("sender_api.listen", &self.sender_api.listen),
            ("citizen_api.listen", &self.citizen_api.listen),
            ("operations.listen", &self.operations.listen),
        ] {
            must(
                address.parse::<std::net::SocketAddr>().is_ok(),
                &format!("{name}: {address:?} is no address; write it as 127.0.0.1:8080"),
            );
        }
        faults
    }

    /// What those sections find wrong themselves.
    fn of_sections(&self) -> Vec<String> {
        let sections = [
            ("ingest", self.ingest.faults()),
            ("batches", self.batches.faults()),
            ("citizen_api.rate", self.citizen_api.rate.faults()),
        ];
        let named = |(section, found): (&str, Vec<String>)| {
            found.into_iter().map(|fault| format!("{section}.{fault}")).collect::<Vec<_>>()
        };
        sections.into_iter().flat_map(named).collect()
    }

    /// How long things stay, and how often it is looked.
    fn kept(&self, must: &mut impl FnMut(bool, &str)) {
        let house = &self.housekeeping;
        must(
            house.sweep_every_minutes >= 1 && house.days_every_hours >= 1,
            "housekeeping: sweep_every_minutes and days_every_hours must be at least 1",
        );
        must(
            (1..=24).contains(&house.compact_every_hours),
            "housekeeping.compact_every_hours: between 1 and 24, for an erasure is final only after it",
        );
        must(self.retention.messages_days >= 1, "retention.messages_days: at least 1");
    }
}
