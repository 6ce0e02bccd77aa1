//! Which event tells of which send.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::records::{MessageStatus, OutcomeKind};

use super::Evidence;
use crate::history::Send;

/// Nobody is called silent before this.
const SILENT_AFTER: Duration = Duration::from_secs(1);

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

/// Events that name their send; and for those that know no answer, the first send of the message on that
/// channel that nobody else tells of. Left over: events that tell of no send.
pub(super) fn reports(evidence: &Evidence) -> (Reports<'_>, Vec<&MessageStatus>) {
    let mut reports = Reports::new();
    let (mut nameless, mut strays) = (Vec::new(), Vec::new());
    for event in evidence.events.values().flatten().filter(|event| event.outcome.is_some()) {
        match evidence.send_of(event) {
            Some((nth, send)) if !reports.contains_key(&nth) => {
                reports.insert(nth, of_named(event, send));
            }
            None if event.outcome == Some(OutcomeKind::Indeterminate) => nameless.push(event),
            Some(_) | None => strays.push(event),
        }
    }
    for event in nameless {
        let sends = evidence.happened.sends.iter().enumerate();
        let mut silent = sends.filter(|(nth, send)| {
            let same = send.message == event.message_id && Some(send.channel) == event.channel;
            let began = send.started.is_some_and(|it| it.at.plus(SILENT_AFTER) <= event.at);
            same && began && !reports.contains_key(nth)
        });
        match silent.next() {
            Some((nth, _)) => {
                let kind = OutcomeKind::Indeterminate;
                reports.insert(nth, Report { event, kind, left: true, wait: None });
            }
            None => strays.push(event),
        }
    }
    (reports, strays)
}

fn of_named<'a>(event: &'a MessageStatus, send: &Send) -> Report<'a> {
    let answered = send.answered;
    Report {
        event,
        kind: answered.map_or(OutcomeKind::Other, |it| it.kind),
        left: answered.is_some_and(|it| it.left),
        wait: answered.and_then(|it| it.wait),
    }
}
