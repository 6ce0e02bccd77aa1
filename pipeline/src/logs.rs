//! Opening the log that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use runtime::embedded::{self, EmbeddedLog};
use runtime::kafka::{FirstOffsets, KafkaLog, KafkaSettings};
use runtime::log::{Log, LogError};
use runtime::world::World;

use crate::config::{LogKind, LogSettings, Settings};

/// The log, answering.
///
/// # Errors
/// See [`LogError`].
pub fn open(settings: &Settings, world: &World) -> Result<Arc<dyn Log>, LogError> {
    open_either(settings, world).map(|(log, _)| log)
}

/// The log, told where groups without offsets begin on topics that hold records. The embedded one forgets
/// no offsets and needs no telling.
///
/// # Errors
/// See [`LogError`].
pub fn open_to_apply(
    settings: &Settings,
    world: &World,
    first_offsets: Option<FirstOffsets>,
) -> Result<Arc<dyn Log>, LogError> {
    match settings.log.kind {
        LogKind::Embedded => open(settings, world),
        LogKind::Kafka => {
            let settings = KafkaSettings { first_offsets, ..kafka(&settings.log) };
            Ok(Arc::new(KafkaLog::connect(settings)?))
        }
    }
}

/// The log, and once more as what only the embedded one can do.
///
/// # Errors
/// See [`LogError`].
pub fn open_either(
    settings: &Settings,
    world: &World,
) -> Result<(Arc<dyn Log>, Option<EmbeddedLog>), LogError> {
    let log = &settings.log;
    match log.kind {
        LogKind::Embedded => {
            let how = embedded::Settings {
                partitions: log.partitions,
                sync: log.sync,
                ..embedded::Settings::default()
            };
            std::fs::create_dir_all(&log.folder).map_err(|error| {
                LogError::Broken(format!("log.folder {}: {error}", log.folder.display()))
            })?;
            let embedded = EmbeddedLog::open(&log.folder, world.clone(), how)?;
            Ok((Arc::new(embedded.clone()), Some(embedded)))
        }
        LogKind::Kafka => Ok((Arc::new(KafkaLog::connect(kafka(log))?), None)),
    }
}

fn kafka(log: &LogSettings) -> KafkaSettings {
    KafkaSettings {
        prefix: log.prefix.clone(),
        security: log.security.clone(),
        replication: log.replication,
        session_timeout: Duration::from_millis(log.session_timeout_ms),
        transaction_timeout: Duration::from_millis(log.transaction_timeout_ms),
        producers_in_turn: log.producers_in_turn,
        ..KafkaSettings::new(log.bootstrap.clone())
    }
}
