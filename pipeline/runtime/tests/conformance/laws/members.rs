//! Who owns what, what is delivered, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use runtime::log::Member;

use crate::bed::Bed;
use crate::hands::{
    A_WHILE, Copier, INPUT, OUTPUT, PARTITIONS, append, append_values, copy_of, prepare, read_all,
    record, seat, sorted, take, text, values_in, wait_for,
};

pub fn records_of_one_key_keep_their_order(bed: &dyn Bed) {
    prepare(bed);
    let numbered = (0..60).map(|n| record(INPUT, &format!("key {}", n % 6), &n.to_string()));
    append(bed.log(), numbered);
    let mut copier = Copier::join(bed.log(), 0);
    wait_for(bed, "60 copies", || {
        copier.step(A_WHILE);
        (copier.committed >= 60).then_some(())
    });
    let mut of_key: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for copy in read_all(bed, OUTPUT) {
        of_key.entry(copy.key.clone()).or_default().push(text(&copy).parse().unwrap());
    }
    assert_eq!(of_key.len(), 6);
    for numbers in of_key.values() {
        assert!(numbers.is_sorted() && numbers.len() == 10, "{numbers:?}");
    }
}

/// One worker, then two, then one again, while records keep coming.
pub fn a_share_comes_and_goes_without_loss_or_duplicate(bed: &dyn Bed) {
    prepare(bed);
    let mut appended = 0;
    let mut more = || {
        append_values(bed.log(), INPUT, appended..appended + 20);
        appended += 20;
        appended
    };
    let mut first = Copier::join(bed.log(), 0);
    wait_for(bed, "the first to own everything", || {
        more();
        first.step(A_WHILE);
        (first.owned.len() == PARTITIONS as usize && first.committed > 0).then_some(())
    });
    let mut second = Copier::join(bed.log(), 1);
    wait_for(bed, "a fair share for both, and work done", || {
        more();
        first.step(A_WHILE);
        second.step(A_WHILE);
        let half = PARTITIONS as usize / 2;
        (second.owned.len() == half && first.owned.len() == half && second.committed > 20)
            .then_some(())
    });
    let by_second = second.committed;
    // In the middle of its work: what it holds in flight must come back to the first.
    drop(second);
    wait_for(bed, "the first to own everything again", || {
        more();
        first.step(A_WHILE);
        (first.owned.len() == PARTITIONS as usize).then_some(())
    });
    let total = more();
    wait_for(bed, "everything copied", || {
        first.step(A_WHILE);
        (first.committed + by_second >= total).then_some(())
    });
    assert_eq!(values_in(bed, OUTPUT), sorted(0..total));
    assert_eq!(first.committed + by_second, total);
}

/// Another seat takes over; what the dead one had not committed is delivered to it.
pub fn a_dead_members_share_is_inherited(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..40);
    let mut dead = bed.log().join(&seat(0)).unwrap();
    let records = take(bed, dead.as_mut(), 40);
    let done: Vec<_> = records.into_iter().filter(|it| it.position.offset % 2 == 0).collect();
    let first_half: Vec<_> = done.iter().filter(|it| it.position.offset < 2).cloned().collect();
    dead.commit(copy_of(&first_half)).unwrap();
    drop(dead);
    let mut heir = Copier::join(bed.log(), 1);
    wait_for(bed, "the heir to finish", || {
        heir.step(A_WHILE);
        (heir.committed >= 40 - first_half.len()).then_some(())
    });
    assert_eq!(values_in(bed, OUTPUT), sorted(0..40));
}

/// Hazard H10, seen wherever breakers pause partitions: a pause loses the partition, or never ends.
pub fn a_paused_partition_stays_owned_and_delivers_nothing(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..40);
    let mut member = bed.log().join(&seat(0)).unwrap();
    let first = take(bed, member.as_mut(), 40);
    let paused = first[0].position.at;
    member.pause(paused, true);
    append_values(bed.log(), INPUT, 40..120);

    let mut others = Vec::new();
    wait_for(bed, "the other partitions", || {
        let polled = member.poll(1_000, A_WHILE).unwrap();
        assert!(polled.lost.is_empty() && polled.revoking.is_empty());
        let quiet = polled.records.is_empty();
        others.extend(polled.records);
        (quiet && !others.is_empty()).then_some(())
    });
    assert!(others.iter().all(|record| record.position.at != paused));

    member.pause(paused, false);
    let held_back = take(bed, member.as_mut(), 80 - others.len());
    let offsets: Vec<_> = held_back.iter().map(|record| record.position.offset).collect();
    assert!(held_back.iter().all(|record| record.position.at == paused));
    let last = first.iter().filter(|it| it.position.at == paused).map(|it| it.position.offset);
    let expected: Vec<_> = (last.max().unwrap() + 1..).take(offsets.len()).collect();
    assert_eq!(offsets, expected);
}

