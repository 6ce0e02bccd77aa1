//! Who of a group reads which partition: even, and with as few moves as that allows.

use std::collections::BTreeMap;

use schemas::topics::Topic;

use crate::log::TopicPartition;

/// The owner of every partition that anybody reads.
///
/// `members`: ordinal → topics read. `current`: present owners; entries of members who left, or do
/// not read that topic, count as free. Free partitions go to whoever has least (the lowest ordinal
/// of equals); then partitions move only from one member to another who has at least two fewer.
/// Same input, same answer.
pub(super) fn assign(
    partitions: &[TopicPartition],
    members: &BTreeMap<u32, Vec<Topic>>,
    current: &BTreeMap<TopicPartition, u32>,
) -> BTreeMap<TopicPartition, u32> {
    let reads = |member: u32, at: &TopicPartition| {
        members.get(&member).is_some_and(|topics| topics.contains(&at.topic))
    };
    let mut loads: BTreeMap<u32, usize> = members.keys().map(|member| (*member, 0)).collect();
    let mut owners = BTreeMap::new();
    for at in partitions {
        if let Some(owner) = current.get(at).copied().filter(|owner| reads(*owner, at)) {
            owners.insert(*at, owner);
            *loads.entry(owner).or_default() += 1;
        }
    }
    let lightest = |loads: &BTreeMap<u32, usize>, at: &TopicPartition| {
        let readers = loads.iter().filter(|(member, _)| reads(**member, at));
        readers
            .min_by_key(|(member, load)| (**load, **member))
            .map(|(member, load)| (*member, *load))
    };
    for at in partitions {
        if owners.contains_key(at) {
            continue;
        }
        if let Some((member, load)) = lightest(&loads, at) {
            owners.insert(*at, member);
            loads.insert(member, load + 1);
        }
    }
    loop {
        // The steepest step first; of equals the last partition. Each step lowers the sum of
        // squared loads, so this ends.
        let steps = owners.iter().filter_map(|(at, owner)| {
            let (to, load) = lightest(&loads, at)?;
            let gap = loads.get(owner)?.saturating_sub(load);
            (gap >= 2).then_some((gap, *at, *owner, to))
        });
        let Some((_, at, from, to)) = steps.max_by_key(|(gap, at, ..)| (*gap, *at)) else {
            return owners;
        };
        owners.insert(at, to);
        *loads.entry(from).or_default() -= 1;
        *loads.entry(to).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partitions(count: u32) -> Vec<TopicPartition> {
        (0..count).map(|partition| TopicPartition { topic: Topic::Status, partition }).collect()
    }

    fn readers(ordinals: impl IntoIterator<Item = u32>) -> BTreeMap<u32, Vec<Topic>> {
        ordinals.into_iter().map(|ordinal| (ordinal, vec![Topic::Status])).collect()
    }

    fn load(owners: &BTreeMap<TopicPartition, u32>, member: u32) -> usize {
        owners.values().filter(|owner| **owner == member).count()
    }

    #[test]
    fn a_partition_that_nobody_reads_has_no_owner() {
        let all = [TopicPartition { topic: Topic::Stored, partition: 0 }];
        assert!(assign(&all, &readers([0]), &BTreeMap::new()).is_empty());
    }

    #[test]
    fn a_member_gets_only_topics_that_it_reads() {
        let mut members = readers([0]);
        members.insert(1, vec![Topic::Status, Topic::Stored]);
        let mut all = partitions(3);
        all.extend((0..3).map(|partition| TopicPartition { topic: Topic::Stored, partition }));
        let owners = assign(&all, &members, &BTreeMap::new());
        assert_eq!(owners.len(), 6);
        assert!(owners.iter().all(|(at, owner)| at.topic == Topic::Status || *owner == 1));
        assert_eq!((load(&owners, 0), load(&owners, 1)), (3, 3));
    }

    proptest! {
        #[test]
        fn every_partition_has_an_owner_and_loads_differ_by_at_most_one(
            count in 0u32..40,
            ordinals in prop::collection::btree_set(0u32..20, 1..10),
            before in prop::collection::vec(0u32..20, 40),
        ) {
            let all = partitions(count);
            let current = all.iter().copied().zip(before).collect();
            let owners = assign(&all, &readers(ordinals.iter().copied()), &current);
            prop_assert_eq!(owners.len(), all.len());
            let loads: Vec<_> = ordinals.iter().map(|member| load(&owners, *member)).collect();
            let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
            prop_assert!(spread <= 1, "loads {:?}", loads);
        }

        #[test]
        fn who_leaves_moves_only_what_it_had_and_who_joins_only_takes(
            count in 1u32..40,
            ordinals in prop::collection::btree_set(0u32..20, 2..10),
            pick in any::<prop::sample::Index>(),
        ) {
            let all = partitions(count);
            let full = assign(&all, &readers(ordinals.iter().copied()), &BTreeMap::new());
            let one = *ordinals.iter().nth(pick.index(ordinals.len())).unwrap();
            let rest = readers(ordinals.iter().copied().filter(|member| *member != one));
            let without = assign(&all, &rest, &full);
            prop_assert!(all.iter().all(|at| full[at] == one || full[at] == without[at]));
            let again = assign(&all, &readers(ordinals.iter().copied()), &without);
            prop_assert!(all.iter().all(|at| again[at] == one || again[at] == without[at]));
        }
    }
}
