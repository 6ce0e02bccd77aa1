//! Whole worlds: a seed is a world, and the consent barrier holds where everybody is restless.

use simulate::history::{Choice, Moment};
use simulate::laws::{BARRIER, Evidence, judge, mistakes};
use simulate::universe::Universe;
use simulate::world::{Remains, World};
use simulate::{restless, run};

#[test]
fn one_seed_twice_gives_one_hash_and_two_seeds_give_two() {
    let hash = |seed| run(seed).hash;
    let hashes: Vec<_> = (1..=4).map(|seed| (hash(seed), hash(seed))).collect();
    assert!(hashes.iter().all(|(once, again)| !once.is_empty() && once == again), "{hashes:?}");
    let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len());
}

fn restless_world(seed: u64) -> Remains {
    let universe = Universe::new(seed);
    let plan = restless::plan(&universe);
    World::new(seed, universe, plan, false).and_then(World::run).expect("the log gives its seats")
}

/// Sends that start while a choice of their citizen is on its way to its answer.
fn racing(remains: &Remains) -> usize {
    let happened = &remains.happened;
    let races = |start: Moment, choice: &Choice| {
        choice.begun < start && choice.in_force.is_none_or(|in_force| start < in_force)
    };
    let sends = happened.sends.iter().filter(|send| {
        let choices = happened.choices.get(&send.citizen).into_iter().flatten();
        choices.clone().any(|choice| races(send.started, choice))
    });
    sends.count()
}

#[test]
fn no_send_starts_after_the_200_to_an_opt_out_or_an_erasure() {
    let (mut raced, mut answered) = (0, 0);
    for seed in 1..=SEEDS {
        let remains = restless_world(seed);
        let mistakes = judge(&remains).expect("the log can be read");
        assert!(mistakes.is_empty(), "restless seed {seed}: {mistakes:#?}");
        raced += racing(&remains);
        let choices = remains.happened.choices.values().flatten();
        answered += choices.filter(|choice| choice.in_force.is_some()).count();
    }
    // Nothing would be proved where nobody is late.
    assert!(raced > 100 && answered > 1_000, "{raced} sends raced, {answered} choices answered");
}

/// Interleavings of the test above; each is a world of some fifty messages and a hundred choices.
const SEEDS: u64 = 60;

#[test]
fn a_send_that_comes_after_the_200_is_found() {
    let remains = restless_world(1);
    let mut evidence = Evidence::gather(&remains).expect("the log can be read");
    let broken = |evidence: &Evidence| mistakes(evidence).iter().any(|it| it.law == BARRIER);
    assert!(!broken(&evidence));
    let choices = evidence.happened.choices.clone();
    let planted = evidence.happened.sends.iter().find_map(|send| {
        // Who has left refuses nothing that goes to the sender's own fallback address.
        let refuses = |it: &&Choice| it.stand.registration.is_some() && !it.stand.inbox;
        let refusals = choices.get(&send.citizen)?.iter().filter(refuses);
        let answered = refusals.filter_map(|choice| choice.in_force);
        let after = answered.map(|it| Moment { at: it.at.plus(MOMENT), ..it }).next()?;
        Some(simulate::history::Send { started: after, ..send.clone() })
    });
    evidence.happened.sends.push(planted.expect("somebody refuses"));
    assert!(broken(&evidence));
}

const MOMENT: std::time::Duration = std::time::Duration::from_millis(1);
