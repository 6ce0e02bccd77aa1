//! Topics and first offsets: a deliberate, repeatable act.

use runtime::log::{LogError, Seat};
use schemas::topics::Topic;

use crate::bed::Bed;
use crate::hands::{
    A_WHILE, COMPACTED, EVENTS, INPUT, OUTPUT, PARTITIONS, append_values, copy_of, prepare, seat,
    sorted, take, text, wait_for,
};

pub fn applying_again_changes_nothing(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..20);
    let mut member = bed.log().join(&seat(0)).unwrap();
    let records = take(bed, member.as_mut(), 20);
    member.commit(copy_of(&records)).unwrap();
    drop(member);
    // Not even with another number of partitions: widening would move keys.
    let topics = [INPUT, OUTPUT, EVENTS, COMPACTED];
    bed.log().apply(&topics, PARTITIONS, &[seat(0)]).unwrap();
    bed.log().apply(&topics, PARTITIONS * 2, &[seat(0)]).unwrap();
    assert_eq!(bed.log().partitions(INPUT), Ok(PARTITIONS));

    append_values(bed.log(), INPUT, 20..25);
    let mut member = bed.log().join(&seat(0)).unwrap();
    let mut values: Vec<_> = take(bed, member.as_mut(), 5).iter().map(text).collect();
    values.sort_unstable();
    assert_eq!(values, sorted(20..25));
}

pub fn first_offsets_reach_back_to_the_first_record(bed: &dyn Bed) {
    bed.log().apply(&[INPUT], PARTITIONS, &[]).unwrap();
    append_values(bed.log(), INPUT, 0..20);
    let late = Seat { group: "late.live".into(), topics: vec![INPUT], ordinal: 0 };
    bed.log().apply(&[INPUT], PARTITIONS, std::slice::from_ref(&late)).unwrap();
    let mut member = bed.log().join(&late).unwrap();
    let mut values: Vec<_> = take(bed, member.as_mut(), 20).iter().map(text).collect();
    values.sort_unstable();
    assert_eq!(values, sorted(0..20));
}

/// Nobody begins in the middle, or at the beginning, by accident.
pub fn a_group_without_first_offsets_is_told_so(bed: &dyn Bed) {
    bed.log().apply(&[INPUT], PARTITIONS, &[]).unwrap();
    append_values(bed.log(), INPUT, 0..20);
    let error = match bed.log().join(&seat(0)) {
        Err(error) => error,
        Ok(mut member) => wait_for(bed, "the complaint", || {
            let polled = member.poll(10, A_WHILE);
            polled.map(|it| assert!(it.records.is_empty(), "began by itself")).err()
        }),
    };
    assert!(matches!(error, LogError::Broken(_)), "{error}");
}

pub fn a_missing_topic_is_told_by_name(bed: &dyn Bed) {
    let Err(LogError::Broken(why)) = bed.log().partitions(Topic::DeadLetter) else {
        panic!("a topic that nobody made has partitions");
    };
    assert!(why.contains(Topic::DeadLetter.name()), "{why}");
}
