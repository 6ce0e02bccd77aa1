//! What really happened in a run, as only its maker can know: the ground that the laws judge on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemas::ids::{MessageId, Pseudonym, Timestamp};
use schemas::records::OutcomeKind;
use schemas::topics::Channel;

use crate::stand::Stand;
use crate::universe::{Owner, Universe};

/// A place in the one order of all that happened; `at` alone would not tell two things of a millisecond
/// apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub order: u64,
    pub at: Timestamp,
}

/// A send as the provider met it.
#[derive(Debug, Clone)]
pub struct Send {
    pub owner: Owner,
    pub message: MessageId,
    pub citizen: Pseudonym,
    pub service: String,
    pub channel: Channel,
    pub installation: String,
    pub address: String,
    pub started: Moment,
    /// The request left us; else no connection was to be had.
    pub left: bool,
    pub answered: Option<Answered>,
}

/// What the provider said, by the double's own table.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    pub moment: Moment,
    pub kind: OutcomeKind,
    /// The provider asked not to be asked again before this has passed.
    pub wait: Option<Duration>,
}

/// A citizen's choice, from its first write to the answer 200.
#[derive(Debug, Clone)]
pub struct Choice {
    pub what: &'static str,
    pub stand: Stand,
    pub begun: Moment,
    pub in_force: Option<Moment>,
}

/// A life of a worker lost what it had in hand, or may have.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    pub owner: Owner,
    pub moment: Moment,
    pub what: &'static str,
}

#[derive(Debug, Clone, Default)]
pub struct Happened {
    pub sends: Vec<Send>,
    /// By citizen, in order.
    pub choices: BTreeMap<Pseudonym, Vec<Choice>>,
    pub losses: Vec<Loss>,
    /// Everything else worth a line when a run is told, in order.
    pub notes: Vec<(Timestamp, String)>,
    /// What the log refused although nobody asked it to.
    pub broken: Vec<String>,
    /// Faults met, by name.
    pub faults: BTreeMap<&'static str, u64>,
}

/// Cheap to clone; written by doubles and the scheduler.
#[derive(Clone)]
pub struct History {
    universe: Universe,
    happened: Arc<Mutex<Happened>>,
    next: Arc<Mutex<u64>>,
    /// Whether somebody wants to read all of it.
    told: bool,
}

impl History {
    #[must_use]
    pub fn new(universe: Universe, told: bool) -> Self {
        Self { universe, happened: Arc::default(), next: Arc::default(), told }
    }

    /// The present, different from every other.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let mut next = self.next.lock();
        *next += 1;
        Moment { order: *next, at: self.universe.now() }
    }

    /// Files a send; gives its number.
    #[must_use]
    pub fn send(&self, send: Send) -> usize {
        let mut happened = self.happened.lock();
        happened.sends.push(send);
        happened.sends.len() - 1
    }

    pub fn answer(&self, send: usize, kind: OutcomeKind, wait: Option<Duration>) {
        let moment = self.moment();
        self.happened.lock().sends[send].answered = Some(Answered { moment, kind, wait });
    }

    /// A choice begins to be written; gives its number among the citizen's.
    pub fn choice(&self, citizen: Pseudonym, what: &'static str, stand: Stand) -> usize {
        let begun = self.moment();
        self.note(format!("{citizen} begins to {what}"));
        let mut happened = self.happened.lock();
        let of_one = happened.choices.entry(citizen).or_default();
        of_one.push(Choice { what, stand, begun, in_force: None });
        of_one.len() - 1
    }

    /// The choice has been answered with 200.
    pub fn in_force(&self, citizen: Pseudonym, choice: usize) {
        let moment = self.moment();
        let mut happened = self.happened.lock();
        if let Some(choice) = happened.choices.get_mut(&citizen).and_then(|it| it.get_mut(choice)) {
            choice.in_force = Some(moment);
            let note = format!("{citizen} has it in force: {}", choice.what);
            happened.notes.push((moment.at, note));
        }
    }

    pub fn loss(&self, owner: Owner, what: &'static str) {
        let moment = self.moment();
        self.fault(what);
        self.note(format!("life {owner}: {what}"));
        self.happened.lock().losses.push(Loss { owner, moment, what });
    }

    /// Counts a fault.
    pub fn fault(&self, what: &'static str) {
        *self.happened.lock().faults.entry(what).or_default() += 1;
    }

    /// Something that must never happen, whatever the faults.
    pub fn broke(&self, what: String) {
        self.happened.lock().broken.push(what);
    }

    pub fn note(&self, what: String) {
        let now = self.universe.now();
        self.happened.lock().notes.push((now, what));
    }

    /// What is worth a line only where somebody reads it.
    pub fn detail(&self, what: impl FnOnce() -> String) {
        if self.told {
            self.note(what());
        }
    }

    /// All of it.
    #[must_use]
    pub fn happened(&self) -> Happened {
        self.happened.lock().clone()
    }
}
