//! The configuration of a run, as an operator would give it: by environment.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::world::Plan;

/// Before every variable.
pub const PREFIX: &str = "STAFFETTA_";

/// What all processes share. Beside places and addresses only this differs from the defaults: no pace
/// before the edges, and no mail.
///
/// # Errors
/// The simulators did not say where they are.
pub fn common(plan: &Plan<'_>, simulators: &Value) -> Result<Vec<(String, String)>> {
    let (apns, fcm) = (&simulators["apns"], &simulators["fcm"]);
    let of = |facts: &Value, key: &str| {
        let text = facts[key].as_str().map(str::to_owned);
        text.with_context(|| format!("the simulators do not say their {key}"))
    };
    let path = |name: &str| show(&plan.folder.join(name));
    let mut set: Vec<(&str, String)> = vec![
        ("SIMULATED_PROVIDERS", "true".into()),
        ("OPERATIONS__LOG_FORMAT", "human".into()),
        ("OPERATIONS__LOG_FILTER", "warn".into()),
        ("KEYRING__FILE", path("keyring.json")),
        ("STORE__FOLDER", path("objects")),
        ("LOG__PARTITIONS", plan.place.partitions.to_string()),
        ("APNS__ENABLED", "true".into()),
        ("APNS__URL", of(apns, "url")?),
        ("APNS__CA_FILE", of(apns, "ca")?),
        ("APNS__KEY_FILE", of(apns, "key")?),
        ("APNS__KEY_ID", of(apns, "key_id")?),
        ("APNS__TEAM_ID", of(apns, "team_id")?),
        ("APNS__TOPIC", of(apns, "topic")?),
        ("APNS__GATE__PER_SECOND", UNPACED.into()),
        ("APNS__GATE__BURST", UNPACED.into()),
        ("FCM__ENABLED", "true".into()),
        ("FCM__URL", of(fcm, "url")?),
        ("FCM__CA_FILE", of(fcm, "ca")?),
        ("FCM__ACCOUNT_FILE", of(fcm, "service_account")?),
        ("FCM__GATE__PER_SECOND", UNPACED.into()),
        ("FCM__GATE__BURST", UNPACED.into()),
    ];
    match &plan.place.kafka {
        Some(bootstrap) => set.extend([
            ("LOG__KIND", "kafka".into()),
            ("LOG__BOOTSTRAP", bootstrap.clone()),
            ("LOG__PREFIX", plan.place.prefix.clone()),
            ("LOG__REPLICATION", "1".into()),
        ]),
        None => set.extend([
            ("LOG__FOLDER", show(&plan.place.folder)),
            ("LOG__SYNC", (!plan.place.unsynced).to_string()),
        ]),
    }
    Ok(set.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// More than any machine sends a second.
const UNPACED: &str = "1000000";

/// Which processes there are, and what each is told. The embedded log takes one; on Kafka the doors are
/// a process of their own, and so is each stage where the plan says so.
#[must_use]
pub fn processes(plan: &Plan<'_>) -> Vec<(&'static str, Vec<&'static str>)> {
    if plan.place.kafka.is_none() {
        return vec![("pipeline", vec!["run"])];
    }
    let ingest = ("ingest", vec!["ingest"]);
    if !plan.split {
        let stages = "consent,vault,apns,fcm,email,delay,directory";
        return vec![ingest, ("pipeline", vec!["run", "--stages", stages])];
    }
    vec![
        ingest,
        ("consent", vec!["run", "--stages", "consent,directory"]),
        ("vault", vec!["run", "--stages", "vault,directory"]),
        ("apns", vec!["run", "--stages", "apns,directory"]),
        ("fcm", vec!["run", "--stages", "fcm,directory"]),
        ("delay", vec!["run", "--stages", "delay,directory"]),
    ]
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
