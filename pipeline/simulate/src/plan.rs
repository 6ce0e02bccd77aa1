//! What shall happen in a world, all of it drawn from its seed before it begins.

use std::collections::BTreeSet;
use std::time::Duration;

use consumers::gate::GateConfig;
use runtime::worker::Limits;
use schemas::ids::Timestamp;
use schemas::topics::Channel;

use crate::choices::Deed;
use crate::member::Shakes;
use crate::people::{PEOPLE, SERVICES};
use crate::provider::Mood;
use crate::senders::Wish;
use crate::universe::{START, Universe};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Messages come in for so long; most deeds and faults fall into it.
const BUSY: u64 = 8 * 60_000;

/// Something that befalls the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// One worker that has records in hand ends where it stands.
    CrashWorker,
    /// Everything of one process ends.
    CrashProcess,
    /// A worker stands still and does not know it; its seat may be `taken` meanwhile.
    Freeze { lasts: Duration, taken: bool },
    /// One more instance of each stage comes, or goes again.
    Scale,
    /// The directory's view is flushed.
    Flush,
    /// The directory's projector stands still.
    Stall(Duration),
    /// The object store does not answer.
    StoreDown(Duration),
    /// A provider changes its mood.
    Turn(Channel, Mood),
}

/// A whole world before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    pub limits: Limits,
    pub shakes: Shakes,
    pub gate: GateConfig,
    /// Sends in flight at once, of one worker.
    pub in_flight: usize,
    pub store_fails: u64,
    pub append_fault: u64,
    pub write_fault: u64,
    /// In order of time.
    pub blows: Vec<(Timestamp, Blow)>,
    /// In order of time.
    pub wishes: Vec<Wish>,
    /// One list a person, each in order of time.
    pub deeds: Vec<Vec<(Timestamp, Deed)>>,
}

impl Plan {
    /// A world without faults: everybody on board registers, then nothing happens but `wishes`.
    #[must_use]
    pub fn calm(wishes: Vec<Wish>) -> Self {
        let deeds = PEOPLE.map(|person| {
            let first = person.on_board.then_some((START, Deed::Register));
            first.into_iter().collect()
        });
        Self {
            limits: Limits { batch: 8, batches: 3, ..Limits::default() },
            shakes: Shakes::default(),
            gate: GateConfig::default(),
            in_flight: 16,
            store_fails: 0,
            append_fault: 0,
            write_fault: 0,
            blows: Vec::new(),
            wishes,
            deeds: deeds.into(),
        }
    }

    /// Whatever the seed says.
    #[must_use]
    pub fn drawn(universe: &Universe) -> Self {
        let often = |choices: [u64; 4]| choices[index(universe, 4)];
        let mut plan = Self::calm(wishes(universe));
        plan.limits = limits(universe);
        plan.shakes = Shakes {
            commit_fault: often([0, 100, 30, 10]),
            commit_crash: often([0, 0, 400, 100]),
            poll_fault: often([0, 0, 500, 100]),
        };
        plan.gate = gate(universe);
        plan.in_flight = [1, 3, 16][index(universe, 3)];
        plan.store_fails = often([0, 0, 20, 4]);
        plan.append_fault = often([0, 20, 10, 4]);
        plan.write_fault = often([0, 0, 10, 4]);
        plan.blows = blows(universe, &plan.wishes);
        deeds(universe, &mut plan.deeds);
        plan
    }

    /// Citizens to whom something is sent.
    #[must_use]
    pub fn addressed(&self) -> usize {
        self.wishes.iter().map(|wish| wish.to).collect::<BTreeSet<_>>().len()
    }
}

fn index(universe: &Universe, of: u64) -> usize {
    usize::try_from(universe.draw(of)).unwrap_or(0)
}

/// A moment of the busy time.
fn moment(universe: &Universe) -> Timestamp {
    START.plus(universe.millis(2_000, BUSY))
}

