//! Which event tells of which send.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::records::{MessageDecision, MessageStatus, OutcomeKind, Reason};

use super::Evidence;
use crate::choices::MAX_AGE;
use crate::history::Send;

/// What the pipeline made of a send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report<'a> {
    pub event: &'a MessageStatus,
    pub kind: OutcomeKind,
    /// It counts as a try.
    pub left: bool,
    /// Not to be tried again before this has passed.
    pub wait: Option<Duration>,
}

pub(super) type Reports<'a> = BTreeMap<usize, Report<'a>>;

/// Events that name their send; and those that know no answer. These tell of the first send of the
/// message on that channel that was decided and that nobody else tells of; or of one that was handed over
/// as silent and had not even started, because its process stood still: no send, and no harm.
/// Left over: events that tell of nothing.
pub(super) fn reports(evidence: &Evidence) -> (Reports<'_>, Vec<&MessageStatus>) {
    let mut reports = Reports::new();
    let (mut nameless, mut strays) = (Vec::new(), Vec::new());
    for event in evidence.events.values().flatten().filter(|event| event.outcome.is_some()) {
        let unknown =
            event.outcome == Some(OutcomeKind::Indeterminate) || event.reason == Reason::Unsent;
        match evidence.send_of(event) {
            Some((nth, send)) if !reports.contains_key(&nth) => {
                reports.insert(nth, of_named(event, send));
            }
            None if unknown => nameless.push(event),
            Some(_) | None => strays.push(event),
        }
    }
    let mut untold = Untold::of(evidence, &reports);
    for event in nameless {
        let Some(decision) = untold.of_event(event, &reports) else {
            strays.push(event);
            continue;
        };
        // What was given back after all never began.
        let began = evidence.happened.sends.iter().enumerate().find(|(nth, send)| {
            event.reason != Reason::Unsent && !reports.contains_key(nth) && is_of(send, decision)
        });
        if let Some((nth, _)) = began {
            let kind = OutcomeKind::Indeterminate;
            reports.insert(nth, Report { event, kind, left: true, wait: None });
        }
    }
    (reports, strays)
}

/// The send stands on this decision.
pub(super) fn is_of(send: &Send, decision: &MessageDecision) -> bool {
    let (decided, start) = (decision.decided_at, send.started.at);
    decision.send_id == send_id(send) && decided <= start && start.since(decided) <= MAX_AGE
}

/// Equal for every repeat, as the port says it.
pub(super) fn send_id(send: &Send) -> String {
    format!("{}-{}", send.message, send.installation)
}

/// Decisions of which no event has told the answer.
struct Untold<'a> {
    evidence: &'a Evidence,
    decisions: Vec<&'a MessageDecision>,
}

impl<'a> Untold<'a> {
    fn of(evidence: &'a Evidence, reports: &Reports<'_>) -> Self {
        let decisions = evidence.decisions.values().flatten().collect();
        let mut untold = Self { evidence, decisions };
        for nth in reports.keys() {
            let send = &evidence.happened.sends[*nth];
            let found = untold.decisions.iter().position(|decision| is_of(send, decision));
            found.map(|nth| untold.decisions.remove(nth));
        }
        untold
    }

    /// One that was handed over as silent; those first of which a send is known that nobody tells of.
    fn of_event(
        &mut self,
        event: &MessageStatus,
        reports: &Reports<'_>,
    ) -> Option<&'a MessageDecision> {
        let fits = |decision: &MessageDecision| {
            let same = decision.message_id == event.message_id;
            let silent = decision.outcome == OutcomeKind::Indeterminate;
            same && silent && Some(decision.channel) == event.channel
        };
        let began = |decision: &MessageDecision| {
            let mut sends = self.evidence.happened.sends.iter().enumerate();
            sends.any(|(nth, send)| !reports.contains_key(&nth) && is_of(send, decision))
        };
        let wanted = event.reason != Reason::Unsent;
        let best = self.decisions.iter().position(|it| fits(it) && began(it) == wanted);
        let nth = best.or_else(|| self.decisions.iter().position(|it| fits(it)))?;
        Some(self.decisions.remove(nth))
    }
}

fn of_named<'a>(event: &'a MessageStatus, send: &Send) -> Report<'a> {
    let answered = send.answered;
    Report {
        event,
        kind: answered.map_or(OutcomeKind::Other, |it| it.kind),
        left: send.left,
        wait: answered.and_then(|it| it.wait),
    }
}
