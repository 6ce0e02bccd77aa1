//! Seats of one consumer group: who sits, who owns which partition, and how one changes hands.
//!
//! A partition moves in two polls of its owner: the first names it as revoking, the second releases
//! it; only then does the next owner get it. So at every moment at most one member may commit for
//! it.

use std::collections::{BTreeMap, BTreeSet};

use schemas::topics::Topic;

use super::assign::assign;
use crate::log::TopicPartition;

/// The member that holds a seat now; a later one in the same seat has another number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub group: String,
    pub ordinal: u32,
    /// Given once in the life of this process.
    pub epoch: u64,
}

#[derive(Debug)]
struct Sitter {
    epoch: u64,
    topics: Vec<Topic>,
    /// Named as revoking in the last poll; released by the next.
    told: BTreeSet<TopicPartition>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    sitters: BTreeMap<u32, Sitter>,
    owners: BTreeMap<TopicPartition, u32>,
    /// Where partitions shall be; differs from `owners` while some are on their way.
    target: BTreeMap<TopicPartition, u32>,
}

impl Group {
    /// Seats a member; whoever sat there is fenced and has lost its partitions, which wait for the
    /// new one. `partitions`: all of the topics that anybody in the group reads.
    pub fn sit(
        &mut self,
        ordinal: u32,
        epoch: u64,
        topics: &[Topic],
        partitions: impl Fn(Topic) -> u32,
    ) {
        self.owners.retain(|_, owner| *owner != ordinal);
        let sitter = Sitter { epoch, topics: topics.to_vec(), told: BTreeSet::new() };
        self.sitters.insert(ordinal, sitter);
        self.settle(partitions);
    }

    /// Leaves the seat, unless somebody else sits there by now.
    pub fn leave(&mut self, ordinal: u32, epoch: u64, partitions: impl Fn(Topic) -> u32) {
        if self.holds(ordinal, epoch) {
            self.sitters.remove(&ordinal);
            self.owners.retain(|_, owner| *owner != ordinal);
            self.settle(partitions);
        }
    }

    /// Computes anew where partitions shall be.
    fn settle(&mut self, partitions: impl Fn(Topic) -> u32) {
        let members: BTreeMap<u32, Vec<Topic>> =
            self.sitters.iter().map(|(ordinal, s)| (*ordinal, s.topics.clone())).collect();
        let topics: BTreeSet<Topic> = members.values().flatten().copied().collect();
        let all: Vec<TopicPartition> = topics
            .into_iter()
            .flat_map(|topic| {
                (0..partitions(topic)).map(move |partition| TopicPartition { topic, partition })
            })
            .collect();
        // Who has it keeps it; what is free stays with whom it was meant for.
        let mut current = std::mem::take(&mut self.target);
        current.extend(self.owners.iter().map(|(at, owner)| (*at, *owner)));
        self.target = assign(&all, &members, &current);
    }

    pub fn holds(&self, ordinal: u32, epoch: u64) -> bool {
        self.sitters.get(&ordinal).is_some_and(|sitter| sitter.epoch == epoch)
    }

    pub fn owns(&self, ordinal: u32, at: &TopicPartition) -> bool {
        self.owners.get(at) == Some(&ordinal)
    }

    /// Releases what was named as revoking. True: somebody else may want to know.
    pub fn release(&mut self, ordinal: u32) -> bool {
        let Some(sitter) = self.sitters.get_mut(&ordinal) else { return false };
        let told = std::mem::take(&mut sitter.told);
        for at in &told {
            self.owners.remove(at);
        }
        !told.is_empty()
    }

    /// Names what this member shall give away; the next [`Group::release`] gives it.
    pub fn revoke(&mut self, ordinal: u32) -> Vec<TopicPartition> {
        let going = |(at, owner): (&TopicPartition, &u32)| {
            (*owner == ordinal && self.target.get(at) != Some(&ordinal)).then_some(*at)
        };
        let going: Vec<_> = self.owners.iter().filter_map(going).collect();
        if let Some(sitter) = self.sitters.get_mut(&ordinal) {
            sitter.told.extend(&going);
        }
        going
    }

    /// What is free and meant for this member.
    pub fn waiting(&self, ordinal: u32) -> Vec<TopicPartition> {
        let meant = self.target.iter().filter(|(_, to)| **to == ordinal).map(|(at, _)| *at);
        meant.filter(|at| !self.owners.contains_key(at)).collect()
    }

    pub fn take(&mut self, ordinal: u32, at: TopicPartition) {
        self.owners.insert(at, ordinal);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARTITIONS: u32 = 6;

    fn partitions(_: Topic) -> u32 {
        PARTITIONS
    }

    #[derive(Debug, Clone)]
    enum Step {
        Sit(u32),
        Leave(u32),
        Poll(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let seat = 0u32..4;
        prop_oneof![
            seat.clone().prop_map(Step::Sit),
            seat.clone().prop_map(Step::Leave),
            seat.prop_map(Step::Poll),
        ]
    }

    /// What the members themselves believe to own, by epoch.
    #[derive(Default)]
    struct Believed(BTreeMap<u32, (u64, BTreeSet<TopicPartition>, Vec<TopicPartition>)>);

    fn poll(group: &mut Group, believed: &mut Believed, seat: u32) {
        let Some((epoch, owned, told)) = believed.0.get_mut(&seat) else { return };
        if !group.holds(seat, *epoch) {
            return;
        }
        group.release(seat);
        for at in told.drain(..) {
            owned.remove(&at);
        }
        *told = group.revoke(seat);
        for at in group.waiting(seat) {
            group.take(seat, at);
            owned.insert(at);
        }
    }

    proptest! {
        #[test]
        fn no_two_members_believe_to_own_a_partition_and_in_the_end_all_are_owned(
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let (mut group, mut believed, mut epoch) = (Group::default(), Believed::default(), 0);
            for step in steps {
                match step {
                    Step::Sit(seat) => {
                        epoch += 1;
                        group.sit(seat, epoch, &[Topic::Status], partitions);
                        believed.0.insert(seat, (epoch, BTreeSet::new(), vec![]));
                    }
                    Step::Leave(seat) => {
                        if let Some((epoch, ..)) = believed.0.remove(&seat) {
                            group.leave(seat, epoch, partitions);
                        }
                    }
                    Step::Poll(seat) => poll(&mut group, &mut believed, seat),
                }
                let owned: Vec<_> = believed.0.values().flat_map(|(_, owned, _)| owned).collect();
                let distinct: BTreeSet<_> = owned.iter().collect();
                prop_assert_eq!(distinct.len(), owned.len());
            }
            for _ in 0..3 {
                for seat in 0..4 {
                    poll(&mut group, &mut believed, seat);
                }
            }
            let owned: usize = believed.0.values().map(|(_, owned, _)| owned.len()).sum();
            prop_assert_eq!(owned, if believed.0.is_empty() { 0 } else { PARTITIONS as usize });
        }
    }
}
