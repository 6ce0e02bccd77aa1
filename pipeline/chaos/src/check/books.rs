//! The providers' books against the events: who was reached, who should have been, what was sent twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Findings, Known, Repeats};
use crate::evidence::{Evidence, Fault, Send};
use crate::records::{Channel, Event};
use crate::sample::{Message, Outlook, Sample};

/// How long a send may be over before what it led to is committed: the longest answer, the longest
/// transaction, and room.
const UNCOMMITTED_MS: i64 = 15_000;
/// Facts may be this old when a send starts, and the send takes its time: after this, whoever still
/// sends has not asked.
const BLIND_AFTER_MS: i64 = 2_000;

/// Sends of one message on one channel, by address.
type Books<'a> = BTreeMap<(&'a str, Channel), BTreeMap<&'a str, Vec<i64>>>;

pub fn compare(
    sample: &Sample,
    evidence: &Evidence,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Repeats {
    let mut repeats = Repeats::default();
    let mut books = Books::new();
    let named = named_mails(evidence);
    let by_pair = by_pair(sample);
    for send in &evidence.sends {
        blind(send, evidence, findings);
        let message = match send.channel {
            Channel::Apns | Channel::Fcm => Some(send.about.as_str()),
            Channel::Email => named.get(send.about.as_str()).copied(),
        };
        let Some(message) = message else {
            if near(&evidence.faults, send.channel, send.at) {
                repeats.untold_around_a_fault += 1;
            } else {
                findings.add("a mail that no decision names", send.about.as_str());
            }
            continue;
        };
        let asked = asked(message, send, sample, evidence, known, &by_pair);
        if !asked.iter().any(|sent| is_wanted(send, sent, sample)) {
            findings.add("sent against somebody's will, or to somebody else", message);
        }
        let of = books.entry((message, send.channel)).or_default();
        of.entry(&send.address).or_default().push(send.at);
    }
    for ((message, channel), addresses) in &books {
        told(message, *channel, addresses, evidence, &mut repeats, findings);
    }
    untaken(&books, evidence, findings);
    totals(evidence, findings);
    repeats
}

/// `Message-ID` to the message that it is about.
pub fn named_mails(evidence: &Evidence) -> HashMap<&str, &str> {
    let mails = evidence.decisions.iter().filter(|decision| decision.channel == Channel::Email);
    mails.map(|decision| (decision.send_id.as_str(), decision.message_id.as_str())).collect()
}

type Pairs<'a> = HashMap<(&'a str, &'a str), Vec<&'a Message>>;

fn by_pair(sample: &Sample) -> Pairs<'_> {
    let mut pairs = Pairs::new();
    for message in &sample.messages {
        pairs.entry((message.recipient(), &message.service_id)).or_default().push(message);
    }
    pairs
}

/// What was asked for: known by the id, or, where no 201 named it, whatever this service sent to the
/// owner of this address.
fn asked<'a>(
    message: &str,
    send: &Send,
    sample: &'a Sample,
    evidence: &Evidence,
    known: &Known<'a>,
    by_pair: &Pairs<'a>,
) -> Vec<&'a Message> {
    if let Some(sent) = known.get(message) {
        return vec![sent];
    }
    let service = evidence.events.get(message).and_then(|events| events.first());
    let Some(service) = service.map(|event| event.service_id.as_str()) else { return Vec::new() };
    match sample.owners.get(&send.address) {
        Some(owner) => by_pair.get(&(owner.as_str(), service)).cloned().unwrap_or_default(),
        None => sample.messages.iter().filter(|sent| sent.service_id == service).collect(),
    }
}

fn is_wanted(send: &Send, sent: &Message, sample: &Sample) -> bool {
    let citizen = sample.citizens.get(sent.recipient());
    match (sample.outlook(sent), send.channel) {
        (Outlook::Deliver { push, .. }, Channel::Apns | Channel::Fcm) => {
            let owner = sample.owners.get(&send.address).map(String::as_str);
            push && owner == Some(sent.recipient())
        }
        (Outlook::Deliver { email, .. }, Channel::Email) => {
            let mailbox = citizen.and_then(crate::sample::Citizen::mailbox);
            email && mailbox.is_some_and(|mailbox| same_mailbox(mailbox, &send.address))
        }
        (Outlook::Fallback { .. }, Channel::Email) => {
            sent.fallback_address().is_some_and(|address| same_mailbox(address, &send.address))
        }
        (Outlook::Fallback { .. }, Channel::Apns | Channel::Fcm)
        | (Outlook::Rejected | Outlook::NotOnBoard, _) => false,
    }
}

