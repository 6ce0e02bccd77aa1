//! `services apply FILE`: onboarding by file. API keys leave as keyed hashes, recipients as pseudonyms.

use std::path::PathBuf;

use clap::Subcommand;
use policy::admit::service_file;
use runtime::log::{Log, Outgoing};
use runtime::world::World;
use schemas::codec::Codec;
use schemas::headers::Headers;
use schemas::records::ServiceRecord;
use schemas::topics::Topic;
use sealing::Keyring;

use super::{executor, print};
use crate::config::Settings;
use crate::logs;

#[derive(Debug, Subcommand)]
pub enum Services {
    /// Publishes every service of the file; the newest of an id counts.
    Apply { file: PathBuf },
}

/// Carries it out.
///
/// # Errors
/// The file's, naming the service by its number; the log's.
pub fn run(what: &Services, settings: &Settings) -> anyhow::Result<()> {
    let Services::Apply { file } = what;
    let executor = executor()?;
    let codec = Codec::with_registry_ids(settings.registry_ids.clone());
    let world = World::real(executor.handle().clone(), codec, 1.0);
    let keyring = Keyring::load(&settings.keyring.file)?;
    let log = logs::open(settings, &world)?;
    let text = std::fs::read_to_string(file)
        .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let count = publish(&text, log.as_ref(), &keyring, &world)?;
    print(&format!("{count} services published"));
    Ok(())
}

/// Publishes the services of a services file's `text`; gives their number.
///
/// # Errors
/// As [`run`].
pub fn publish(
    text: &str,
    log: &dyn Log,
    keyring: &Keyring,
    world: &World,
) -> anyhow::Result<usize> {
    let pseudonym = |code: &policy::contract::FiscalCode| {
        let code = code.as_str().parse().expect("both crates take the same fiscal codes");
        keyring.pepper().pseudonym(&code)
    };
    let entries = service_file::read(text, &pseudonym)
        .map_err(|fault| anyhow::anyhow!("the services file: {fault}"))?;
    let mut records = Vec::new();
    for entry in entries {
        let service_id = entry.service.service_id.clone();
        let document = entry.into_document(&|key| keyring.hashes().api_key(key).to_string());
        let record = ServiceRecord {
            service_id: service_id.clone(),
            document: serde_json::to_string(&document)?,
            updated_at: world.now(),
        };
        let key = service_id.as_str().as_bytes().to_vec();
        records.push(Outgoing {
            topic: Topic::Service,
            key: key.clone(),
            partition_by: key,
            value: Some(world.codec.encode(&record)),
            headers: Headers::default(),
        });
    }
    let count = records.len();
    log.writer("services")?.write(records)?;
    Ok(count)
}
