//! What lies on the log.

use std::sync::LazyLock;
use std::time::Duration;

use policy::consent::Consent;
use policy::next_step::{Facts, next_step};
use policy::outcome::{Answer, AttemptOutcome};
use policy::story::{Dice, note};
use schemas::codec::{Codec, Record};
use schemas::headers::{Headers, RawHeaders};
use schemas::ids::Timestamp;
use schemas::records as r;
use schemas::topics::Channel;

use super::number;

/// With an id for every subject, so that both framings are written and read.
static CONFLUENT: LazyLock<Codec> = LazyLock::new(|| {
    let subjects = [r::Story::SUBJECT, r::MessageAccepted::SUBJECT, r::CitizenProfile::SUBJECT];
    let ids = subjects.iter().map(|subject| (*subject).to_owned()).zip((1_u32..).map(Into::into));
    Codec::with_registry_ids(ids.collect())
});

/// The bytes as a record of each kind, framed either way.
pub fn record(bytes: &[u8]) {
    round::<r::MessageAccepted>(bytes);
    round::<r::MessagePermitted>(bytes);
    round::<r::MessageStored>(bytes);
    round::<r::MessageStatus>(bytes);
    round::<r::MessageDecision>(bytes);
    round::<r::CitizenProfile>(bytes);
    round::<r::CitizenKeyRecord>(bytes);
    round::<r::Preference>(bytes);
    round::<r::Activation>(bytes);
    round::<r::Unsubscribe>(bytes);
    round::<r::Device>(bytes);
    round::<r::DeviceDeath>(bytes);
    round::<r::CitizenErased>(bytes);
    round::<r::MailboxValidation>(bytes);
    round::<r::ServiceRecord>(bytes);
    round::<r::TransitKeyRecord>(bytes);
    round::<r::DeadLetter>(bytes);
    round::<r::DeadResolution>(bytes);
    if let Some(story) = round::<r::Story>(bytes) {
        told_on(story);
    }
}

/// What can be read is written to bytes that read as the same.
fn round<R: Record>(bytes: &[u8]) -> Option<R> {
    for codec in [&Codec::default(), &*CONFLUENT] {
        if let Ok(record) = codec.decode::<R>(bytes) {
            let written = codec.encode(&record);
            let again: R = codec.decode(&written).expect("what was written reads");
            assert!(codec.encode(&again) == written, "{} changes as it is read", R::SUBJECT);
            return Some(record);
        }
    }
    None
}

/// Whatever a story says, the rules have an answer: a stage that panicked would hold its partition.
fn told_on(mut story: r::Story) {
    let now = Timestamp(1_700_000_000_000);
    let dice = Dice { now, time_scale: 1.0, jitter: 0.5 };
    let consent = Consent::Held;
    let down = [(Channel::Apns, Timestamp(now.0 + 1))];
    for here in Channel::ALL {
        let _ = next_step(&story, &Facts { consent: &consent, down: &down, here }, now);
    }
    let answer = AttemptOutcome::Unavailable { retry_after: Some(Duration::from_secs(60)) };
    let answer = Answer::new(answer, r::Reason::ServerError);
    let addresses: Vec<_> =
        story.targets.iter().map(|it| (it.channel, it.installation.clone())).collect();
    for (channel, installation) in addresses {
        note(&mut story, channel, &installation, &answer, &dice, Duration::from_secs(60));
    }
    let _ = Codec::default().encode(&story);
}

/// Names and values, each behind its length; and the same bytes as a record that was set aside.
pub fn headers(bytes: &[u8]) {
    let mut raw = RawHeaders::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let name;
        (name, rest) = part(rest);
        let value;
        (value, rest) = part(rest);
        raw.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
    }
    let headers = Headers::from_raw(&raw);
    assert_eq!(Headers::from_raw(&headers.to_raw()), headers);
    let _ =
        runtime::dead::failed(&headers, r::Reason::Undecodable, &Codec::default(), Timestamp(0));
    let _ = runtime::dead::original(bytes);
}

fn part(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = number::<1>(bytes);
    let length = usize::try_from(length).unwrap_or(0).min(rest.len());
    rest.split_at(length)
}
