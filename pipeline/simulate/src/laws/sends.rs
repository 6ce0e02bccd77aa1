//! Every send is told of once, on fresh facts, at its time, and not more often than there is a reason for.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::records::{MessageDecision, OutcomeKind};
use schemas::topics::Channel;

use super::reports::{Reports, is_of, reports, send_id};
use super::{Court, Evidence};
use crate::history::Send;

/// Between the end of a send and the loss of its answer there is at most this.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
/// So long after a partition moved, its former owner may still begin what it had in hand: a wait for a
/// place, and the longest that a process stands still.
const LINGERS: Duration = Duration::from_secs(20);
/// No retry comes earlier, whoever asked for nothing.
const LEAST_WAIT: Duration = Duration::from_secs(5);
const MOST_PUSHES: usize = 8;
const MOST_MAILS: usize = 4;
/// A mail of unknown fate is repeated once.
const MOST_UNKNOWN_MAILS: usize = 2;

pub(super) fn judge(court: &mut Court, evidence: &Evidence) {
    let (reports, strays) = reports(evidence);
    court.holds("an event that tells of a send tells of one, once", strays.is_empty(), || {
        format!("{strays:?}")
    });
    each_is_told_as_it_was(court, evidence, &reports);
    none_is_forgotten(court, evidence, &reports);
    none_comes_too_late(court, evidence);
    each_has_its_decision(court, evidence, &reports);
    let mut by_address: BTreeMap<_, Vec<(usize, &Send)>> = BTreeMap::new();
    for (nth, send) in evidence.happened.sends.iter().enumerate() {
        let address = (send.message, send.channel, send.installation.as_str());
        by_address.entry(address).or_default().push((nth, send));
    }
    for sends in by_address.values() {
        repeats_have_a_reason(court, evidence, &reports, sends);
    }
}

fn each_is_told_as_it_was(court: &mut Court, evidence: &Evidence, reports: &Reports<'_>) {
    for (nth, report) in reports {
        let send = &evidence.happened.sends[*nth];
        let say = || format!("{:?} of {nth} {send:?}", report.event);
        let same =
            (send.message, Some(send.channel)) == (report.event.message_id, report.event.channel);
        court.holds("a send is told of under its own message", same, say);
        let told = report.event.outcome == Some(report.kind);
        court.holds("an event says what the provider said", told, say);
        let known = send.answered.map(|answered| answered.kind);
        let lost = known != Some(report.kind);
        let excused = known.is_none() || is_excused(evidence, send);
        court.holds("an answer is lost in a crash only", !lost || excused, say);
    }
}

/// Whose answer is nowhere told must have been lost with a life, soon after.
fn none_is_forgotten(court: &mut Court, evidence: &Evidence, reports: &Reports<'_>) {
    let sends = evidence.happened.sends.iter().enumerate();
    for (nth, send) in sends.clone().filter(|(_, send)| send.answered.is_none()) {
        let excused = is_excused(evidence, send);
        let law = "a send is followed to its answer, however late";
        court.holds(law, excused, || format!("{nth} {send:?}"));
    }
    let untold = sends.filter(|(nth, send)| send.left && !reports.contains_key(nth));
    for (nth, send) in untold {
        let excused = is_excused(evidence, send);
        court.holds("no send is forgotten outside a crash", excused, || format!("{nth} {send:?}"));
    }
}

fn is_excused(evidence: &Evidence, send: &Send) -> bool {
    let ended = send.answered.map_or(send.started, |answered| answered.moment);
    let until = ended.at.plus(TOLD_WITHIN);
    let mut losses = evidence.happened.losses.iter().filter(|loss| loss.owner == send.owner);
    losses.any(|loss| {
        let lingering = loss.moment.at.plus(LINGERS) >= send.started.at;
        (loss.moment > send.started || lingering) && loss.moment.at <= until
    })
}

fn none_comes_too_late(court: &mut Court, evidence: &Evidence) {
    for send in &evidence.happened.sends {
        let Some(message) = evidence.accepted.get(&send.message) else { continue };
        let in_time = send.started.at < message.expires_at;
        court.holds("no send starts after the time to live", in_time, || {
            format!("{send:?}, which ended at {}", message.expires_at.0)
        });
    }
}

