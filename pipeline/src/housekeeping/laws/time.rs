//! What goes with its time.

use consumers::directory::{Change, Part};
use consumers::vault::VaultStore as _;
use runtime::embedded::{Call, Fault};
use schemas::ids::{Generation, MessageId, Pseudonym};
use schemas::records::{MessageStored, Sealed};

use super::super::Task;
use super::*;

fn stored(number: u64, day: i64) -> (MessageId, Outgoing) {
    let (id, citizen) = (MessageId::from_parts(number, 1), Pseudonym([3; 16]));
    let stored = MessageStored {
        message_id: id,
        citizen,
        generation: Generation([4; 16]),
        service_id: "01SERVICE".into(),
        object: format!("{day}/object"),
        offset: 0,
        length: 1,
        wrapped_key: Sealed(vec![1; 60]),
        accepted_at: START,
        kept_until: Timestamp(day * 86_400_000 + 5),
    };
    (id, record(Topic::Stored, id.to_string(), citizen.to_string(), &stored))
}

/// The messages that the log still holds, by whether they are ended.
fn left(house: &House) -> Vec<(String, bool)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("an id");
    let mut left: Vec<_> = house
        .read(Topic::Stored)
        .into_iter()
        .map(|record| (text(&record.key), record.value.is_none()))
        .collect();
    left.sort_unstable();
    left
}

#[test]
fn a_day_that_is_over_goes_with_its_messages_and_the_next_one_stays_with_its_own() {
    let mut house = House::new();
    let today = START.0 / 86_400_000;
    let (first, second) = (stored(1, today), stored(2, today + 1));
    house.write(vec![first.1, second.1]);
    for day in [today, today + 1] {
        let name = format!("{day}/object");
        let put = house.objects.put(&name, b"sealed".to_vec());
        house.runtime.block_on(put).expect("written");
    }
    let (first, second) = (first.0.to_string(), second.0.to_string());
    let check = |house: &House, days: &[i64], ended: bool| {
        let found = house.runtime.block_on(house.objects.days());
        assert_eq!(found.as_deref(), Ok(days));
        assert_eq!(left(house), [(first.clone(), ended), (second.clone(), false)]);
    };
    house.turn();
    check(&house, &[today, today + 1], false);
    // Over, but for the margin.
    house.clock.advance(DAY);
    house.turn();
    check(&house, &[today, today + 1], false);
    house.clock.advance(DAY);
    house.turn();
    check(&house, &[today + 1], true);
}

#[test]
fn records_that_are_too_old_leave_with_the_next_sweep() {
    let mut house = House::new();
    let letter = |n: u8| Outgoing {
        topic: Topic::DeadLetter,
        key: vec![n],
        partition_by: vec![n],
        value: Some(vec![n]),
        headers: Headers::default(),
    };
    house.write(vec![letter(1), letter(2)]);
    house.clock.advance(100 * DAY);
    house.write(vec![letter(3)]);
    house.turn();
    assert_eq!(house.read(Topic::DeadLetter).len(), 3);
    house.clock.advance(81 * DAY);
    house.turn();
    assert_eq!(house.read(Topic::DeadLetter).len(), 1);
}

#[test]
fn a_restart_does_not_put_off_the_compaction() {
    let mut house = House::new();
    house.turn();
    let compacted = |house: &House| house.house.embedded.as_ref().unwrap().compacted_at().unwrap();
    assert_eq!(compacted(&house), Some(START));
    // A process that lives shorter than the pace, again and again.
    for _ in 0..3 {
        house.house.next.clear();
        house.house.schedule().expect("the log answers");
        house.clock.advance(5 * HOUR);
        house.turn();
    }
    assert_eq!(compacted(&house), Some(START.plus(15 * HOUR)));
}

#[test]
fn a_clock_that_was_ahead_puts_nothing_off_for_years() {
    let mut house = House::new();
    house.house.next.insert(Task::Compact, START.plus(1_000 * DAY));
    house.turn();
    let embedded = house.house.embedded.as_ref().unwrap();
    assert_eq!(embedded.compacted_at(), Ok(Some(START)));
}

#[test]
fn a_task_that_failed_is_counted_and_tried_again_in_a_minute() {
    let mut house = House::new();
    let day = START.0 / 86_400_000;
    let (id, message) = stored(1, day);
    house.write(vec![message]);
    let name = format!("{day}/object");
    house.runtime.block_on(house.objects.put(&name, b"sealed".to_vec())).expect("written");
    house.clock.advance(3 * DAY);
    let embedded = house.house.embedded.clone().unwrap();
    embedded.inject_at(Call::Write, Fault::RefuseBefore);
    house.turn();
    let next = |house: &House| house.house.next[&Task::Days].since(house.house.world.now());
    assert_eq!((next(&house), house.house.metrics.failures(Task::Days)), (super::super::AGAIN, 1));
    // The day stays as long as its messages do: by it the next try finds them.
    assert_eq!(house.runtime.block_on(house.objects.days()), Ok(vec![day]));
    assert_eq!(left(&house), [(id.to_string(), false)]);
    house.clock.advance(super::super::AGAIN);
    house.turn();
    assert_eq!((next(&house), house.house.metrics.failures(Task::Days)), (6 * HOUR, 1));
    assert_eq!(house.runtime.block_on(house.objects.days()), Ok(vec![]));
    assert_eq!(left(&house), [(id.to_string(), true)]);
}

#[test]
fn a_process_without_a_log_of_its_own_sweeps_and_compacts_nothing() {
    let mut house = House::new();
    house.house.embedded = None;
    house.house.schedule().expect("nothing to ask");
    let first = house.house.next[&Task::Days].since(START);
    assert!(first < Duration::from_millis(super::super::SPREAD_MS));
    house.clock.advance(HOUR);
    house.turn();
    assert_eq!(house.house.next.keys().collect::<Vec<_>>(), [&Task::Days, &Task::Nudge]);
}

#[test]
fn a_partition_of_keys_at_rest_gets_a_record_that_says_nothing() {
    let mut house = House::new();
    house.house.embedded = None;
    house.turn();
    for topic in [Topic::CitizenKey, Topic::TransitKey] {
        let records = house.read(topic);
        let partitions: BTreeSet<_> = records.iter().map(|it| it.position.at.partition).collect();
        assert_eq!((partitions.len(), records.len()), (3, 3), "{topic}");
        assert!(records.iter().all(|record| record.value.is_none()));
        if topic == Topic::CitizenKey {
            let read = |record| Change::read(record, &Codec::default());
            assert!(
                records.iter().map(read).all(|it| matches!(it, Change::Remove(_, Part::Key(_))))
            );
        }
    }
    // The same ones again: the brokers keep one of each at most.
    house.clock.advance(3 * HOUR);
    house.turn();
    assert_eq!(house.read(Topic::CitizenKey).len(), 3);
}
