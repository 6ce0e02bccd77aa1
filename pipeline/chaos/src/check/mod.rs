//! Whether a run adds up: pure, over the evidence alone. The rules are written down here a second
//! time, from the published contract, and use no code that decides in the pipeline.

mod books;
mod choices;
mod message;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::evidence::Evidence;
use crate::sample::{Message, Sample};

/// What does not add up: kind to the messages concerned.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Findings(pub BTreeMap<&'static str, Vec<String>>);

impl Findings {
    fn add(&mut self, kind: &'static str, who: impl Into<String>) {
        self.0.entry(kind).or_default().push(who.into());
    }
}

/// Sends that a provider took more than once, by what explains them, and sends that no event tells.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// An event says that the outcome was unknown, so the send was repeated on purpose.
    pub declared: u64,
    /// A fault lay between the two.
    pub around_a_fault: u64,
    pub unexplained: u64,
    /// Taken by a provider around a fault, and never told: the story went another way meanwhile.
    pub untold_around_a_fault: u64,
}

#[derive(Debug, Default)]
pub struct Verdict {
    pub findings: Findings,
    pub repeats: Repeats,
    /// Messages that nobody got a 201 for, of requests without an answer.
    pub unasked: u64,
    /// Sends after a refusal by a process that was frozen between its decision and its send.
    pub woken: u64,
}

/// Holds the evidence against the data and against itself.
#[must_use]
pub fn check(sample: &Sample, evidence: &Evidence) -> Verdict {
    let mut findings = Findings::default();
    for (status, count) in &evidence.refused {
        findings.add("refused at the door", format!("{count} with {status}"));
    }
    if evidence.given_up > 0 {
        findings.add("sender gave up", evidence.given_up.to_string());
    }
    let known = known(sample, evidence);
    let choices = choices::by_pair(evidence);
    for taken in &evidence.taken {
        let events = evidence.events.get(&taken.id).map(Vec::as_slice).unwrap_or_default();
        let sent = &sample.messages[taken.sample];
        for kind in
            message::faults(events, sample, sent, choices::of(&choices, sent), evidence.time_scale)
        {
            findings.add(kind, taken.id.as_str());
        }
    }
    let unasked = unasked(sample, evidence, &known, &mut findings);
    let repeats = books::compare(sample, evidence, &known, &mut findings);
    let woken = choices::after_the_answer(evidence, &known, &choices, &mut findings);
    Verdict { findings, repeats, unasked, woken }
}

/// What each message id stands for, where the sender knows it.
type Known<'a> = HashMap<&'a str, &'a Message>;

fn known<'a>(sample: &'a Sample, evidence: &'a Evidence) -> Known<'a> {
    let pair = |taken: &'a crate::evidence::Taken| (&*taken.id, &sample.messages[taken.sample]);
    evidence.taken.iter().map(pair).collect()
}

/// Messages on the log that no 201 named: each must be whole, and a request must have stayed without
/// an answer for each.
fn unasked(
    sample: &Sample,
    evidence: &Evidence,
    known: &Known<'_>,
    findings: &mut Findings,
) -> u64 {
    let mut count = 0;
    for (id, events) in evidence.events.iter().filter(|(id, _)| !known.contains_key(id.as_str())) {
        count += 1;
        for kind in message::order(events) {
            findings.add(kind, id.as_str());
        }
        let of_service =
            |sent: &&Message| events.iter().all(|event| event.service_id == sent.service_id);
        if !sample.messages.iter().any(|sent| of_service(&sent)) {
            findings.add("a message that no sender sent", id.as_str());
        }
    }
    if count > evidence.unanswered {
        let what = format!("{count}, yet only {} requests had no answer", evidence.unanswered);
        findings.add("messages that nobody asked for", what);
    }
    count
}

#[cfg(test)]
mod laws;
