use schemas::topics::Kept;

use super::super::Swept;
use super::*;
use crate::log::LogError;

const DAY: Duration = Duration::from_secs(86_400);

fn keys_and_values(log: &EmbeddedLog) -> Vec<String> {
    let mut all: Vec<_> = read_all(log, COMPACTED)
        .iter()
        .map(|record| format!("{} {}", String::from_utf8_lossy(&record.key), text(record)))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn a_superseded_record_goes_with_the_transaction_that_replaces_it() {
    let log = a_log(2);
    append(&log, [record(COMPACTED, "a", "1"), record(COMPACTED, "b", "1")]);
    append(&log, [record(COMPACTED, "a", "2")]);
    assert_eq!(keys_and_values(&log), ["a 2", "b 1"]);
    // Also within one transaction.
    append(&log, [record(COMPACTED, "b", "2"), record(COMPACTED, "b", "3")]);
    assert_eq!(keys_and_values(&log), ["a 2", "b 3"]);
}

#[test]
fn a_tombstone_lives_its_day_and_goes_without_a_trace() {
    let (world, clock) = world();
    let log = EmbeddedLog::in_memory(world.clone(), 2);
    append(&log, [record(COMPACTED, "a", "1"), record(COMPACTED, "b", "1")]);
    append(&log, [tombstone(COMPACTED, "a")]);
    assert_eq!(keys_and_values(&log), ["a gone", "b 1"]);
    let written = world.now();
    assert_eq!(log.sweep(written.plus(DAY)), Ok(Swept::default()));
    assert_eq!(keys_and_values(&log), ["a gone", "b 1"]);
    clock.set(written.plus(DAY + Duration::from_millis(1)));
    assert_eq!(log.sweep(world.now()), Ok(Swept { removed: 1, more: false }));
    assert_eq!(keys_and_values(&log), ["b 1"]);
    // The key may come back, and its next tombstone has a day of its own.
    append(&log, [record(COMPACTED, "a", "2")]);
    append(&log, [tombstone(COMPACTED, "a")]);
    assert_eq!(log.sweep(world.now()), Ok(Swept::default()));
    assert_eq!(keys_and_values(&log), ["a gone", "b 1"]);
}

#[test]
fn a_tombstone_that_was_replaced_takes_nothing_with_it() {
    let (world, _) = world();
    let log = EmbeddedLog::in_memory(world.clone(), 2);
    append(&log, [tombstone(COMPACTED, "a")]);
    append(&log, [record(COMPACTED, "a", "2")]);
    assert_eq!(log.sweep(world.now().plus(DAY * 9)), Ok(Swept::default()));
    assert_eq!(keys_and_values(&log), ["a 2"]);
}

#[test]
fn offsets_run_on_after_everything_was_removed() {
    let (world, clock) = world();
    let log = EmbeddedLog::in_memory(world.clone(), 1);
    append(&log, [tombstone(COMPACTED, "a")]);
    clock.set(world.now().plus(DAY * 2));
    log.sweep(world.now()).unwrap();
    assert_eq!(keys_and_values(&log), Vec::<String>::new());
    append(&log, [record(COMPACTED, "a", "2")]);
    assert_eq!(read_all(&log, COMPACTED)[0].position.offset, 1);
}

#[test]
fn records_go_when_they_are_older_than_their_topic_keeps_them() {
    let (world, clock) = world();
    let log = EmbeddedLog::in_memory(world.clone(), 2);
    let Kept::For(life) = INPUT.kept() else { panic!("the input is kept for a time") };
    append(&log, numbers(INPUT, 0..5));
    clock.set(world.now().plus(life));
    append(&log, numbers(INPUT, 5..8));
    assert_eq!(log.sweep(world.now()), Ok(Swept::default()));
    clock.set(world.now().plus(Duration::from_millis(1)));
    assert_eq!(log.sweep(world.now()), Ok(Swept { removed: 5, more: false }));
    assert_eq!(values(&log, INPUT), ["5", "6", "7"]);
}

#[test]
fn what_a_group_has_still_to_read_stays_whatever_its_age() {
    let (world, clock) = world();
    let log = EmbeddedLog::in_memory(world.clone(), 1);
    log.apply(&[], 1, &[seat(0)]).unwrap();
    append(&log, numbers(INPUT, 0..6));
    let mut member = log.join(&seat(0)).unwrap();
    let records = member.poll(4, NOW).unwrap().records;
    let offsets = copy_of(&records).offsets;
    member.commit(Transaction { outputs: vec![], offsets }).unwrap();
    clock.set(world.now().plus(DAY * 1_000));
    assert_eq!(log.sweep(world.now()).unwrap().removed, 4);
    assert_eq!(values(&log, INPUT), ["4", "5"]);
    assert_eq!(poll(&mut member).records.len(), 2);
}

#[test]
fn a_reader_behind_the_first_record_kept_is_told_so() {
    let (world, clock) = world();
    let log = EmbeddedLog::in_memory(world.clone(), 1);
    append(&log, numbers(INPUT, 0..6));
    let mut reader = log.reader(&[INPUT], &Start::Beginning).unwrap();
    reader.poll(2, NOW).unwrap();
    clock.set(world.now().plus(DAY * 1_000));
    log.sweep(world.now()).unwrap();
    assert!(matches!(reader.poll(2, NOW), Err(LogError::Broken(_))));
}

#[test]
fn a_sweep_does_a_bounded_piece_and_says_whether_there_is_more() {
    let (world, clock) = world();
    let log = EmbeddedLog::in_memory(world.clone(), 2);
    append(&log, numbers(INPUT, 0..12_000));
    append(&log, (0..3).map(|n| tombstone(COMPACTED, &n.to_string())));
    clock.set(world.now().plus(DAY * 1_000));
    assert_eq!(log.sweep(world.now()), Ok(Swept { removed: 10_000, more: true }));
    assert_eq!(log.sweep(world.now()), Ok(Swept { removed: 2_003, more: false }));
    assert_eq!(log.sweep(world.now()), Ok(Swept::default()));
}
