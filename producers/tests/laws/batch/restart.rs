//! The owner ends anywhere, commits fail or stay unknown: nothing is lost, nothing leaves twice.

use runtime::embedded::Fault;
use runtime::log::LogError;
use serde_json::json;

use super::bed::{Bed, Setup, rows};

const ROWS: usize = 300;

fn small_steps() -> Setup {
    let mut setup = Setup::default();
    setup.config.release_rows = 11;
    setup
}

async fn uploaded(bed: &Bed) -> String {
    let owner = bed.own();
    let batch = bed.made(&json!({"not_before": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(bed.order(&batch, "pause").await.status(), 200);
    assert_eq!(bed.put(&batch, "", rows(0..ROWS)).await.status(), 200);
    drop(owner);
    batch
}

fn check_all_once(bed: &Bed) {
    let released = bed.released();
    assert_eq!(released.len(), ROWS);
    for ((_, number), message) in released {
        assert_eq!(bed.subject(&message), format!("Comunicazione {}", number - 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_that_end_after_any_step_lose_and_double_nothing() {
    let bed = Bed::with(small_steps()).await;
    let batch = uploaded(&bed).await;
    bed.order_by_hand(&batch, schemas::records::BatchOrder::Resume).await;
    for steps in (1..4).cycle() {
        // Without draining: as if its process had ended.
        let mut owner = bed.owner();
        let work = tokio::task::spawn_blocking(move || {
            (0..steps).for_each(|_| {
                owner.step().unwrap();
            });
        });
        work.await.unwrap();
        if bed.released().len() == ROWS {
            break;
        }
    }
    check_all_once(&bed);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_fail_or_are_unknown_double_no_row() {
    let bed = Bed::with(small_steps()).await;
    let batch = uploaded(&bed).await;
    bed.order_by_hand(&batch, schemas::records::BatchOrder::Resume).await;
    let mut owner = bed.owner();
    let faults = [Fault::RefuseBefore, Fault::NotAppliedUnknown, Fault::AppliedButUnknown]
        .into_iter()
        .cycle();
    let log = bed.log.clone();
    let work = tokio::task::spawn_blocking(move || {
        for (turn, fault) in (0..400).zip(faults) {
            if turn % 4 == 0 {
                log.inject(fault);
            }
            match owner.step() {
                Ok(_) | Err(LogError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    work.await.unwrap();
    check_all_once(&bed);
    let _owner = bed.own();
    let shown = bed.look(&batch).await;
    assert_eq!(shown["counters"]["in_progress"], ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_given_while_nobody_owned_the_batch_are_answered_by_the_next_owner() {
    let bed = Bed::with(small_steps()).await;
    let batch = uploaded(&bed).await;
    let cancel = bed.order(&batch, "cancel");
    let late = async {
        tokio::task::yield_now().await;
        bed.own()
    };
    let (response, _owner) = tokio::join!(cancel, late);
    assert_eq!(response.status(), 200);
    assert!(bed.released().is_empty());
    assert_eq!(bed.look(&batch).await["counters"]["cancelled"], ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_share_the_partitions_and_release_each_row_once() {
    let bed = Bed::with(small_steps()).await;
    let one = bed.own();
    let mut batches = Vec::new();
    for _ in 0..6 {
        let batch = bed.made(&json!({})).await;
        assert_eq!(bed.put(&batch, "?complete=false", rows(0..50)).await.status(), 200);
        batches.push(batch);
    }
    for batch in &batches {
        assert_eq!(bed.order(batch, "complete").await.status(), 200);
    }
    let second = bed.own_as(1);
    drop(one);
    for batch in &batches {
        bed.look_until(batch, |it| it["counters"]["in_progress"] == 50).await;
    }
    drop(second);
    assert_eq!(bed.released().len(), 300);
}
