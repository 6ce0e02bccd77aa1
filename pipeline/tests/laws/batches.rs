//! A batch in a whole installation whose processes are killed while it leaves.

use std::collections::BTreeMap;

use reqwest::Client;
use runtime::log::Log;
use schemas::codec::Codec;
use schemas::records::{MessageAccepted, MessageStatus};
use schemas::topics::{Lane, Topic};
use serde_json::{Value, json};

use crate::canary::{embedded_log, none, onboarded};
use crate::installation::{Doors, Installation, until};
use crate::planted::{Planted, letters};
use crate::search::{Search, everything};

const KEY: &str = "Ocp-Apim-Subscription-Key";
/// A service of the sample with every usual right.
const PLAIN: &str = "01JNDKQJM0THQ3F7T59F27VNZ4";
const ROWS: usize = 150;

/// The release takes many steps.
pub const SLOW: [(&str, &str); 3] = [
    ("BATCHES__CHUNK_ROWS", "20"),
    ("BATCHES__RELEASE_ROWS", "7"),
    ("BATCHES__BACKLOG_RECORDS", "40"),
];

struct Sender {
    client: Client,
    key: String,
}

impl Sender {
    async fn look(&self, doors: &Doors, batch: &str) -> Option<Value> {
        let url = format!("{}/api/v1/batches/{batch}", doors.sender);
        let answer = self.client.get(url).header(KEY, &self.key).send().await.ok()?;
        // The view is being built.
        let answer = answer.error_for_status().ok()?.json::<Value>().await.ok()?;
        let counters = answer["counters"].as_object().unwrap();
        let places =
            counters.iter().filter(|(name, _)| !["rows", "repeated"].contains(&name.as_str()));
        let sum: i64 = places.map(|(_, count)| count.as_i64().unwrap()).sum();
        assert_eq!(counters["rows"].as_i64(), Some(sum), "{answer}");
        Some(answer)
    }

    async fn until(&self, doors: &Doors, batch: &str, what: &str, holds: impl Fn(&Value) -> bool) {
        until(what, async || self.look(doors, batch).await.is_some_and(|it| holds(&it))).await;
    }

    async fn upload(&self, doors: &Doors, planted: &mut Planted) -> String {
        let name = planted.plant("a batch's reference", &letters(24));
        let url = format!("{}/api/v1/batches", doors.sender);
        let post = self.client.post(&url).header(KEY, &self.key).json(&json!({"reference": name}));
        let mut batch = String::new();
        until("the batch is made", async || {
            let answer = post.try_clone().unwrap().send().await.unwrap();
            let is_made = answer.status().is_success();
            if is_made {
                let made: Value = answer.json().await.unwrap();
                made["id"].as_str().unwrap().clone_into(&mut batch);
            }
            is_made
        })
        .await;
        let body: String = planted.messages.iter().map(|it| format!("{}\n", it["body"])).collect();
        let put = self.client.put(format!("{url}/{batch}/rows")).header(KEY, &self.key).body(body);
        assert_eq!(put.send().await.unwrap().status(), 200);
        batch
    }

    async fn results(&self, doors: &Doors, batch: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/batches/{batch}/results", doors.sender);
        let answer = self.client.get(url).header(KEY, &self.key).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Uploads a batch and kills the process so many times while its rows leave; gives the search for what
/// was planted, and how many rows were refused.
pub async fn killed_while_it_leaves(
    installation: &mut Installation,
    kills: i64,
) -> (Search, usize) {
    let mut planted = Planted::sample(ROWS);
    let mut doors = onboarded(installation, &planted).await;
    let sender = Sender { client: Client::new(), key: planted.keys[PLAIN].clone() };
    let batch = sender.upload(&doors, &mut planted).await;
    for part in 1..=kills {
        let left = |it: &Value| {
            let of = |name: &str| it["counters"][name].as_i64().unwrap();
            of("rows") - of("waiting") - of("refused") >= part * 30
        };
        sender.until(&doors, &batch, "rows leave", left).await;
        installation.kill();
        doors = installation.run_as(&format!("again-{part}"), &["run"], &[]).await;
    }
    sender.until(&doors, &batch, "every row ends", |it| it["status"] == "finished").await;
    let results = sender.results(&doors, &batch).await;
    assert_eq!(results.len(), ROWS);
    for (line, row) in results.iter().zip(1..) {
        assert_eq!(line["row"], row);
        let status = line["status"].as_str().unwrap();
        assert!(!["WAITING", "RELEASED", "ACCEPTED", "STORED"].contains(&status), "{line}");
    }
    let refused = results.iter().filter(|line| line["status"] == "REFUSED").count();
    assert!(refused < ROWS / 2, "{refused} rows were refused");
    installation.end();
    (Search::new(&planted.needles), refused)
}

/// Each row that was not refused became one message, which has one end.
pub fn once_each(log: &dyn Log, refused: usize) {
    let codec = Codec::default();
    let mut rows: BTreeMap<i64, usize> = BTreeMap::new();
    for record in everything(log, &[Topic::Accepted(Lane::Bulk)]) {
        let message: MessageAccepted = codec.decode(&record.value.unwrap()).unwrap();
        *rows.entry(message.batch.unwrap().row).or_default() += 1;
    }
    assert_eq!(rows.len(), ROWS - refused);
    assert!(rows.values().all(|times| *times == 1), "{rows:?}");
    let mut ends = BTreeMap::new();
    for record in everything(log, &[Topic::Status]) {
        let event: MessageStatus = codec.decode(&record.value.unwrap()).unwrap();
        *ends.entry(event.message_id.to_string()).or_insert(0) +=
            usize::from(event.status.is_final());
    }
    assert_eq!(ends.len(), ROWS - refused);
    assert!(ends.values().all(|times| *times == 1), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_outlives_kills_of_its_process_and_nothing_of_it_lies_in_clear() {
    let mut installation = Installation::prepare(&SLOW).await;
    let (secret, refused) = killed_while_it_leaves(&mut installation, 2).await;
    tokio::task::block_in_place(|| {
        none(&secret.folder(&installation.data()).0);
        none(&secret.folder(&installation.said()).0);
        once_each(&embedded_log(&installation.data().join("log")), refused);
    });
}
