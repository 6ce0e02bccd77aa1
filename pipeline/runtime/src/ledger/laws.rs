//! What the ledger promises.

use proptest::prelude::*;
use schemas::topics::Topic;

use super::*;
use crate::log::Position;

const AT: TopicPartition = TopicPartition { topic: Topic::Status, partition: 0 };
const NOW: Timestamp = Timestamp(0);

fn record(offset: u64, key: u8) -> Incoming {
    Incoming {
        position: Position { at: AT, offset },
        appended_at: NOW,
        key: vec![key],
        value: None,
        headers: Vec::new(),
    }
}

fn none() -> Finished {
    Finished { outputs: Vec::new() }
}

#[test]
fn a_commit_stops_before_the_first_unfinished_record() {
    let mut ledger = Ledger::default();
    for offset in 0..3 {
        ledger.take(record(offset, u8::try_from(offset).expect("small")), NOW);
    }
    ledger.finish(&record(0, 0), none());
    ledger.finish(&record(2, 2), none());
    assert_eq!(ledger.prefix(10).offsets, vec![(AT, 1)]);
}

#[test]
fn a_second_record_of_a_key_waits_for_the_first() {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 7), NOW);
    ledger.take(record(1, 7), NOW);
    assert_eq!(ledger.hand_out(10, NOW).len(), 1);
    assert!(ledger.hand_out(10, NOW).is_empty());
    ledger.finish(&record(0, 7), none());
    assert_eq!(ledger.hand_out(10, NOW).len(), 1);
}

#[test]
fn what_was_computed_survives_a_rewind() {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 1), NOW);
    ledger.hand_out(1, NOW);
    ledger.finish(&record(0, 1), none());
    ledger.take(record(0, 1), NOW);
    assert!(ledger.hand_out(1, NOW).is_empty());
    assert_eq!(ledger.prefix(10).offsets, vec![(AT, 1)]);
}

#[test]
fn a_record_that_comes_again_after_its_commit_is_not_taken() {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 1), NOW);
    ledger.hand_out(1, NOW);
    ledger.finish(&record(0, 1), none());
    // The first commit was rewound, the second went through before the record was read again.
    ledger.committed(&[(AT, 0)]);
    ledger.committed(&[(AT, 1)]);
    ledger.take(record(0, 1), NOW);
    ledger.take(record(1, 1), NOW);
    assert_eq!((ledger.in_hand(), ledger.hand_out(9, NOW).len()), (1, 1));
    // Given away and back, the group's offsets count.
    ledger.drop_partition(AT);
    ledger.take(record(0, 1), NOW);
    assert_eq!(ledger.in_hand(), 1);
}

fn again(from: i64) -> Again {
    Again { now: NOW, from: Timestamp(from), alone: false }
}

#[test]
fn a_record_put_back_is_not_handed_out_before_its_time() {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 1), NOW);
    let handed = ledger.hand_out(1, NOW);
    ledger.put_back(&handed[0], again(5));
    assert!(ledger.hand_out(1, Timestamp(4)).is_empty());
    assert_eq!(ledger.next_due(), Some(Timestamp(5)));
    assert_eq!(ledger.hand_out(1, Timestamp(5)).len(), 1);
}

#[test]
fn a_record_put_back_does_not_wait_for_a_clock_that_was_set_back() {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 1), NOW);
    let handed = ledger.hand_out(1, NOW);
    ledger.put_back(&handed[0], again(5));
    assert_eq!(ledger.hand_out(1, Timestamp(-3_600_000)).len(), 1);
}

#[test]
fn a_late_fault_does_not_undo_a_finished_record() {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 1), NOW);
    let before = ledger.hand_out(1, NOW);
    ledger.drop_partition(AT);
    ledger.take(record(0, 1), NOW);
    ledger.hand_out(1, NOW);
    ledger.finish(&record(0, 1), none());
    ledger.put_back(&before[0], again(5));
    assert_eq!(ledger.prefix(10).offsets, vec![(AT, 1)]);
}

#[test]
fn a_late_fault_does_not_undo_a_later_handing_out() {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 1), NOW);
    let before = ledger.hand_out(1, NOW);
    ledger.drop_partition(AT);
    ledger.take(record(0, 1), NOW);
    ledger.hand_out(1, NOW);
    ledger.put_back(&before[0], again(0));
    assert!(ledger.hand_out(1, NOW).is_empty(), "it would be sent twice at once");
}

#[test]
fn what_wants_a_batch_of_its_own_gets_one() {
    let mut ledger = Ledger::default();
    for offset in 0..3 {
        ledger.take(record(offset, u8::try_from(offset).expect("small")), NOW);
    }
    for broken in &ledger.hand_out(2, NOW) {
        ledger.put_back(broken, Again { alone: true, ..again(5) });
    }
    // Whoever was not in that batch waits for nothing.
    let offsets = |batch: Vec<Arc<Incoming>>| -> Vec<u64> {
        batch.iter().map(|record| record.position.offset).collect()
    };
    assert_eq!(offsets(ledger.hand_out(9, NOW)), [2]);
    assert_eq!(offsets(ledger.hand_out(9, Timestamp(5))), [0]);
    assert_eq!(offsets(ledger.hand_out(9, Timestamp(5))), [1]);
}

