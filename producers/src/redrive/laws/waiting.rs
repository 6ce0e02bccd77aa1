//! Letters of records that waited in `delay.*`.

use runtime::dead::Original;
use schemas::headers::Headers;
use schemas::ids::Generation;
use schemas::records::{MailboxValidation, NoticeType, Story, StoryTarget, TargetState};
use schemas::topics::{Channel, DelayClass};

use super::*;

fn story() -> Story {
    let accepted = accepted(id());
    let target = StoryTarget {
        channel: Channel::Fcm,
        installation: "one".into(),
        state: TargetState::Untried,
        tries: 0,
        retry_at: Timestamp(0),
    };
    Story {
        message_id: accepted.message_id,
        service_id: accepted.service_id,
        citizen: accepted.citizen,
        generation: None,
        lane: Lane::Bulk,
        batch: None,
        accepted_at: accepted.accepted_at,
        deadline: accepted.expires_at,
        fallback_at: accepted.expires_at,
        special: false,
        secure_channels: false,
        full_notice: false,
        language: "it_IT".into(),
        notice_type: NoticeType::Anonymous,
        targets: vec![target],
        attempts: Vec::new(),
        tries: 0,
        epoch: 0,
        next_sequence: 0,
        finished: false,
        wrapped_key: Sealed(vec![1]),
        notice: Sealed(vec![2]),
        content: None,
    }
}

fn validation() -> MailboxValidation {
    MailboxValidation {
        id: id(),
        citizen: Pseudonym([1; 16]),
        generation: Generation([2; 16]),
        email: Sealed(vec![3]),
        asked_at: NOW,
        until: NOW,
        tries: 0,
    }
}

/// Where a letter of `delay.1h.bulk` goes that said it would return to `back`.
fn check(value: Vec<u8>, back: Option<&str>, expected: Topic) {
    let return_to = back.map(str::to_owned);
    let headers = Headers { return_to, ..Headers::default() }.to_raw();
    let original = Original { key: b"citizen".to_vec(), value, headers };
    let waited = Topic::Delay(DelayClass::OneHour, Lane::Bulk).name();
    let sent = again(waited, Some(id()), original, None, None, &Codec::default());
    assert_eq!(sent.map(|it| it.topic), Ok(expected), "{back:?}");
}

/// Left in its delay topic it would be set aside again, and again after every mending.
#[test]
fn a_letter_that_waited_and_knows_no_way_back_goes_to_its_reader_at_once() {
    let (story, validation) =
        (Codec::default().encode(&story()), Codec::default().encode(&validation()));
    let waits = Topic::Delay(DelayClass::OneHour, Lane::Bulk);
    let email = Topic::Attempt(Channel::Email, Lane::Bulk);
    check(story.clone(), Some(email.name()), waits);
    for lost in [None, Some(""), Some("no-topic")] {
        check(story.clone(), lost, Topic::Attempt(Channel::Fcm, Lane::Bulk));
        check(validation.clone(), lost, Topic::Validation);
    }
}
