//! The whole pipeline in one thread under one seed: the shipped stages on the log in memory, with virtual
//! time, a drawn order of everything, drawn faults, and a judge that shares no rule with the code.
//!
//! One seed, one run: the same hash of `message.status`, every time.
#![allow(clippy::expect_used, reason = "invented data is as it should be, or the run is void")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime::log::LogError;
use schemas::topics::Topic;

pub mod census;
pub mod choices;
pub mod crew;
pub mod history;
pub mod keys;
pub mod laws;
pub mod member;
pub mod people;
pub mod plan;
pub mod provider;
pub mod restless;
pub mod senders;
pub mod stand;
pub mod store;
pub mod tables;
pub mod tell;
pub mod universe;
pub mod world;

use history::Happened;
use laws::Mistake;
use plan::Plan;
use universe::Universe;
use world::{Remains, World, read_all};

/// How a world ended.
pub struct Verdict {
    pub seed: u64,
    /// SHA-256 over places, times, keys and values of `message.status`, in hex.
    pub hash: String,
    pub mistakes: Vec<Mistake>,
    pub happened: Happened,
    pub messages: usize,
    pub rounds: u64,
}

/// The world of one seed, from beginning to end, and its judgement. Whatever panics is a mistake.
#[must_use]
pub fn run(seed: u64) -> Verdict {
    let ran = catch_unwind(AssertUnwindSafe(|| try_run(seed)));
    let why = match ran {
        Ok(Ok(verdict)) => return verdict,
        Ok(Err(error)) => error.to_string(),
        Err(_) => LAST_PANIC.take(),
    };
    Verdict {
        seed,
        hash: String::new(),
        mistakes: vec![Mistake { law: "a world runs to its end", what: why }],
        happened: Happened::default(),
        messages: 0,
        rounds: 0,
    }
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on a panic is kept for the verdict on its world, and not printed.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| LAST_PANIC.set(panic.to_string())));
}

/// What happened in the world of one seed, in lines.
///
/// # Errors
/// As [`World::new`].
pub fn tell(seed: u64) -> Result<Vec<String>, LogError> {
    let universe = Universe::new(seed);
    let plan = plan(seed, &universe);
    tell::lines(&World::new(seed, universe, plan, true)?.run()?)
}

/// What shall happen in the world of this seed; in one of four everybody is restless.
fn plan(seed: u64, universe: &Universe) -> Plan {
    if seed.is_multiple_of(4) { restless::plan(universe) } else { Plan::drawn(universe) }
}

fn try_run(seed: u64) -> Result<Verdict, LogError> {
    let universe = Universe::new(seed);
    let plan = plan(seed, &universe);
    let messages = plan.wishes.len();
    let addressed = plan.addressed();
    let remains = World::new(seed, universe, plan, false)?.run()?;
    let mut mistakes = laws::judge(&remains)?;
    mistakes.extend(census::lacks(&remains.happened, messages, addressed));
    Ok(Verdict {
        seed,
        hash: hash(&remains)?,
        mistakes,
        messages,
        rounds: remains.rounds,
        happened: remains.happened,
    })
}

/// See [`Verdict::hash`].
///
/// # Errors
/// The log cannot be read.
pub fn hash(remains: &Remains) -> Result<String, LogError> {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for record in read_all(&remains.log, Topic::Status)? {
        hash.update(format!("{:?}{}", record.position, record.appended_at.0).as_bytes());
        hash.update(&record.key);
        hash.update(record.value.as_deref().unwrap_or_default());
    }
    Ok(hex::encode(hash.finish()))
}
