//! From a file to the bulk lane, and back to its sender.

use schemas::records::Status;
use schemas::topics::Lane;
use serde_json::{Value, json};

use super::bed::{Bed, rows};
use crate::ingest::support::{PLAIN, SPECIAL};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_messages_is_released_row_by_row_and_told_row_by_row() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let body = format!("{}{{\"content\":1}}\n{}", rows(0..24), rows(25..30));
    let response = bed
        .request("POST", PLAIN, "/batches?reference=spring")
        .header("Content-Type", "application/x-ndjson")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    let place = response.headers()["location"].to_str().unwrap().to_owned();
    let made: Value = response.json().await.unwrap();
    let batch = made["id"].as_str().unwrap().to_owned();
    assert!(place.ends_with(&batch));
    let shown = bed.look_until(&batch, |it| it["counters"]["in_progress"] == 29).await;
    assert_eq!(shown["counters"]["refused"], 1);
    let released = bed.released();
    assert_eq!(released.len(), 29);
    for ((of, number), message) in &released {
        assert_eq!((of, message.lane), (&batch, Lane::Bulk));
        assert_eq!(bed.subject(message), format!("Comunicazione {}", number - 1));
    }
    for message in released.values() {
        bed.tell(message, 0, Status::Accepted).await;
        bed.tell(message, 1, Status::Stored).await;
        bed.tell(message, 2, Status::Notified).await;
    }
    let shown = bed.look_until(&batch, |it| it["status"] == "finished").await;
    assert_eq!(shown["counters"]["notified"], 29);
    let results = bed.results(&batch).await;
    assert_eq!(results.len(), 30);
    for (at, line) in results.iter().enumerate() {
        assert_eq!(line["row"], at + 1);
        let status = if at == 24 { "REFUSED" } else { "NOTIFIED" };
        assert_eq!(line["status"], status, "{line}");
    }
    assert!(results[24]["reason"].as_str().unwrap().starts_with("Invalid message structure"));
    let id = released[&(batch.clone(), 1)].message_id.to_string();
    assert_eq!(results[0]["message_id"], json!(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_another_services_batch() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({})).await;
    for (method, path) in [
        ("GET", ""),
        ("GET", "/results"),
        ("PUT", "/rows"),
        ("POST", "/pause"),
        ("POST", "/cancel"),
        ("POST", "/complete"),
    ] {
        let path = format!("/batches/{batch}{path}");
        let response = bed.request(method, SPECIAL, &path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{method} {path}");
    }
    assert_eq!(bed.look(&batch).await["status"], "receiving");
}
