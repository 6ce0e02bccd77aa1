//! A world in which everybody changes their mind all the time while messages pour in: where a send could
//! slip past an opt-out or an erasure, it would here.

use std::time::Duration;

use schemas::ids::Timestamp;

use crate::choices::Deed;
use crate::people::{PEOPLE, SERVICES};
use crate::plan::{Blow, Plan};
use crate::universe::{START, Universe};

/// People are restless for so long; afterwards retries and fallbacks of these messages still run.
const RESTLESS: u64 = 90_000;
/// Between two deeds of one person, at most.
const PAUSE: u64 = 6_000;

/// The drawn world of this seed with its faults, made restless.
#[must_use]
pub fn plan(universe: &Universe) -> Plan {
    let mut plan = Plan::drawn(universe);
    for wish in &mut plan.wishes {
        wish.at = START.plus(universe.millis(1_000, RESTLESS));
    }
    plan.wishes.sort_by_key(|wish| wish.at);
    // The drawn ones may come when all is over.
    plan.blows.extend(plan.wishes.first().map(|wish| (wish.at, Blow::CrashWorker)));
    plan.blows.sort_by_key(|(at, _)| *at);
    for (nth, deeds) in plan.deeds.iter_mut().enumerate() {
        *deeds = restless(universe, PEOPLE[nth].on_board);
    }
    plan
}

fn restless(universe: &Universe, on_board: bool) -> Vec<(Timestamp, Deed)> {
    let mut deeds: Vec<_> = on_board.then_some((START, Deed::Register)).into_iter().collect();
    let mut waited = Duration::ZERO;
    while waited < Duration::from_millis(RESTLESS) {
        waited += universe.millis(0, PAUSE);
        deeds.push((START.plus(waited), drawn(universe)));
    }
    deeds
}

/// Refusals and their opposites alike, so that most of them change something.
fn drawn(universe: &Universe) -> Deed {
    let service = || usize::try_from(universe.draw(SERVICES.len() as u64)).unwrap_or(0);
    match universe.draw(12) {
        0 | 1 => Deed::OptOut,
        2 | 3 => Deed::OptIn,
        4 => Deed::Block(service()),
        5 => Deed::Unblock(service()),
        6 => Deed::Renew,
        7 => Deed::Unsubscribe(service()),
        8 | 9 => Deed::Leave,
        _ => Deed::Register,
    }
}
