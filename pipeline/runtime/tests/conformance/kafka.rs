//! The laws on a real cluster; its address comes from `STAFFETTA_TEST_KAFKA`.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runtime::kafka::{FirstOffsets, KafkaLog, KafkaSettings};
use runtime::log::Log;

use crate::bed::{Bed, all_laws_hold_on};

struct KafkaBed {
    log: KafkaLog,
    /// Gives up waiting for a commit's answer about when it comes.
    shaky: KafkaLog,
}

impl Bed for KafkaBed {
    fn log(&self) -> &dyn Log {
        &self.log
    }

    fn shaky(&self) -> &dyn Log {
        &self.shaky
    }
}

fn bed() -> KafkaBed {
    let bootstrap = std::env::var("STAFFETTA_TEST_KAFKA").expect(
        "no Kafka to test against: run `cargo xtask test`, or `cargo xtask kafka up` and set \
         STAFFETTA_TEST_KAFKA to its address",
    );
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let settings = KafkaSettings {
        prefix: format!("law-{since}-{}-{count}.", process::id()),
        replication: 1,
        // As on the embedded log, which forgets no group.
        first_offsets: Some(FirstOffsets::Beginning),
        session_timeout: Duration::from_secs(2),
        transaction_timeout: Duration::from_secs(8),
        commit_timeout: Duration::from_secs(4),
        ..KafkaSettings::new(bootstrap)
    };
    let hasty = KafkaSettings { commit_timeout: Duration::from_millis(2), ..settings.clone() };
    KafkaBed { log: KafkaLog::connect(settings).unwrap(), shaky: KafkaLog::connect(hasty).unwrap() }
}

all_laws_hold_on!(bed());
