//! The same on a real Kafka and a real Redis, whose addresses `cargo xtask test` passes on.

mod pen;

use std::path::PathBuf;

use redis::cmd;
use runtime::kafka::{KafkaLog, KafkaSettings};
use runtime::log::{Log as _, Outgoing};
use schemas::headers::Headers;
use schemas::topics::Topic;

use crate::batches::{SLOW, killed_while_it_leaves, once_each};
use crate::canary::{MESSAGES, all_ended, lived_in, none};
use crate::installation::Installation;
use crate::planted::letters;
use crate::search::{Needle, Search};

/// The real parts, under a name that nobody else has.
struct Parts {
    name: String,
    bootstrap: String,
    redis: String,
}

impl Parts {
    fn here() -> Self {
        let given = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!(
                    "{name} is not set: run `cargo xtask test`, which starts what this law needs"
                )
            })
        };
        Self {
            name: format!("canary-{}-", letters(8)),
            bootstrap: given("STAFFETTA_TEST_KAFKA"),
            redis: format!("redis://{}", given("STAFFETTA_TEST_REDIS")),
        }
    }

    async fn installation(&self) -> Installation {
        self.installation_with(&[]).await
    }

    async fn installation_with(&self, more: &[(&str, &str)]) -> Installation {
        let ours: [(&str, &str); 7] = [
            ("LOG__KIND", "kafka"),
            ("LOG__BOOTSTRAP", &self.bootstrap),
            ("LOG__PREFIX", &self.name),
            ("LOG__REPLICATION", "1"),
            ("DIRECTORY__KIND", "redis"),
            ("DIRECTORY__REDIS_URL", &self.redis),
            ("DIRECTORY__REDIS_PREFIX", &self.name),
        ];
        Installation::prepare(&[&ours, more].concat()).await
    }

    fn log(&self) -> KafkaLog {
        let settings = KafkaSettings::new(&self.bootstrap);
        let settings = KafkaSettings { prefix: self.name.clone(), replication: 1, ..settings };
        KafkaLog::connect(settings).unwrap()
    }

    /// Everything that the broker keeps and says: segments, indexes, its own log.
    fn broker(&self) -> PathBuf {
        PathBuf::from(std::env::var("STAFFETTA_TEST_KAFKA_FOLDER").expect(
            "STAFFETTA_TEST_KAFKA_FOLDER is not set: name the folder in which that Kafka keeps its data",
        ))
    }

    /// What Redis would leave on a disk, not compressed.
    fn dump(&self) -> Vec<u8> {
        let mut redis = redis::Client::open(self.redis.as_str()).unwrap().get_connection().unwrap();
        let setting = |redis: &mut redis::Connection, key: &str| -> String {
            let answer: Vec<String> = cmd("CONFIG").arg("GET").arg(key).query(redis).unwrap();
            answer[1].clone()
        };
        let mut set = cmd("CONFIG");
        set.arg("SET").arg("rdbcompression").arg("no").exec(&mut redis).unwrap();
        cmd("SAVE").exec(&mut redis).unwrap();
        let folder = PathBuf::from(setting(&mut redis, "dir"));
        let file = folder.join(setting(&mut redis, "dbfilename"));
        let dump = std::fs::read(&file).unwrap();
        std::fs::remove_file(file).unwrap();
        dump
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_canaries_are_found_nowhere() {
    let parts = Parts::here();
    let mut installation = parts.installation().await;
    let (secret, open) = lived_in(&mut installation).await;
    tokio::task::block_in_place(|| {
        none(&secret.folder(&parts.broker()).0);
        assert!(
            !open.folder(&parts.broker()).0.is_empty(),
            "the search sees into the broker's files"
        );
        let dump = parts.dump();
        none(&secret.bytes("the dump of Redis", &dump));
        assert!(!open.bytes("", &dump).is_empty(), "the search sees into the dump");
        none(&secret.folder(&installation.data()).0);
        none(&secret.folder(&installation.said()).0);
        let log = parts.log();
        let (found, records) = secret.records(&log);
        none(&found);
        assert!(records > 5 * MESSAGES, "{records} records were read");
        assert!(all_ended(&log));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_outlives_kills_of_its_process_and_nothing_of_it_lies_in_clear() {
    let parts = Parts::here();
    let mut installation = parts.installation_with(&SLOW).await;
    let (secret, refused) = killed_while_it_leaves(&mut installation, 1).await;
    tokio::task::block_in_place(|| {
        none(&secret.folder(&parts.broker()).0);
        once_each(&parts.log(), refused);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_in_clear_is_found() {
    let parts = Parts::here();
    let word = letters(16);
    let search = Search::new(&[Needle { what: "the canary".into(), text: word.clone() }]);
    tokio::task::block_in_place(|| {
        let log = parts.log();
        log.apply(&Topic::all(), 1, &[]).unwrap();
        assert!(search.records(&log).0.is_empty());
        log.writer("canary").unwrap().write(vec![in_clear(&word)]).unwrap();
        assert_eq!(search.records(&log).0.len(), 1);
        assert!(!search.folder(&parts.broker()).0.is_empty());
        assert!(search.bytes("the dump of Redis", &parts.dump()).is_empty());
        let mut redis =
            redis::Client::open(parts.redis.as_str()).unwrap().get_connection().unwrap();
        cmd("SET").arg(&parts.name).arg(&word).exec(&mut redis).unwrap();
        assert_eq!(search.bytes("the dump of Redis", &parts.dump()).len(), 1);
    });
}

/// A record that no stage reads.
pub fn in_clear(word: &str) -> Outgoing {
    Outgoing {
        topic: Topic::DeadResolution,
        key: b"canary".to_vec(),
        partition_by: b"canary".to_vec(),
        value: Some(word.as_bytes().to_vec()),
        headers: Headers::default(),
    }
}
