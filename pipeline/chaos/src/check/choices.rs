//! Refusals through the citizen API: what may still end as before, and what must not start any more.

use std::collections::HashMap;

use super::{Findings, Known};
use crate::evidence::{Choice, Evidence, Fault, minted_at};
use crate::records::{Event, Status};
use crate::sample::Message;

/// A send that started before the 200 may still be on its way to the provider.
const ON_ITS_WAY_MS: i64 = 1_000;

pub type Choices<'a> = HashMap<(&'a str, &'a str), &'a Choice>;

pub fn by_pair(evidence: &Evidence) -> Choices<'_> {
    let pair = |choice| -> ((&str, &str), &Choice) {
        let choice: &Choice = choice;
        ((&choice.citizen, &choice.service), choice)
    };
    evidence.choices.iter().map(pair).collect()
}

pub fn of<'a>(choices: &Choices<'a>, sent: &Message) -> Option<&'a Choice> {
    choices.get(&(sent.recipient(), sent.service_id.as_str())).copied()
}

/// What a refusal makes of the end of a message that could be delivered without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The end came before anybody asked.
    None,
    /// One or the other: they ran side by side.
    Either,
    /// In force when the message was accepted: it must be rejected.
    Refused,
}

pub fn weight(choice: Option<&Choice>, end: &Event) -> Weight {
    let Some(choice) = choice else { return Weight::None };
    let minted = minted_at(&end.message_id).unwrap_or_default();
    if choice.in_force.is_some_and(|in_force| minted > in_force) {
        Weight::Refused
    } else if end.at < choice.asked {
        Weight::None
    } else {
        Weight::Either
    }
}

/// Whether `end` is one that a refusal may bring about.
pub fn is_refusal(end: &Event) -> bool {
    matches!(end.status, Status::Rejected | Status::Unnotified)
}

/// No send starts after the 200: none was decided later, none reached a provider later than one that
/// was on its way. A process that was frozen between decision and send cannot know; such sends are
/// counted, not excused silently.
pub fn after_the_answer(
    evidence: &Evidence,
    known: &Known<'_>,
    choices: &Choices<'_>,
    findings: &mut Findings,
) -> u64 {
    let in_force = |message: &str| {
        let sent = known.get(message)?;
        of(choices, sent)?.in_force
    };
    for decision in &evidence.decisions {
        if in_force(&decision.message_id).is_some_and(|since| decision.decided_at > since) {
            findings.add(
                "decided to send after the citizen's refusal was in force",
                &*decision.message_id,
            );
        }
    }
    let mails: HashMap<&str, &str> = super::books::named_mails(evidence);
    let mut woken = 0;
    for send in &evidence.sends {
        let message = mails.get(send.about.as_str()).copied().unwrap_or(&send.about);
        let Some(since) = in_force(message) else { continue };
        if send.at <= since + ON_ITS_WAY_MS {
            continue;
        }
        let froze = |fault: &Fault| {
            fault.freezes
                && fault.repeats.contains(&send.channel)
                && fault.from <= since
                && send.at >= fault.to
        };
        if evidence.faults.iter().any(froze) {
            woken += 1;
        } else {
            findings.add("sent after the citizen's refusal was in force", message);
        }
    }
    woken
}