pub fn a_pause_drops_nothing_that_was_fetched(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..200);
    let mut member = bed.log().join(&seat(0)).unwrap();
    let mut records = Vec::new();
    let mut owned = BTreeSet::new();
    let mut steps = 0;
    wait_for(bed, "every record", || {
        let polled = member.poll(7, A_WHILE).unwrap();
        owned.extend(polled.assigned);
        records.extend(polled.records);
        for (index, at) in owned.iter().enumerate() {
            member.pause(*at, (steps + index) % 3 == 0);
        }
        steps += 1;
        (records.len() >= 200).then_some(())
    });
    let mut values: Vec<_> = records.iter().map(text).collect();
    values.sort_unstable();
    assert_eq!(values, sorted(0..200));
}

/// A worker whose hands are full polls for nothing, and still belongs to its group.
pub fn a_member_without_room_gives_its_share_away(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..200);
    let mut full = bed.log().join(&seat(0)).unwrap();
    let mut in_hand = take(bed, full.as_mut(), 20);
    let mut other = Copier::join(bed.log(), 1);
    let mut released = false;
    wait_for(bed, "the other's share", || {
        let polled = full.poll(0, A_WHILE).unwrap();
        assert!(polled.records.is_empty());
        in_hand.retain(|it| !polled.revoking.contains(&it.position.at));
        released |= !polled.revoking.is_empty();
        other.step(A_WHILE);
        (released && !other.owned.is_empty()).then_some(())
    });
    full.commit(copy_of(&in_hand)).unwrap();
    // There is room again: nothing was skipped meanwhile.
    let mut copied = in_hand.len();
    wait_for(bed, "everything else", || {
        let records = full.poll(50, A_WHILE).unwrap().records;
        full.commit(copy_of(&records)).unwrap();
        copied += records.len();
        other.step(A_WHILE);
        (copied + other.committed >= 200).then_some(())
    });
    assert_eq!(values_in(bed, OUTPUT), sorted(0..200));
}

pub fn lag_counts_what_was_not_handed_out_yet(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..40);
    let mut member = bed.log().join(&seat(0)).unwrap();
    let records = take(bed, member.as_mut(), 40);
    let behind = |lag: Vec<(_, u64)>| lag.iter().map(|(_, records)| records).sum::<u64>();
    assert_eq!(behind(member.lag()), 0);
    member.commit(copy_of(&records)).unwrap();
    drop(member);

    append_values(bed.log(), INPUT, 40..50);
    let mut member = bed.log().join(&seat(0)).unwrap();
    wait_for(bed, "the lag of a member that has polled once", || {
        let polled = member.poll(1, A_WHILE).unwrap();
        (!polled.records.is_empty()).then_some(())
    });
    // A client learns the end of a partition a moment after its first record.
    wait_for(bed, "the lag of what was not handed out", || {
        let polled = member.poll(0, Duration::ZERO).unwrap();
        assert!(polled.records.is_empty());
        (behind(member.lag()) == 9).then_some(())
    });
}

/// Marks of transactions may be among it: one a partition at most, here.
pub fn what_a_group_is_behind_is_seen_from_outside_it(bed: &dyn Bed) {
    prepare(bed);
    assert_eq!(bed.log().behind(&seat(0)), Ok(0));
    append_values(bed.log(), INPUT, 0..30);
    assert_eq!(bed.log().behind(&seat(0)), Ok(30));
    let mut member = bed.log().join(&seat(0)).unwrap();
    let taken = take(bed, member.as_mut(), 30);
    assert_eq!(bed.log().behind(&seat(0)), Ok(30), "read is not done");
    let sum = |member: &mut dyn Member| {
        member.committed().unwrap().into_iter().map(|(_, next)| next).sum::<u64>()
    };
    assert_eq!(sum(member.as_mut()), 0);
    member.commit(copy_of(&taken)).unwrap();
    assert_eq!(sum(member.as_mut()), 30);
    assert_eq!(bed.log().behind(&seat(0)), Ok(0));
}
