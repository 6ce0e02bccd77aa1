use proptest::prelude::*;
use schemas::ids::ServiceId;
use schemas::records::{BatchPlan, Sealed};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn plan() -> BatchPlan {
    BatchPlan {
        created_at: NOW,
        dry_run: false,
        not_before: None,
        window_from: None,
        window_to: None,
        digest: Vec::new(),
        wrapped_key: Sealed::default(),
        settings: Sealed::default(),
    }
}

fn order(order: BatchOrder) -> BatchCommand {
    BatchCommand {
        batch_id: "b".into(),
        service_id: ServiceId::from("s"),
        at: NOW,
        order,
        plan: (order == BatchOrder::Create).then(plan),
        chunk: None,
    }
}

fn chunk(number: i32, first_row: i64, rows: i64) -> BatchCommand {
    let chunk = BatchChunk {
        batch_id: "b".into(),
        number,
        first_row,
        rows,
        refused: 1,
        repeated: 0,
        object: String::new(),
        length: 0,
        wrapped_key: Sealed::default(),
    };
    BatchCommand { chunk: Some(chunk), ..order(BatchOrder::Append) }
}

/// A batch of ten rows after these orders.
fn after(orders: &[BatchOrder]) -> BatchState {
    let mut state = begun(&order(BatchOrder::Create)).unwrap();
    obey(&mut state, &chunk(0, 0, 10), NOW);
    orders.iter().for_each(|one| {
        obey(&mut state, &order(*one), NOW);
    });
    state
}

fn check(orders: &[BatchOrder], phase: BatchPhase) {
    assert_eq!(after(orders).phase, phase, "{orders:?}");
}

#[test]
fn rows_leave_only_when_all_are_there_and_nobody_has_stopped_them() {
    use BatchOrder::{Cancel, Complete, Pause, Resume};
    check(&[], BatchPhase::Receiving);
    check(&[Complete], BatchPhase::Releasing);
    check(&[Complete, Pause], BatchPhase::Paused);
    check(&[Pause, Complete], BatchPhase::Paused);
    check(&[Pause, Complete, Resume], BatchPhase::Releasing);
    check(&[Pause, Resume], BatchPhase::Receiving);
    check(&[Complete, Cancel], BatchPhase::Cancelled);
    check(&[Complete, Cancel, Resume, Pause, Complete], BatchPhase::Cancelled);
    check(&[Cancel, Complete], BatchPhase::Cancelled);
    check(&[Complete, Pause, Cancel], BatchPhase::Cancelled);
}

#[test]
fn a_batch_waits_for_its_moment_and_rests_outside_its_hours() {
    let mut state = after(&[]);
    state.plan.not_before = Some(Timestamp(NOW.0 + 1));
    obey(&mut state, &order(BatchOrder::Complete), NOW);
    assert_eq!(state.phase, BatchPhase::Scheduled);
    assert!(look(&mut state, Timestamp(NOW.0 + 1)));
    assert_eq!(state.phase, BatchPhase::Releasing);
    let minute = window::italian_minute(Timestamp(NOW.0 + 1));
    (state.plan.window_from, state.plan.window_to) = (Some(minute), Some(minute + 1));
    assert!(!look(&mut state, Timestamp(NOW.0 + 1)));
    assert!(look(&mut state, Timestamp(NOW.0 + 60_000)));
    assert_eq!(state.phase, BatchPhase::Scheduled);
}

#[test]
fn a_dry_run_releases_nothing() {
    let mut state = after(&[]);
    state.plan.dry_run = true;
    obey(&mut state, &order(BatchOrder::Complete), NOW);
    assert_eq!((state.phase, releasable(&state)), (BatchPhase::Finished, 0));
}

#[test]
fn a_batch_is_finished_when_its_last_row_has_left() {
    let mut state = after(&[BatchOrder::Complete]);
    state.released = 9;
    assert!(!look(&mut state, NOW));
    state.released = 10;
    assert!(look(&mut state, NOW));
    assert_eq!(state.phase, BatchPhase::Finished);
}

#[test]
fn of_two_uploads_at_once_one_goes_on() {
    let mut state = after(&[]);
    assert!(matches!(obey(&mut state, &chunk(1, 10, 5), NOW), Done::Taken(_)));
    assert_eq!(obey(&mut state, &chunk(1, 10, 5), NOW), Done::Nothing);
    assert_eq!(obey(&mut state, &chunk(2, 10, 5), NOW), Done::Nothing);
    assert_eq!(obey(&mut state, &chunk(1, 15, 5), NOW), Done::Nothing);
    assert_eq!((state.rows, state.refused, state.chunks), (15, 2, 2));
}

#[test]
fn no_row_is_taken_once_the_batch_is_complete_or_cancelled() {
    for end in [BatchOrder::Complete, BatchOrder::Cancel] {
        let mut state = after(&[end]);
        assert_eq!(obey(&mut state, &chunk(1, 10, 5), NOW), Done::Nothing);
        assert_eq!(state.rows, 10);
    }
}

#[test]
fn another_service_changes_nothing() {
    for one in [BatchOrder::Complete, BatchOrder::Pause, BatchOrder::Cancel] {
        let mut state = after(&[]);
        let strange = BatchCommand { service_id: ServiceId::from("t"), ..order(one) };
        assert_eq!(obey(&mut state, &strange, NOW), Done::Nothing);
        assert_eq!(state, after(&[]));
    }
}

#[test]
fn an_order_is_answered_by_what_the_batch_then_is() {
    use BatchOrder::{Cancel, Complete, Pause, Resume};
    assert!(answered(Pause, &after(&[Complete, Pause])).is_ok());
    assert!(answered(Cancel, &after(&[Cancel])).is_ok());
    assert!(answered(Complete, &after(&[Complete])).is_ok());
    assert!(answered(Resume, &after(&[Complete, Pause, Resume])).is_ok());
    assert!(answered(Pause, &after(&[Cancel])).is_err());
    assert!(answered(Complete, &after(&[Cancel])).is_err());
    let mut finished = after(&[Complete]);
    finished.released = 10;
    look(&mut finished, NOW);
    assert!(answered(Cancel, &finished).is_err());
    assert!(answered(Pause, &finished).is_err());
}

proptest! {
    #[test]
    fn an_order_that_comes_twice_changes_nothing_the_second_time(
        orders in prop::collection::vec(0_usize..5, 0..6), last in 0_usize..5
    ) {
        use BatchOrder::{Cancel, Complete, Create, Pause, Resume};
        let all = [Create, Complete, Pause, Resume, Cancel];
        let mut orders: Vec<_> = orders.into_iter().map(|one| all[one]).collect();
        orders.push(all[last]);
        let once = after(&orders);
        orders.push(all[last]);
        prop_assert_eq!(after(&orders), once);
    }
}