/// Domains know no case.
fn same_mailbox(one: &str, other: &str) -> bool {
    let split = |text: &str| {
        let (user, domain) = text.rsplit_once('@').unwrap_or((text, ""));
        (user.to_owned(), domain.to_ascii_lowercase())
    };
    split(one) == split(other)
}

fn blind(send: &Send, evidence: &Evidence, findings: &mut Findings) {
    let blind = |fault: &&Fault| {
        fault.blinds && send.at > fault.from + BLIND_AFTER_MS && send.at < fault.to
    };
    if evidence.faults.iter().any(|fault| blind(&fault)) {
        findings.add("sent while nobody could know the citizen's choice", send.about.as_str());
    }
}

/// Every address that was reached is told by an event; what was sent twice has a reason.
fn told(
    message: &str,
    channel: Channel,
    addresses: &BTreeMap<&str, Vec<i64>>,
    evidence: &Evidence,
    repeats: &mut Repeats,
    findings: &mut Findings,
) {
    let events = evidence.events.get(message).map(Vec::as_slice).unwrap_or_default();
    let accepted = count(events, channel, "accepted");
    let unknown = count(events, channel, "indeterminate");
    let faults = &evidence.faults;
    let untold = addresses.len().saturating_sub(accepted + unknown);
    if untold > 0 {
        if addresses.values().flatten().any(|at| near(faults, channel, *at)) {
            repeats.untold_around_a_fault += u64::try_from(untold).unwrap_or(u64::MAX);
        } else {
            findings.add("taken by a provider, told by no event", message);
        }
    }
    let mut declared = unknown;
    for times in addresses.values() {
        let mut times = times.clone();
        times.sort_unstable();
        for pair in times.windows(2) {
            if faults.iter().any(|fault| straddles(fault, channel, pair[0], pair[1])) {
                repeats.around_a_fault += 1;
            } else if declared > 0 {
                declared -= 1;
                repeats.declared += 1;
            } else {
                repeats.unexplained += 1;
                findings.add("sent twice without a reason", message);
            }
        }
    }
}

fn count(events: &[Event], channel: Channel, outcome: &str) -> usize {
    events.iter().filter(|event| event.channel == Some(channel) && event.says(outcome)).count()
}

fn straddles(fault: &Fault, channel: Channel, first: i64, next: i64) -> bool {
    let meets = first <= fault.to && next >= fault.from && fault.from - first <= UNCOMMITTED_MS;
    meets && fault.repeats.contains(&channel)
}

fn near(faults: &[Fault], channel: Channel, at: i64) -> bool {
    let meets = |fault: &Fault| at >= fault.from - UNCOMMITTED_MS && at <= fault.to;
    faults.iter().any(|fault| meets(fault) && fault.repeats.contains(&channel))
}

/// No event says "accepted" of what no provider took.
fn untaken(books: &Books<'_>, evidence: &Evidence, findings: &mut Findings) {
    for (message, events) in &evidence.events {
        for channel in Channel::ALL {
            let said = count(events, channel, "accepted");
            let taken = books.get(&(message.as_str(), channel)).map_or(0, BTreeMap::len);
            if said > taken {
                findings.add("said to be accepted, taken by no provider", message.as_str());
            }
        }
    }
}

/// What the providers show is all that they counted.
fn totals(evidence: &Evidence, findings: &mut Findings) {
    if evidence.not_kept > 0 {
        findings.add("the providers' books are not whole", evidence.not_kept.to_string());
    }
    let channels: HashSet<Channel> = evidence.counted.keys().copied().collect();
    for channel in channels {
        let shown = evidence.sends.iter().filter(|send| send.channel == channel).count();
        let counted = evidence.counted[&channel];
        if u64::try_from(shown).ok() != Some(counted) {
            let what = format!("{}: counted {counted}, shown {shown}", channel.name());
            findings.add("the providers' books disagree", what);
        }
    }
}
