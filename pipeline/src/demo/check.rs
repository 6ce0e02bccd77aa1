//! Whether it adds up: one final status each, no gap, as the data expects, and as the providers counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemas::records::{MessageStatus, OutcomeKind, Status};
use schemas::topics::Channel;
use simulators::{Received, Simulators};

use super::collect::Events;
use super::data::{Data, Decision, SampleMessage};
use super::send::Sent;

/// At most so many single messages are named for each kind of fault.
const NAMED: usize = 5;

/// What does not add up, and what is worth saying although it does.
pub struct Findings {
    pub faults: Vec<String>,
    pub notes: Vec<String>,
}

/// Holds events against the data and against the simulators' own books.
pub fn check(data: &Data, sent: &Sent, events: &Events, simulators: &Simulators) -> Findings {
    let mut faults: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (reference, status) in &sent.refused {
        faults.entry("refused at the door").or_default().insert(format!("{reference} ({status})"));
    }
    for (id, index) in &sent.accepted {
        let message = &data.messages[*index];
        let list = events.get(id).map(Vec::as_slice).unwrap_or_default();
        for fault in of_message(message, list) {
            faults.entry(fault).or_default().insert(message.reference.clone());
        }
    }
    for (fault, messages) in no_unwanted_push(data, sent, simulators) {
        faults.entry(fault).or_default().extend(messages);
    }
    let mut lines: Vec<String> = faults.into_iter().map(|(kind, who)| line(kind, &who)).collect();
    let mut notes = Vec::new();
    let books = [
        (Channel::Apns, simulators.apns.counts().accepted),
        (Channel::Fcm, simulators.fcm.counts().accepted),
        (Channel::Email, simulators.smtp.counts().accepted),
    ];
    for (channel, theirs) in books {
        let ours = count(events, channel, OutcomeKind::Accepted);
        let unknown = count(events, channel, OutcomeKind::Indeterminate);
        let name = channel.name();
        notes.push(format!(
            "{name}: {ours} accepted by our events, {theirs} by the provider, {unknown} sends of \
             unknown outcome"
        ));
        if ours > theirs || theirs > ours + unknown {
            lines.push(format!(
                "{name}: the provider counts {theirs} accepted, our events {ours} and {unknown} unknown"
            ));
        }
    }
    Findings { faults: lines, notes }
}

fn line(kind: &str, who: &BTreeSet<String>) -> String {
    let named: Vec<_> = who.iter().take(NAMED).cloned().collect();
    format!("{kind}: {} messages, such as {}", who.len(), named.join(", "))
}

fn count(events: &Events, channel: Channel, outcome: OutcomeKind) -> u64 {
    let all = events.values().flatten();
    let matching = all.filter(|e| e.channel == Some(channel) && e.outcome == Some(outcome));
    u64::try_from(matching.count()).unwrap_or(u64::MAX)
}

fn of_message(message: &SampleMessage, list: &[MessageStatus]) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let finals: Vec<_> = list.iter().filter(|event| event.status.is_final()).collect();
    match finals.len() {
        1 => {}
        0 => faults.push("no final status"),
        _ => faults.push("more than one final status"),
    }
    let mut sequences: Vec<_> = list.iter().map(|event| event.sequence).collect();
    sequences.sort_unstable();
    if sequences.iter().zip(0..).any(|(sequence, expected)| *sequence != expected) {
        faults.push("a gap or a repeat in the sequence");
    }
    if let [end] = finals.as_slice()
        && !as_expected(message, list, end)
    {
        faults.push("not what the data expects");
    }
    faults
}

fn as_expected(message: &SampleMessage, list: &[MessageStatus], end: &MessageStatus) -> bool {
    let stored = list.iter().any(|event| event.status == Status::Stored);
    let expected = &message.expected;
    match expected.decision {
        Decision::Reject => end.status == Status::Rejected && !stored,
        Decision::NotOnBoard => end.status == Status::NotOnBoard && !stored,
        Decision::FallbackEmail => {
            let mailed = end.status == Status::Notified && end.channel == Some(Channel::Email);
            !stored && (mailed || end.status == Status::NotOnBoard)
        }
        Decision::Deliver => {
            let channel_allowed = match end.channel {
                Some(Channel::Apns | Channel::Fcm) => expected.devices > 0,
                Some(Channel::Email) => expected.email,
                None => true,
            };
            let ended = match end.status {
                Status::Notified => end.channel.is_some(),
                Status::Unnotified | Status::Expired => true,
                Status::Accepted
                | Status::Rejected
                | Status::NotOnBoard
                | Status::Stored
                | Status::Failed
                | Status::Attempt
                | Status::Waiting => false,
            };
            stored && channel_allowed && ended
        }
    }
}

/// No push for a message whose recipient did not want it, none to a device that is not the recipient's.
fn no_unwanted_push(
    data: &Data,
    sent: &Sent,
    simulators: &Simulators,
) -> Vec<(&'static str, BTreeSet<String>)> {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for citizen in &data.citizens {
        let code = citizen["fiscal_code"].as_str().unwrap_or_default();
        for device in citizen["devices"].as_array().into_iter().flatten() {
            owners.insert(device["token"].as_str().unwrap_or_default(), code);
        }
    }
    let mut unwanted = BTreeSet::new();
    let mut strange = BTreeSet::new();
    let received = simulators.apns.received().into_iter().chain(simulators.fcm.received());
    for push in received {
        let index = message_of(&push).and_then(|id| sent.accepted.get(&id));
        let Some(message) = index.map(|index| &data.messages[*index]) else {
            strange.insert("a push of no message".to_owned());
            continue;
        };
        let wanted = message.expected.decision == Decision::Deliver && message.expected.devices > 0;
        if !wanted {
            unwanted.insert(message.reference.clone());
        }
        let recipient = message.body["fiscal_code"].as_str();
        if push.token.as_deref().and_then(|token| owners.get(token).copied()) != recipient {
            strange.insert(message.reference.clone());
        }
    }
    let mut found = Vec::new();
    if !unwanted.is_empty() {
        found.push(("pushed against the citizen's will", unwanted));
    }
    if !strange.is_empty() {
        found.push(("pushed to somebody else's device", strange));
    }
    found
}

fn message_of(push: &Received) -> Option<schemas::ids::MessageId> {
    let payload = &push.payload;
    let places = [
        &payload["message_id"],
        &payload["message"]["data"]["message_id"],
        &payload["message"]["android"]["data"]["message_id"],
    ];
    places.into_iter().find_map(|value| value.as_str()).and_then(|id| id.parse().ok())
}
