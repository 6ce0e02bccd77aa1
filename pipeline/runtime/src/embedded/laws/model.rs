//! The log against a naive model: whatever the order of steps, faults and crashes, the copies are
//! the inputs up to the committed offsets, each once, in order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::Fault;
use super::*;
use crate::log::Position;

const PARTITIONS: u32 = 3;
const SEATS: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// Takes the seat, whoever sits there.
    Join(u32),
    Drop(u32),
    Poll(u32, usize),
    /// Commits what was polled and not yet committed of the first so many partitions.
    Commit(u32, Option<Fault>),
    /// The fenced holder of a seat, if there was one, tries to commit what it holds.
    ZombieCommits(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Fault::RefuseBefore)),
        1 => Just(Some(Fault::AppliedButUnknown)),
        1 => Just(Some(Fault::NotAppliedUnknown)),
        1 => Just(Some(Fault::StoreFails)),
    ];
    prop_oneof![
        2 => (1usize..8).prop_map(Step::Append),
        1 => (0..SEATS).prop_map(Step::Join),
        1 => (0..SEATS).prop_map(Step::Drop),
        5 => (0..SEATS, 1usize..10).prop_map(|(seat, max)| Step::Poll(seat, max)),
        4 => (0..SEATS, fault).prop_map(|(seat, fault)| Step::Commit(seat, fault)),
        1 => (0..SEATS).prop_map(Step::ZombieCommits),
    ]
}

struct Worker {
    member: Box<dyn Member>,
    held: Vec<Incoming>,
}

struct Play {
    log: EmbeddedLog,
    seats: BTreeMap<u32, Worker>,
    zombies: BTreeMap<u32, Worker>,
    appended: usize,
}

impl Play {
    fn new() -> Self {
        let (seats, zombies) = (BTreeMap::new(), BTreeMap::new());
        Self { log: a_log(PARTITIONS), seats, zombies, appended: 0 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(count) => {
                append(&self.log, numbers(INPUT, self.appended..self.appended + count));
                self.appended += count;
            }
            Step::Join(ordinal) => {
                let member = self.log.join(&seat(ordinal)).unwrap();
                let worker = Worker { member, held: Vec::new() };
                if let Some(former) = self.seats.insert(ordinal, worker) {
                    self.zombies.insert(ordinal, former);
                }
            }
            Step::Drop(ordinal) => drop(self.seats.remove(&ordinal)),
            Step::Poll(ordinal, max) => self.poll(ordinal, max),
            Step::Commit(ordinal, fault) => {
                let Some(worker) = self.seats.get_mut(&ordinal) else { return };
                if let Some(fault) = fault {
                    self.log.inject(fault);
                }
                let result = worker.member.commit(copy_of(&std::mem::take(&mut worker.held)));
                assert_eq!(result.is_err(), fault.is_some(), "{result:?}");
            }
            Step::ZombieCommits(ordinal) => {
                if let Some(zombie) = self.zombies.get_mut(&ordinal) {
                    assert!(zombie.member.commit(copy_of(&zombie.held)).is_err());
                }
            }
        }
    }

    fn poll(&mut self, ordinal: u32, max: usize) {
        let Some(worker) = self.seats.get_mut(&ordinal) else { return };
        // What was named as revoking and is not committed by now is lost with this poll.
        let polled = worker.member.poll(max, NOW).unwrap();
        worker.held.retain(|record| !polled.assigned.contains(&record.position.at));
        if !polled.revoking.is_empty() {
            let held = std::mem::take(&mut worker.held);
            worker.member.commit(copy_of(&held)).unwrap();
        }
        worker.held.extend(polled.records);
    }

    /// Every copy made so far is an input, once, and a partition's copies are a prefix of it.
    fn check(&self) {
        let mut inputs: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for record in read_all(&self.log, INPUT) {
            inputs.entry(record.position.at.partition).or_default().push(text(&record));
        }
        let mut copies: BTreeMap<u32, Vec<(Position, String)>> = BTreeMap::new();
        for record in read_all(&self.log, OUTPUT) {
            // Same key, same number of partitions: same partition.
            let partition = record.position.at.partition;
            copies.entry(partition).or_default().push((record.position, text(&record)));
        }
        for (partition, copies) in copies {
            assert!(copies.iter().map(|(position, _)| position.offset).eq(0..copies.len() as u64));
            let copied: Vec<_> = copies.into_iter().map(|(_, value)| value).collect();
            assert_eq!(copied[..], inputs[&partition][..copied.len()]);
        }
    }

    /// Lets whoever sits, or a last one, finish.
    fn finish(&mut self) {
        self.seats.clear();
        self.step(Step::Join(0));
        while self.log.0.core.state.lock().committed["copy.live"].values().sum::<u64>()
            < self.appended as u64
        {
            self.poll(0, 5);
            self.step(Step::Commit(0, None));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_input_is_copied_once_and_in_order_whatever_happens(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut play = Play::new();
        for step in steps {
            play.step(step);
            play.check();
        }
        play.finish();
        play.check();
        prop_assert_eq!(read_all(&play.log, OUTPUT).len(), play.appended);
    }

    #[test]
    fn the_same_steps_give_the_same_log(steps in prop::collection::vec(step(), 0..40)) {
        let run = |steps: Vec<Step>| {
            let mut play = Play::new();
            steps.into_iter().for_each(|step| play.step(step));
            let copies = read_all(&play.log, OUTPUT);
            copies.iter().map(|record| (record.position, text(record))).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(steps.clone()), run(steps));
    }
}