#[test]
fn of_a_closing_partition_only_what_stands_before_something_finished_is_begun() {
    let mut ledger = Ledger::default();
    for offset in 0..4 {
        ledger.take(record(offset, u8::try_from(offset).expect("small")), NOW);
    }
    let handed = ledger.hand_out(3, NOW);
    ledger.finish(&handed[1], none());
    for put_back in [&handed[0], &handed[2]] {
        ledger.put_back(put_back, again(0));
    }
    ledger.close(AT);
    let again = ledger.hand_out(9, NOW);
    assert_eq!(again.iter().map(|it| it.position.offset).collect::<Vec<_>>(), [0]);
    assert_eq!(ledger.next_due(), None, "what is not begun is not due");
    ledger.finish(&again[0], none());
    assert!(ledger.hand_out(9, NOW).is_empty());
    assert_eq!(ledger.prefix(9).offsets, vec![(AT, 2)]);
}

/// Two records, the first finished and the second under way, and their partition taken away.
fn taken_away() -> (Ledger, Vec<Arc<Incoming>>) {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 1), NOW);
    ledger.take(record(1, 2), NOW);
    let handed = ledger.hand_out(2, NOW);
    ledger.finish(&handed[0], none());
    assert_eq!(ledger.put_aside(AT, NOW), Begun { finished: 1, under_way: 1 });
    assert_eq!((ledger.in_hand(), ledger.finished()), (0, 0));
    (ledger, handed)
}

#[test]
fn what_was_begun_of_a_partition_taken_away_is_not_begun_again_when_it_comes_back() {
    let (mut ledger, handed) = taken_away();
    assert!(ledger.take(record(0, 1), NOW) && ledger.take(record(1, 2), NOW));
    assert!(ledger.hand_out(9, NOW).is_empty());
    ledger.finish(&handed[1], none());
    assert_eq!((ledger.prefix(9).offsets, ledger.finished()), (vec![(AT, 2)], 2));
}

#[test]
fn what_was_begun_is_known_although_the_partition_goes_again_before_it_was_delivered() {
    let (mut ledger, _) = taken_away();
    ledger.take(record(0, 1), NOW);
    assert_eq!(ledger.put_aside(AT, NOW), Begun { finished: 1, under_way: 0 });
    assert!(ledger.take(record(0, 1), NOW) && ledger.take(record(1, 2), NOW));
}

#[test]
fn an_answer_that_came_while_the_partition_was_away_counts() {
    let (mut ledger, handed) = taken_away();
    ledger.finish(&handed[1], none());
    ledger.take(record(0, 1), NOW);
    ledger.take(record(1, 2), NOW);
    assert_eq!(ledger.prefix(9).offsets, vec![(AT, 2)]);
    let (mut ledger, handed) = taken_away();
    ledger.put_back(&handed[1], again(5));
    assert!(!ledger.take(record(1, 2), NOW), "it never began");
    assert_eq!(ledger.hand_out(9, NOW).len(), 1);
}

#[test]
fn what_was_begun_is_known_for_a_while_and_of_the_same_record_only() {
    let (mut ledger, _) = taken_away();
    let late = NOW.plus(REMEMBERED);
    assert!(!ledger.take(record(0, 1), late));
    assert!(!ledger.take(record(1, 9), NOW), "another record at its place");
    let (mut ledger, _) = taken_away();
    assert!(!ledger.take(record(0, 1), Timestamp(-1)), "the clock was set back");
}

#[test]
fn a_late_answer_about_a_partition_given_away_is_ignored() {
    let mut ledger = Ledger::default();
    ledger.take(record(0, 1), NOW);
    ledger.drop_partition(AT);
    ledger.finish(&record(0, 1), none());
    assert_eq!((ledger.in_hand(), ledger.finished()), (0, 0));
    assert!(ledger.prefix(10).offsets.is_empty());
}

proptest! {
    #[test]
    fn the_prefix_equals_a_naive_count(order in Just((0u64..12).collect::<Vec<_>>()).prop_shuffle(), n in 0usize..12) {
        let mut ledger = Ledger::default();
        for offset in 0..12 {
            ledger.take(record(offset, u8::try_from(offset).expect("small")), NOW);
        }
        let done = &order[..n];
        for offset in done {
            ledger.finish(&record(*offset, u8::try_from(*offset).expect("small")), none());
        }
        let naive = (0..12).take_while(|offset| done.contains(offset)).count();
        let offset = ledger.prefix(100).offsets.first().map_or(0, |(_, upto)| *upto);
        prop_assert_eq!(usize::try_from(offset).expect("small"), naive);
        prop_assert_eq!(ledger.has_prefix(), naive > 0);
    }
}
