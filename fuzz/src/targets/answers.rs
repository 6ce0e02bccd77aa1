//! What providers say.

use std::time::Duration;

use consumers::email::{Phase, fuzzing};
use consumers::{apns, fcm};
use policy::outcome::{Answer, AttemptOutcome};
use schemas::ids::Timestamp;

use super::{EXECUTOR, number};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// A longer wait is nobody's intention.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// What a provider calls a message, at most.
const LONGEST_NAME: usize = 256;

/// A status in two bytes, then the body.
pub fn apns(bytes: &[u8]) {
    let (status, body) = status(bytes);
    let answer = apns::classify(status, body, NOW);
    sane(&answer);
    earned(&answer, status);
    if let AttemptOutcome::AddressGone { since: Some(since) } = answer.outcome {
        assert!(since <= NOW, "nobody dies in the future");
    }
}

/// A status in two bytes, a `Retry-After` behind its length, then the body.
pub fn fcm(bytes: &[u8]) {
    let (status, rest) = status(bytes);
    let (length, rest) = number::<1>(rest);
    let length = usize::try_from(length).unwrap_or(0).min(rest.len());
    let (header, body) = rest.split_at(length);
    let wait = edge::retry_after(&String::from_utf8_lossy(header), NOW.0);
    assert!(wait.is_none_or(|wait| wait <= LONGEST_WAIT));
    let answer = fcm::classify(status, body, wait);
    sane(&answer);
    earned(&answer, status);
}

/// A phase of the dialogue, then all that the relay says, to the end of the connection.
pub fn smtp(bytes: &[u8]) {
    let (phase, said) = number::<1>(bytes);
    let phases = [
        Phase::Greeting,
        Phase::Ehlo,
        Phase::StartTls,
        Phase::Auth,
        Phase::Mail,
        Phase::Rcpt,
        Phase::Data,
        Phase::Dot,
    ];
    let phase = phases[usize::try_from(phase).unwrap_or(0) % phases.len()];
    for (code, answer) in EXECUTOR.block_on(fuzzing::answers(said, phase)) {
        sane(&answer);
        let taken = phase == Phase::Dot && code / 100 == 2;
        assert_eq!(answer.outcome == AttemptOutcome::Accepted, taken, "{code}");
    }
}

/// Only success is success, and 200 is nothing else, whatever the body says.
fn earned(answer: &Answer, status: u16) {
    let accepted = answer.outcome == AttemptOutcome::Accepted;
    assert!(if accepted { status / 100 == 2 } else { status != 200 }, "{status}");
}

fn status(bytes: &[u8]) -> (u16, &[u8]) {
    let (status, rest) = number::<2>(bytes);
    (u16::try_from(status % 1_000).unwrap_or(0), rest)
}

/// What goes on into events, and from there to senders.
fn sane(answer: &Answer) {
    let name = answer.provider_id.as_deref().unwrap_or_default();
    assert!(name.len() <= LONGEST_NAME && !name.chars().any(char::is_control), "{name:?}");
    let (AttemptOutcome::Throttled { retry_after } | AttemptOutcome::Unavailable { retry_after }) =
        answer.outcome
    else {
        return;
    };
    assert!(retry_after.is_none_or(|wait| wait <= LONGEST_WAIT));
}
