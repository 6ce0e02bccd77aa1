use super::*;
use crate::log::{CommitError, LogError};

#[test]
fn a_partition_is_given_away_only_after_its_owner_was_told_and_polled_again() {
    let log = a_log(2);
    append(&log, numbers(INPUT, 0..20));
    let mut first = log.join(&seat(0)).unwrap();
    let records = poll(&mut first).records;
    let mut second = log.join(&seat(1)).unwrap();
    assert_eq!(poll(&mut second).assigned, []);
    let told = poll(&mut first);
    assert_eq!((told.revoking.len(), told.records.len()), (1, 0));
    assert_eq!(poll(&mut second).assigned, []);
    // Told, it may still commit what it has finished of it.
    first.commit(copy_of(&records)).unwrap();
    assert_eq!(poll(&mut first).revoking, []);
    let given = poll(&mut second);
    assert_eq!(given.assigned, told.revoking);
    assert_eq!(given.records.len(), 0);
    assert_eq!(read_all(&log, OUTPUT).len(), 20);
}

#[test]
fn a_commit_for_a_partition_given_away_is_refused_whole() {
    let log = a_log(2);
    append(&log, numbers(INPUT, 0..20));
    let mut first = log.join(&seat(0)).unwrap();
    let records = poll(&mut first).records;
    let mut second = log.join(&seat(1)).unwrap();
    let gone = poll(&mut first).revoking[0];
    poll(&mut first);
    assert_eq!(poll(&mut second).assigned, [gone]);
    let refused = first.commit(copy_of(&records)).unwrap_err();
    assert!(matches!(refused, CommitError::Rewound { .. }), "{refused}");
    assert_eq!(read_all(&log, OUTPUT).len(), 0);
    let kept = poll(&mut first).records;
    assert!(!kept.is_empty() && kept.iter().all(|record| record.position.at != gone));
}

#[test]
fn a_share_that_its_owner_drops_is_free_at_once() {
    let log = a_log(2);
    let mut first = log.join(&seat(0)).unwrap();
    poll(&mut first);
    let mut second = log.join(&seat(1)).unwrap();
    drop(first);
    assert_eq!(poll(&mut second).assigned, [at(0), at(1)]);
}

#[test]
fn a_fenced_member_that_is_dropped_takes_nothing_from_its_successor() {
    let log = a_log(2);
    let mut first = log.join(&seat(0)).unwrap();
    poll(&mut first);
    let mut second = log.join(&seat(0)).unwrap();
    assert_eq!(poll(&mut second).assigned, [at(0), at(1)]);
    assert_eq!(first.poll(1, NOW).unwrap_err(), LogError::Fenced);
    drop(first);
    assert_eq!(poll(&mut second).revoking, []);
    append(&log, numbers(INPUT, 0..4));
    let records = poll(&mut second).records;
    second.commit(copy_of(&records)).unwrap();
}

#[test]
fn a_new_holder_of_a_seat_moves_nobody_elses_partitions() {
    let log = a_log(4);
    let mut zero = log.join(&seat(0)).unwrap();
    let mut one = log.join(&seat(1)).unwrap();
    let (mine, others) = (poll(&mut zero).assigned, poll(&mut one).assigned);
    assert_eq!((mine.len(), others.len()), (2, 2));
    let mut again = log.join(&seat(0)).unwrap();
    assert_eq!(poll(&mut again).assigned, mine);
    assert_eq!(poll(&mut one).revoking, []);
}

#[test]
fn what_a_pause_held_back_comes_in_order_afterwards() {
    let log = a_log(1);
    let mut member = log.join(&seat(0)).unwrap();
    poll(&mut member);
    member.pause(at(0), true);
    append(&log, numbers(INPUT, 0..5));
    assert_eq!(poll(&mut member).records.len(), 0);
    assert_eq!(member.lag(), [(at(0), 5)]);
    member.pause(at(0), false);
    let values: Vec<_> = poll(&mut member).records.iter().map(text).collect();
    assert_eq!(values, ["0", "1", "2", "3", "4"]);
}

#[test]
fn one_full_partition_does_not_starve_the_others() {
    let log = a_log(2);
    let full = (0..).map(|n| n.to_string());
    let full = full.filter(|key| schemas::partitioner::partition(key.as_bytes(), 2) == 0);
    append(&log, full.take(100).map(|key| record(INPUT, &key, "")));
    append(&log, numbers(INPUT, 0..6));
    let mut member = log.join(&seat(0)).unwrap();
    let polls = (0..2).flat_map(|_| member.poll(3, NOW).unwrap().records);
    let partitions: Vec<_> = polls.map(|record| record.position.at.partition).collect();
    assert!(partitions.contains(&0) && partitions.contains(&1), "{partitions:?}");
}

#[test]
fn who_waits_is_woken_by_an_append() {
    let log = a_log(1);
    let mut member = log.join(&seat(0)).unwrap();
    poll(&mut member);
    let waiting = std::thread::spawn(move || member.poll(10, Duration::from_secs(600)).unwrap());
    append(&log, numbers(INPUT, 0..1));
    assert_eq!(waiting.join().unwrap().records.len(), 1);
}

#[test]
fn who_waits_is_woken_by_a_change_of_owner() {
    let log = a_log(2);
    let mut first = log.join(&seat(0)).unwrap();
    poll(&mut first);
    let waiting = std::thread::spawn(move || {
        let told = first.poll(10, Duration::from_secs(600)).unwrap().revoking;
        (told, first)
    });
    let mut second = log.join(&seat(1)).unwrap();
    let (told, mut first) = waiting.join().unwrap();
    let next = std::thread::spawn(move || second.poll(10, Duration::from_secs(600)).unwrap());
    poll(&mut first);
    assert_eq!(next.join().unwrap().assigned, told);
}

#[test]
fn an_offset_beyond_the_end_is_refused() {
    let log = a_log(1);
    append(&log, numbers(INPUT, 0..5));
    let mut member = log.join(&seat(0)).unwrap();
    poll(&mut member);
    let ahead = Transaction { outputs: vec![], offsets: vec![(at(0), 6)] };
    assert!(matches!(member.commit(ahead), Err(CommitError::Rewound { .. })));
    assert_eq!(poll(&mut member).records.len(), 5);
}
