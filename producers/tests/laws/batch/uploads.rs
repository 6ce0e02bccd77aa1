//! How rows become durable: packed, in parts, twice at once, broken off.

use std::io::Write as _;

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::bed::{Bed, row, rows};
use crate::ingest::support::{PLAIN, SPECIAL};

const TEMPLATE: &str = r#"{"fiscal_code": "{{cf}}", "content": {"subject": "Avviso per {{nome}}",
    "markdown": "{{testo}}"}}"#;

fn csv(numbers: std::ops::Range<usize>) -> String {
    let text = "b".repeat(90);
    let lines = numbers.map(|n| format!("p{n},AAAAAA00A00A000A,\"Rossi, {n}\",{text}\n"));
    lines.fold("pratica,cf,nome,testo\n".to_owned(), |file, line| file + &line)
}

type Part = Result<String, std::io::Error>;

/// A body whose parts are sent when a law says so.
fn by_hand() -> (tokio::sync::mpsc::Sender<Part>, reqwest::Body) {
    let (send, parts) = tokio::sync::mpsc::channel::<Part>(1);
    let stream = futures::stream::unfold(parts, |mut parts| async {
        parts.recv().await.map(|part| (part, parts))
    });
    (send, reqwest::Body::wrap_stream(stream))
}

fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_fills_its_template_and_keeps_its_rows_names() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({"template": TEMPLATE, "id_column": "pratica"})).await;
    assert_eq!(bed.put(&batch, "", csv(0..25)).await.status(), 200);
    bed.look_until(&batch, |it| it["counters"]["in_progress"] == 25).await;
    let released = bed.released();
    assert_eq!(bed.subject(&released[&(batch.clone(), 8)]), "Avviso per Rossi, 7");
    let results = bed.results(&batch).await;
    assert_eq!(results[24]["id"], "p24");
    let path = format!("/batches/{batch}/results?format=csv");
    let text = bed.request("GET", PLAIN, &path).send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with("row,id,message_id,status,reason,repeated\r\n1,p0,"), "{text}");
    assert_eq!(text.lines().count(), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_and_zstd_bring_the_same_rows() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let plain = rows(0..25);
    // A gzip file may be several, one behind the other.
    let two = [gzip(&rows(0..13)), gzip(&rows(13..25))].concat();
    let zstd = zstd::encode_all(plain.as_bytes(), 3).unwrap();
    for (name, body) in [("gzip", gzip(&plain)), ("gzip", two), ("zstd", zstd)] {
        let batch = bed.made(&json!({})).await;
        let path = format!("/batches/{batch}/rows");
        let put = bed.request("PUT", PLAIN, &path).header("Content-Encoding", name).body(body);
        assert_eq!(put.send().await.unwrap().status(), 200, "{name}");
        assert_eq!(bed.look(&batch).await["counters"]["rows"], 25, "{name}");
        assert_eq!(bed.look(&batch).await["counters"]["refused"], 0, "{name}");
    }
    let batch = bed.made(&json!({})).await;
    for (name, status) in [("br", 415), ("gzip", 400), ("zstd", 400)] {
        let path = format!("/batches/{batch}/rows");
        let put = bed.request("PUT", PLAIN, &path).header("Content-Encoding", name);
        assert_eq!(put.body(plain.clone()).send().await.unwrap().status(), status, "{name}");
    }
    assert_eq!(bed.look(&batch).await["status"], "receiving");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_broke_off_goes_on_from_its_last_durable_row() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({"reference": "broken"})).await;
    // Two whole chunks, and a row that stops in the middle.
    let head = rows(0..23) + "{\"fiscal_code\": \"AAA";
    let (send, body) = by_hand();
    let path = format!("/batches/{batch}/rows");
    let put = bed.request("PUT", PLAIN, &path).body(body).send();
    let cut = async {
        send.send(Ok(head)).await.unwrap();
        bed.look_until(&batch, |it| it["next_row"] == 20).await;
        send.send(Err(std::io::Error::other("cut"))).await.unwrap();
    };
    let (response, ()) = tokio::join!(put, cut);
    assert!(response.is_err());
    let shown = bed.look_until(&batch, |it| it["next_row"] == 23).await;
    assert_eq!(
        (shown["status"].as_str(), shown["complete"].as_bool()),
        (Some("receiving"), Some(false))
    );
    // From anywhere else the rest is refused, with the place to go on from.
    for from in ["", "?from=20", "?from=30"] {
        let response = bed.put(&batch, from, rows(0..40)).await;
        assert_eq!(response.status(), 409);
        assert!(response.text().await.unwrap().contains("?from=23"));
    }
    assert_eq!(bed.put(&batch, "?from=23", rows(23..40)).await.status(), 200);
    bed.look_until(&batch, |it| it["counters"]["in_progress"] == 40).await;
    for ((_, number), message) in bed.released() {
        assert_eq!(bed.subject(&message), format!("Comunicazione {}", number - 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_make_one_batch_and_rows_leave_when_it_is_complete() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({"template": TEMPLATE})).await;
    assert_eq!(bed.put(&batch, "?complete=false", csv(0..12)).await.status(), 200);
    assert_eq!(bed.put(&batch, "?from=12&complete=false", csv(12..20)).await.status(), 200);
    assert_eq!(bed.look(&batch).await["counters"]["waiting"], 20);
    assert!(bed.released().is_empty());
    assert_eq!(bed.order(&batch, "complete").await.status(), 200);
    bed.look_until(&batch, |it| it["counters"]["in_progress"] == 20).await;
    assert_eq!(bed.put(&batch, "?from=20", csv(20..21)).await.status(), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_is_one_batch_for_one_request_of_one_service() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let request = json!({"reference": "spring", "dry_run": true});
    let at_once: Vec<_> =
        futures::future::join_all((0..6).map(|_| bed.create(&request))).await.into_iter().collect();
    let mut statuses: Vec<_> = at_once.iter().map(|it| it.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 201]);
    let other = json!({"reference": "spring", "dry_run": false});
    assert_eq!(bed.create(&other).await.status(), 409);
    let theirs = bed.request("POST", SPECIAL, "/batches").json(&other).send().await.unwrap();
    assert_eq!(theirs.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_uploads_at_once_one_brings_its_rows_and_the_other_is_told() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({"reference": "twice"})).await;
    let slowly = |first: usize| {
        let parts = (0..20).map(move |part| rows(first + part * 5..first + part * 5 + 5));
        let stream = futures::stream::iter(parts).then(|part| async {
            tokio::task::yield_now().await;
            Ok::<_, std::io::Error>(part)
        });
        bed.put(&batch, "", reqwest::Body::wrap_stream(stream))
    };
    let (one, other) = tokio::join!(slowly(0), slowly(1_000));
    let mut statuses = [one.status().as_u16(), other.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let winner = if one.status() == 200 { 0 } else { 1_000 };
    let shown = bed.look_until(&batch, |it| it["counters"]["in_progress"] == 100).await;
    assert_eq!(shown["counters"]["rows"], 100);
    let subjects: Vec<_> = bed.released().values().map(|it| bed.subject(it)).collect();
    // Either may have brought the first chunks; no row of the other is among those of its neighbour.
    let of_winner = |n: usize| subjects.contains(&format!("Comunicazione {}", winner + n));
    assert!(of_winner(99), "{subjects:?}");
    assert_eq!(subjects.len(), 100);
}

/// Hazard H20, seen in Novu (novuhq/docs, issue 197): nobody can say what a cancel leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_during_an_upload_ends_it_and_the_totals_add_up() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({})).await;
    let (send, body) = by_hand();
    let put = bed.put(&batch, "", body);
    let cancel = async {
        send.send(Ok(rows(0..15))).await.unwrap();
        bed.look_until(&batch, |it| it["next_row"] == 10).await;
        assert_eq!(bed.order(&batch, "cancel").await.status(), 200);
        // The answer may come before the body has ended.
        let _ = send.send(Ok(rows(15..40))).await;
        drop(send);
    };
    let (response, ()) = tokio::join!(put, cancel);
    assert_eq!(response.status(), 409);
    assert!(response.text().await.unwrap().contains("cancelled"));
    let shown = bed.look(&batch).await;
    assert_eq!(shown["counters"]["cancelled"], 10);
    assert!(bed.released().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_twice_is_reported_and_sent_once_where_an_id_says_so() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let with_id = bed.made(&json!({"template": TEMPLATE, "id_column": "pratica"})).await;
    let file = csv(0..12) + csv(3..5).split_once('\n').unwrap().1;
    assert_eq!(bed.put(&with_id, "?complete=false", file.clone()).await.status(), 200);
    // Also in a part that comes later: what was said before is read again.
    assert_eq!(bed.put(&with_id, "?from=14", csv(11..13)).await.status(), 200);
    let shown = bed.look_until(&with_id, |it| it["counters"]["in_progress"] == 13).await;
    assert_eq!(
        (&shown["counters"]["repeated"], &shown["counters"]["refused"]),
        (&json!(3), &json!(3))
    );
    let results = bed.results(&with_id).await;
    assert_eq!(
        (&results[12]["status"], &results[12]["repeated"]),
        (&json!("REFUSED"), &json!(true))
    );
    let without = bed.made(&json!({"template": TEMPLATE})).await;
    assert_eq!(bed.put(&without, "", file).await.status(), 200);
    let shown = bed.look_until(&without, |it| it["counters"]["in_progress"] == 14).await;
    assert_eq!(
        (&shown["counters"]["repeated"], &shown["counters"]["refused"]),
        (&json!(2), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_while_the_store_is_down_says_so_and_goes_on_later() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({})).await;
    bed.chunks.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(bed.put(&batch, "", rows(0..25)).await.status(), 500);
    assert_eq!(bed.look(&batch).await["next_row"], 0);
    bed.chunks.down.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(bed.put(&batch, "", rows(0..25)).await.status(), 200);
    bed.look_until(&batch, |it| it["counters"]["in_progress"] == 25).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_uploads_than_there_are_places_are_taken_at_once() {
    let mut setup = super::bed::Setup::default();
    setup.config.uploads = 1;
    let bed = Bed::with(setup).await;
    let _owner = bed.own();
    let (one, two) = (bed.made(&json!({})).await, bed.made(&json!({})).await);
    let (send, body) = by_hand();
    let put = bed.put(&one, "", body);
    let second = async {
        send.send(Ok(rows(0..10))).await.unwrap();
        bed.look_until(&one, |it| it["next_row"] == 10).await;
        let refused = bed.put(&two, "", format!("{}\n", row(0))).await;
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key("retry-after"));
        drop(send);
    };
    let (response, ()) = tokio::join!(put, second);
    assert_eq!(response.status(), 200);
    assert_eq!(bed.put(&two, "", format!("{}\n", row(0))).await.status(), 200);
    let shown: Value = bed.look(&two).await;
    assert_eq!(shown["counters"]["rows"], 1);
}
