//! Outputs and offsets: all of it or nothing.

use runtime::log::{CommitError, LogError, Start, Transaction};

use crate::bed::Bed;
use crate::hands::{
    A_WHILE, Copier, EVENTS, INPUT, OUTPUT, PARTITIONS, append_values, copy_of, prepare, record,
    seat, sorted, take, text, to_the_end, values_in, wait_for,
};

pub fn outputs_and_offsets_become_visible_together(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..20);
    let mut member = bed.log().join(&seat(0)).unwrap();
    let records = take(bed, member.as_mut(), 20);
    let mut reader = bed.log().reader(&[OUTPUT, EVENTS], &Start::Beginning).unwrap();
    assert!(to_the_end(bed, reader.as_mut(), 2 * PARTITIONS as usize).is_empty());

    let mut transaction = copy_of(&records);
    let events = records.iter().map(|it| record(EVENTS, &text(it), &text(it)));
    transaction.outputs.extend(events.collect::<Vec<_>>());
    member.commit(transaction).unwrap();

    assert_eq!(values_in(bed, OUTPUT), sorted(0..20));
    assert_eq!(values_in(bed, EVENTS), sorted(0..20));
    drop(member);
    let mut successor = Copier::join(bed.log(), 0);
    append_values(bed.log(), INPUT, 20..30);
    wait_for(bed, "the rest", || {
        successor.step(A_WHILE);
        (successor.committed >= 10).then_some(())
    });
    assert_eq!(values_in(bed, OUTPUT), sorted(0..30));
}

pub fn what_was_not_committed_is_never_seen(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..10);
    let mut zombie = bed.log().join(&seat(0)).unwrap();
    let records = take(bed, zombie.as_mut(), 10);
    let mut heir = bed.log().join(&seat(0)).unwrap();
    assert!(zombie.commit(copy_of(&records)).is_err());
    assert_eq!(values_in(bed, OUTPUT), Vec::<String>::new());
    // Nor did its offsets count: the heir is given every record.
    let records = take(bed, heir.as_mut(), 10);
    heir.commit(copy_of(&records)).unwrap();
    assert_eq!(values_in(bed, OUTPUT), sorted(0..10));
}

pub fn a_second_holder_of_a_seat_fences_the_first(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..10);
    let mut first = bed.log().join(&seat(0)).unwrap();
    let records = take(bed, first.as_mut(), 10);
    let _second = bed.log().join(&seat(0)).unwrap();
    let fenced = CommitError::Log(LogError::Fenced);
    assert_eq!(first.commit(copy_of(&records)).unwrap_err(), fenced);
    // And for good: there is no way back for the first.
    assert_eq!(first.commit(copy_of(&records)).unwrap_err(), fenced);
    assert_eq!(first.poll(10, A_WHILE).unwrap_err(), LogError::Fenced);
}

pub fn a_crashed_member_resumes_at_the_committed_offsets(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..40);
    let mut member = bed.log().join(&seat(0)).unwrap();
    let records = take(bed, member.as_mut(), 40);
    let (done, lost): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.position.offset < 3);
    member.commit(copy_of(&done)).unwrap();
    drop(member);

    let mut successor = bed.log().join(&seat(0)).unwrap();
    let again = take(bed, successor.as_mut(), lost.len());
    let positions = |records: &[runtime::log::Incoming]| {
        let mut all: Vec<_> = records.iter().map(|record| record.position).collect();
        all.sort_unstable_by_key(|position| (position.at, position.offset));
        all
    };
    assert_eq!(positions(&again), positions(&lost));
    successor.commit(copy_of(&again)).unwrap();
    assert_eq!(values_in(bed, OUTPUT), sorted(0..40));
}

pub fn an_offset_may_move_without_an_output(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..10);
    let mut member = bed.log().join(&seat(0)).unwrap();
    let records = take(bed, member.as_mut(), 10);
    let offsets = copy_of(&records).offsets;
    member.commit(Transaction { outputs: Vec::new(), offsets }).unwrap();
    drop(member);
    append_values(bed.log(), INPUT, 10..12);
    let mut successor = bed.log().join(&seat(0)).unwrap();
    let mut values: Vec<_> = take(bed, successor.as_mut(), 2).iter().map(text).collect();
    values.sort_unstable();
    assert_eq!(values, ["10", "11"]);
}

pub fn many_transactions_in_a_row_lose_and_double_nothing(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..500);
    let mut copier = Copier::join(bed.log(), 0);
    wait_for(bed, "500 copies", || {
        copier.step(A_WHILE);
        (copier.committed >= 500).then_some(())
    });
    assert_eq!(values_in(bed, OUTPUT), sorted(0..500));
    assert_eq!(copier.rewound, 0);
}

pub fn an_unknown_outcome_neither_loses_nor_doubles(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..200);
    let mut copier = Copier::join(bed.shaky(), 0);
    let mut steps = 0;
    // Most answers are lost here, so the copies themselves have to be counted.
    wait_for(bed, "200 copies", || {
        for _ in 0..10 {
            steps += 1;
            bed.shake(steps);
            copier.step_for(7, A_WHILE);
        }
        (values_in(bed, OUTPUT).len() >= 200).then_some(())
    });
    assert_eq!(values_in(bed, OUTPUT), sorted(0..200));
    assert!(copier.rewound > 0, "not one answer was lost: the law was not tried");
}