/// One decision for each send that is told of, on facts that were young when it started; none that
/// stands for nothing, but what was handed over as silent before it could start.
fn each_has_its_decision(court: &mut Court, evidence: &Evidence, reports: &Reports<'_>) {
    #[derive(Debug, Default)]
    struct Book<'a> {
        begun: Vec<&'a Send>,
        told: Vec<(&'a Send, OutcomeKind)>,
        decided: Vec<&'a MessageDecision>,
    }
    let mut books: BTreeMap<String, Book<'_>> = BTreeMap::new();
    for (nth, send) in evidence.happened.sends.iter().enumerate() {
        let book = books.entry(send_id(send)).or_default();
        book.begun.push(send);
        book.told.extend(reports.get(&nth).map(|report| (send, report.kind)));
    }
    for decision in evidence.decisions.values().flatten() {
        books.entry(decision.send_id.clone()).or_default().decided.push(decision);
    }
    for book in books.values() {
        let said = || format!("{book:?}");
        let is_young = |send: &Send| book.decided.iter().any(|decision| is_of(send, decision));
        let fresh = book.told.iter().all(|(send, _)| is_young(send));
        court.holds("a send starts on facts younger than they may be old", fresh, said);
        let never_began = book.decided.iter().filter(|decision| {
            decision.outcome == OutcomeKind::Indeterminate
                && !book.begun.iter().any(|send| is_of(send, decision))
        });
        let most = book.begun.len() + never_began.count();
        let counts = (book.told.len()..=most).contains(&book.decided.len());
        court.holds("behind each send told of stands one decision", counts, said);
        let mut left: Vec<_> = book.told.iter().map(|(_, kind)| *kind).collect();
        let mut known = book.decided.iter().map(|decision| decision.outcome);
        let agrees = known.all(|outcome| {
            let found = left.iter().position(|kind| *kind == outcome);
            outcome == OutcomeKind::Indeterminate || found.map(|nth| left.remove(nth)).is_some()
        });
        court.holds("a decision says what the provider said", agrees, said);
    }
}

fn repeats_have_a_reason(
    court: &mut Court,
    evidence: &Evidence,
    reports: &Reports<'_>,
    sends: &[(usize, &Send)],
) {
    // What starts before the answer to another is told repeats it: one of the two is told by nobody.
    let ended = evidence.final_of(sends[0].1.message).map(|event| event.at);
    let mut closed: Option<Timestamp> = None;
    let mut told_last: Option<(Timestamp, Timestamp)> = None;
    let (mut left, mut unknown) = (0, 0);
    for (nth, send) in sends {
        let told = || format!("send {nth} {send:?} among {sends:?}");
        // What nobody tells of is judged by its loss.
        let Some(report) = reports.get(nth) else { continue };
        let start = send.started.at;
        let again = closed.is_some_and(|closed| closed < start);
        court.holds("an address that has answered for good is left alone", !again, told);
        let early = told_last.is_some_and(|(at, until)| at < start && start < until);
        court.holds("a retry waits as long as the provider asked", !early, told);
        let late = ended.is_some_and(|ended| ended < start);
        let first = left == 0 && send.channel != Channel::Email;
        court.holds("after the end only untried devices are tried", !late || first, told);
        let burnt = report.left && report.kind != OutcomeKind::Misconfigured;
        left += usize::from(burnt);
        unknown += usize::from(burnt && report.kind == OutcomeKind::Indeterminate);
        let at = report.event.at;
        if is_closing(report.kind) {
            closed = Some(at);
        }
        told_last = Some((at, at.plus(report.wait.unwrap_or(LEAST_WAIT))));
    }
    let (most, most_unknown) = match sends[0].1.channel {
        Channel::Apns | Channel::Fcm => (MOST_PUSHES, MOST_PUSHES),
        Channel::Email => (MOST_MAILS, MOST_UNKNOWN_MAILS),
    };
    let bounded = left <= most && unknown <= most_unknown;
    court.holds("tries are bounded", bounded, || format!("{left}, {unknown}: {sends:?}"));
}

fn is_closing(kind: OutcomeKind) -> bool {
    match kind {
        OutcomeKind::Accepted | OutcomeKind::AddressGone | OutcomeKind::Refused => true,
        OutcomeKind::Throttled
        | OutcomeKind::Unavailable
        | OutcomeKind::Misconfigured
        | OutcomeKind::Indeterminate
        | OutcomeKind::Other => false,
    }
}
