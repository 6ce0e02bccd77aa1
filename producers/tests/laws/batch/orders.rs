//! Pause, resume, cancel, dry run, schedule, and rights that are withdrawn meanwhile.

use policy::contract::date;
use schemas::ids::Timestamp;
use schemas::topics::Topic;
use serde_json::{Value, json};

use super::bed::{Bed, Setup, lane, rows};
use crate::ingest::support::PLAIN;

/// The release stops after forty rows until somebody takes them.
fn narrow() -> Setup {
    let mut setup = Setup { lane: vec![lane()], ..Setup::default() };
    (setup.config.backlog_records, setup.config.release_rows) = (40, 7);
    setup
}

/// A batch of two hundred rows, being released.
async fn half_released(bed: &Bed) -> String {
    let batch = bed.made(&json!({})).await;
    assert_eq!(bed.put(&batch, "", rows(0..200)).await.status(), 200);
    bed.look_until(&batch, |it| it["counters"]["in_progress"].as_i64() > Some(0)).await;
    batch
}

async fn no_row_leaves_after_the_answer(order: &str, place: &str) {
    let bed = Bed::with(narrow()).await;
    let _owner = bed.own();
    let batch = half_released(&bed).await;
    assert_eq!(bed.order(&batch, order).await.status(), 200);
    let released = bed.released().len();
    assert!((1..200).contains(&released), "{released}");
    // Room enough for all of them, and another batch that takes it: the owner was at work.
    bed.take_all();
    let other = bed.made(&json!({})).await;
    assert_eq!(bed.put(&other, "", rows(0..30)).await.status(), 200);
    bed.look_until(&other, |it| it["counters"]["in_progress"] == 30).await;
    let of_first = bed.released().into_keys().filter(|(of, _)| *of == batch).count();
    assert_eq!(of_first, released);
    let shown = bed.look(&batch).await;
    assert_eq!(shown["counters"][place], 200 - released);
    assert_eq!(shown["counters"]["in_progress"], released);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_released_after_a_cancels_answer() {
    no_row_leaves_after_the_answer("cancel", "cancelled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_released_after_a_pauses_answer() {
    no_row_leaves_after_the_answer("pause", "waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_batch_goes_on_where_it_stopped() {
    let bed = Bed::with(narrow()).await;
    let _owner = bed.own();
    let batch = half_released(&bed).await;
    assert_eq!(bed.order(&batch, "pause").await.status(), 200);
    assert_eq!(bed.order(&batch, "resume").await.status(), 200);
    while bed.look(&batch).await["counters"]["in_progress"] != 200 {
        bed.take_all();
    }
    assert_eq!(bed.released().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_comes_too_late_is_told_so() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({})).await;
    assert_eq!(bed.put(&batch, "", rows(0..5)).await.status(), 200);
    bed.look_until(&batch, |it| it["counters"]["in_progress"] == 5).await;
    for order in ["cancel", "pause"] {
        let response = bed.order(&batch, order).await;
        assert_eq!(response.status(), 409, "{order}");
        assert!(response.text().await.unwrap().contains("released already"));
    }
    let cancelled = bed.made(&json!({})).await;
    assert_eq!(bed.order(&cancelled, "cancel").await.status(), 200);
    assert_eq!(bed.order(&cancelled, "cancel").await.status(), 200);
    assert_eq!(bed.order(&cancelled, "resume").await.status(), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_checks_every_row_and_sends_none() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({"dry_run": true})).await;
    let body = rows(0..15) + "{}\n";
    assert_eq!(bed.put(&batch, "", body).await.status(), 200);
    let shown = bed.look(&batch).await;
    assert_eq!((&shown["status"], &shown["dry_run"]), (&json!("finished"), &json!(true)));
    assert_eq!(
        (&shown["counters"]["valid"], &shown["counters"]["refused"]),
        (&json!(15), &json!(1))
    );
    let results = bed.results(&batch).await;
    assert_eq!(
        (&results[0]["status"], &results[15]["status"]),
        (&json!("VALID"), &json!("REFUSED"))
    );
    assert!(bed.released().is_empty() && bed.read(Topic::Status).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_leaves_before_its_moment() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let later = date::format(Timestamp(bed.world.now().0 + 1_500));
    let batch = bed.made(&json!({"not_before": later})).await;
    assert_eq!(bed.put(&batch, "", rows(0..5)).await.status(), 200);
    let shown: Value = bed.look(&batch).await;
    assert_eq!(shown["status"], "scheduled");
    bed.look_until(&batch, |it| it["counters"]["in_progress"] == 5).await;
    let moment = date::parse(&later).unwrap();
    assert!(bed.released().values().all(|message| message.accepted_at >= moment));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_withdrawn_meanwhile_holds_for_every_row_that_has_not_left() {
    let bed = Bed::start().await;
    let owner = bed.own();
    let batch = bed.made(&json!({})).await;
    assert_eq!(bed.put(&batch, "?complete=false", rows(0..15) + "{}\n").await.status(), 200);
    bed.registry.remove(&PLAIN.to_owned().into());
    drop(owner);
    // Its key opens no door any more, so the order is given by hand.
    bed.complete_by_hand(&batch).await;
    let _owner = bed.own();
    let told = bed.told(15).await;
    assert!(told.iter().all(|event| event.reason.name() == "rights_withdrawn"), "{told:?}");
    assert!(bed.released().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_chunk_is_lost_end_as_failed() {
    let bed = Bed::with(narrow()).await;
    let owner = bed.own();
    let batch = bed.made(&json!({})).await;
    assert_eq!(bed.put(&batch, "?complete=false", rows(0..15) + "{}\n").await.status(), 200);
    drop(owner);
    bed.chunks.lose_all();
    let _owner = bed.own();
    assert_eq!(bed.order(&batch, "complete").await.status(), 200);
    let shown = bed.look_until(&batch, |it| it["status"] == "finished").await;
    assert_eq!(
        (&shown["counters"]["failed"], &shown["counters"]["refused"]),
        (&json!(15), &json!(1))
    );
    assert_eq!(bed.results(&batch).await.len(), 16);
}