fn wishes(universe: &Universe) -> Vec<Wish> {
    let count = 50 + universe.draw(20);
    let spoilt = universe.once_in(3).then(|| universe.draw(count));
    let mut wishes: Vec<Wish> = (0..count)
        .map(|nth| Wish {
            // Half of them in a crowd at the beginning.
            at: if universe.draw(2) == 0 { START.plus(4 * SECOND) } else { moment(universe) },
            nth,
            to: PEOPLE[index(universe, PEOPLE.len() as u64)].id,
            service: SERVICES[index(universe, SERVICES.len() as u64)],
            time_to_live: match universe.draw(6) {
                0 => universe.millis(5_000, 60_000),
                1 => 40 * MINUTE,
                _ => universe.millis(60_000, 1_500_000),
            },
            fallback: universe.draw(3) > 0,
            secure_channels: universe.once_in(8),
            spoilt: Some(nth) == spoilt,
            twice: universe.once_in(12),
        })
        .collect();
    wishes.sort_by_key(|wish| wish.at);
    wishes
}

fn limits(universe: &Universe) -> Limits {
    let least = 1 + index(universe, 8);
    Limits {
        batch: least,
        batches: 1 + index(universe, 3),
        window: 16 << index(universe, 4),
        partition_window: 8 << index(universe, 4),
        transaction: [4, 64, 4_000][index(universe, 3)],
        cadence: universe.millis(0, 60),
        ..Limits::default()
    }
}

fn gate(universe: &Universe) -> GateConfig {
    GateConfig {
        per_second: [3, 20, 5_000][index(universe, 3)],
        burst: [1, 5, 1_000][index(universe, 3)],
        breaker_min_count: [3, 20][index(universe, 2)],
        guard_min_count: [4, 100][index(universe, 2)],
        // A run of refusals is judged by a law of its own; here each row of the table stands for itself.
        refusal_run: u32::MAX,
        ..GateConfig::default()
    }
}

fn blows(universe: &Universe, wishes: &[Wish]) -> Vec<(Timestamp, Blow)> {
    let mut blows = Vec::new();
    let mut add = |most: u64, draw: &dyn Fn() -> Blow| {
        for _ in 0..universe.draw(most + 1) {
            blows.push((moment(universe), draw()));
        }
    };
    add(3, &|| Blow::CrashWorker);
    add(1, &|| Blow::CrashProcess);
    add(2, &|| Blow::Freeze { lasts: universe.millis(10, 15_000), taken: universe.draw(2) == 0 });
    add(2, &|| Blow::Scale);
    add(1, &|| Blow::Flush);
    add(2, &|| Blow::Stall(universe.millis(500, 30_000)));
    add(1, &|| Blow::StoreDown(universe.millis(1_000, 20_000)));
    let edge = || Channel::ALL[index(universe, 3)];
    add(6, &|| Blow::Turn(edge(), Mood::drawn(universe)));
    // At least one: where something is sent somebody has work, and so something to lose.
    blows.push((wishes[index(universe, wishes.len() as u64)].at, Blow::CrashWorker));
    blows.extend(Channel::ALL.map(|edge| (START, Blow::Turn(edge, Mood::drawn(universe)))));
    blows.sort_by_key(|(at, _)| *at);
    blows
}

/// Somebody opts out, somebody leaves and comes back, and whatever else occurs to people.
fn deeds(universe: &Universe, deeds: &mut [Vec<(Timestamp, Deed)>]) {
    let known: Vec<usize> = (0..PEOPLE.len()).filter(|nth| PEOPLE[*nth].on_board).collect();
    let service = || index(universe, SERVICES.len() as u64);
    // Two persons: who has left can opt out of nothing.
    let (out, away) =
        (index(universe, known.len() as u64), index(universe, known.len() as u64 - 1));
    let (out, away) = (known[out], known[if away < out { away } else { away + 1 }]);
    deeds[out].push((moment(universe), Deed::OptOut));
    let when = moment(universe);
    deeds[away].push((when, Deed::Leave));
    deeds[away].push((when.plus(universe.millis(0, 60_000)), Deed::Register));
    for _ in 0..universe.draw(6) {
        let deed = match universe.draw(9) {
            0 => Deed::OptIn,
            1 => Deed::OptOut,
            2 => Deed::Block(service()),
            3 => Deed::Unblock(service()),
            4 => Deed::NoPush,
            5 => Deed::NoEmail,
            6 => Deed::Renew,
            7 => Deed::Unsubscribe(service()),
            _ => Deed::Register,
        };
        let who = index(universe, PEOPLE.len() as u64);
        deeds[who].push((moment(universe), deed));
    }
    deeds.iter_mut().for_each(|of_one| of_one.sort_by_key(|(at, _)| *at));
}
