//! Whose rows leave next, through the real owner.

use serde_json::json;

use super::bed::{Bed, Setup, lane, row, rows};
use crate::ingest::support::SPECIAL;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_sender_waits_for_one_round_behind_a_giant() {
    let mut setup = Setup { lane: vec![lane()], ..Setup::default() };
    (setup.config.backlog_records, setup.config.quantum_rows) = (60, 10);
    setup.change = |service| service.authorized_cidrs.clear();
    let bed = Bed::with(setup).await;
    let _owner = bed.own();
    let giant = bed.made(&json!({})).await;
    assert_eq!(bed.put(&giant, "", rows(0..2_000)).await.status(), 200);
    bed.look_until(&giant, |it| it["counters"]["in_progress"].as_i64() > Some(0)).await;
    let small = bed.request("POST", SPECIAL, "/batches?reference=small");
    let body = format!("{}\n", row(1)).repeat(5);
    let small =
        small.header("Content-Type", "application/x-ndjson").body(body).send().await.unwrap();
    assert_eq!(small.status(), 201);
    let before = bed.released().len();
    let of_small = || bed.released().keys().filter(|(batch, _)| *batch != giant).count();
    while of_small() < 5 {
        bed.take_all();
        tokio::task::yield_now().await;
    }
    // The lane's room twice: what was under way when it came, and the round that it was in.
    let after = bed.released().len() - before;
    assert!(after <= 2 * 60 + 5, "{after} rows left meanwhile");
    assert!(bed.released().len() < 2_005);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_rows_are_released_than_the_lane_has_room_for() {
    let mut setup = Setup { lane: vec![lane()], ..Setup::default() };
    setup.config.backlog_records = 60;
    let bed = Bed::with(setup).await;
    let _owner = bed.own();
    let batch = bed.made(&json!({})).await;
    assert_eq!(bed.put(&batch, "", rows(0..500)).await.status(), 200);
    let mut taken = 0;
    while bed.look(&batch).await["counters"]["in_progress"] != 500 {
        let released = bed.released().len();
        assert!(released <= taken + 60, "{released} with {taken} taken");
        bed.take_all();
        taken = bed.released().len().max(taken);
    }
}
