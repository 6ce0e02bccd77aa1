//! What answers leave behind.

use Channel::{Apns, Email};
use proptest::prelude::*;
use schemas::ids::{MessageId, Pseudonym, ServiceId};
use schemas::records::{NoticeType, OutcomeKind, Sealed};
use schemas::topics::Lane;

use super::*;

const REST: Duration = Duration::from_secs(60);

fn a_story(channels: &[Channel]) -> Story {
    let target = |channel: &Channel| StoryTarget {
        channel: *channel,
        installation: "x".into(),
        state: TargetState::Untried,
        tries: 0,
        retry_at: Timestamp(0),
    };
    Story {
        message_id: MessageId::from_parts(1, 1),
        service_id: ServiceId::from("s"),
        citizen: Pseudonym([7; 16]),
        generation: None,
        lane: Lane::Live,
        batch: None,
        accepted_at: Timestamp(0),
        deadline: Timestamp(i64::MAX),
        fallback_at: Timestamp(0),
        special: false,
        secure_channels: false,
        full_notice: false,
        language: "it_IT".into(),
        notice_type: NoticeType::Full,
        targets: channels.iter().map(target).collect(),
        attempts: Vec::new(),
        tries: 0,
        epoch: 0,
        next_sequence: 0,
        finished: false,
        wrapped_key: Sealed(Vec::new()),
        notice: Sealed(Vec::new()),
        content: None,
    }
}

fn answered(story: &mut Story, channel: Channel, outcome: AttemptOutcome, reason: Reason) {
    let dice = Dice { now: Timestamp(1_000), time_scale: 1.0, jitter: 0.0 };
    note(story, channel, "x", &Answer::new(outcome, reason), &dice, REST);
}

/// State, tries and retry (ms) of the one address after `outcomes` in a row.
fn check(channel: Channel, outcomes: &[AttemptOutcome], expected: (TargetState, i32)) -> Story {
    let mut story = a_story(&[channel]);
    for outcome in outcomes {
        answered(&mut story, channel, *outcome, Reason::ServerError);
    }
    let target = &story.targets[0];
    assert_eq!((target.state, target.tries), expected, "{channel:?} {outcomes:?}");
    story
}

const TAKEN: AttemptOutcome = AttemptOutcome::Accepted;
const GONE: AttemptOutcome = AttemptOutcome::AddressGone { since: None };
const AWAY: AttemptOutcome = AttemptOutcome::Unavailable { retry_after: None };
const BUSY: AttemptOutcome = AttemptOutcome::Throttled { retry_after: None };
const SILENT: AttemptOutcome = AttemptOutcome::Indeterminate;
const OURS: AttemptOutcome = AttemptOutcome::Misconfigured;

#[test]
fn an_answer_that_settles_an_address_closes_it() {
    for outcome in [TAKEN, GONE, AttemptOutcome::Refused] {
        check(Apns, &[outcome], (TargetState::Closed, 1));
    }
}

#[test]
fn only_an_acceptance_finishes_a_story() {
    for outcome in [GONE, AttemptOutcome::Refused, AWAY, BUSY, SILENT, OURS] {
        assert!(!check(Apns, &[outcome], (state_after(outcome), tries_after(outcome))).finished);
    }
    assert!(check(Apns, &[TAKEN], (TargetState::Closed, 1)).finished);
}

fn state_after(outcome: AttemptOutcome) -> TargetState {
    if matches!(outcome, GONE | AttemptOutcome::Refused) {
        TargetState::Closed
    } else {
        TargetState::Retry
    }
}

fn tries_after(outcome: AttemptOutcome) -> i32 {
    i32::from(outcome != OURS)
}

#[test]
fn a_finished_story_stays_finished() {
    let mut story = a_story(&[Apns, Email]);
    answered(&mut story, Apns, TAKEN, Reason::Delivered);
    answered(&mut story, Email, AWAY, Reason::ServerError);
    assert!(story.finished);
}

#[test]
fn misconfiguration_burns_no_try_and_rests() {
    let story = check(Apns, &[OURS; 20], (TargetState::Retry, 0));
    assert_eq!((story.tries, story.targets[0].retry_at), (0, Timestamp(61_000)));
}

#[test]
fn a_request_that_never_left_burns_no_try() {
    let mut story = a_story(&[Apns]);
    for _ in 0..20 {
        answered(&mut story, Apns, AWAY, Reason::Unsent);
    }
    assert_eq!((story.tries, story.targets[0].tries), (0, 0));
    assert_eq!(story.targets[0].state, TargetState::Retry);
}

#[test]
fn an_email_of_unknown_outcome_is_repeated_once() {
    check(Email, &[SILENT], (TargetState::Retry, 1));
    check(Email, &[SILENT, SILENT], (TargetState::Closed, 2));
}

#[test]
fn a_push_of_unknown_outcome_is_repeated_as_any_other() {
    check(Apns, &[SILENT; 7], (TargetState::Retry, 7));
    check(Apns, &[SILENT; 8], (TargetState::Closed, 8));
}

#[test]
fn tries_are_bounded() {
    for outcome in [AWAY, BUSY] {
        check(Apns, &[outcome; 7], (TargetState::Retry, 7));
        check(Apns, &[outcome; 8], (TargetState::Closed, 8));
        check(Email, &[outcome; 3], (TargetState::Retry, 3));
        check(Email, &[outcome; 4], (TargetState::Closed, 4));
    }
}

#[test]
fn the_providers_wait_is_a_floor_and_shrinks_with_the_time_scale() {
    let outcome = AttemptOutcome::Throttled { retry_after: Some(Duration::from_secs(120)) };
    for (time_scale, jitter, expected) in
        [(1.0, 0.0, 121_000), (1.0, 1.0, 131_000), (60.0, 0.0, 3_000)]
    {
        let mut story = a_story(&[Apns]);
        let dice = Dice { now: Timestamp(1_000), time_scale, jitter };
        note(&mut story, Apns, "x", &Answer::new(outcome, Reason::Quota), &dice, REST);
        assert_eq!(story.targets[0].retry_at, Timestamp(expected));
    }
}

#[test]
fn a_silent_send_burns_nothing_until_its_answer_or_its_absence_is_known() {
    let mut story = a_story(&[Apns, Email]);
    hand_over(&mut story, Apns, "x", Timestamp(11_000));
    let awaited = StoryTarget {
        state: TargetState::Pending,
        retry_at: Timestamp(11_000),
        ..a_story(&[Apns]).targets[0].clone()
    };
    assert_eq!((story.targets[0].clone(), story.tries), (awaited, 0));
    assert_eq!(story.targets[1], a_story(&[Email]).targets[0], "its neighbour is left alone");
    assert!(story.attempts.is_empty());
}

#[test]
fn a_late_answer_counts_as_one_in_time() {
    for outcome in [TAKEN, GONE, AWAY, BUSY, OURS] {
        let (mut late, mut in_time) = (a_story(&[Apns]), a_story(&[Apns]));
        hand_over(&mut late, Apns, "x", Timestamp(900));
        answered(&mut late, Apns, outcome, Reason::ServerError);
        answered(&mut in_time, Apns, outcome, Reason::ServerError);
        // Of a closed address nothing but that counts.
        in_time.targets[0].retry_at = in_time.targets[0].retry_at.max(Timestamp(900));
        assert_eq!(late, in_time, "{outcome:?}");
    }
}

#[test]
fn silence_is_repeated_and_for_email_once() {
    for (channel, tries) in [(Apns, MAX_PUSH_TRIES), (Email, 2)] {
        let mut story = a_story(&[channel]);
        for _ in 0..tries {
            assert_ne!(story.targets[0].state, TargetState::Closed);
            hand_over(&mut story, channel, "x", Timestamp(900));
            let dice = Dice { now: Timestamp(1_000), time_scale: 1.0, jitter: 0.0 };
            note(&mut story, channel, "x", &silence(), &dice, REST);
        }
        assert_eq!(story.targets[0].state, TargetState::Closed, "{channel:?}");
    }
}

#[test]
fn throttling_without_a_wait_rests_a_minute() {
    let story = check(Apns, &[BUSY], (TargetState::Retry, 1));
    assert_eq!(story.targets[0].retry_at, Timestamp(61_000));
}

#[test]
fn an_answer_about_an_unknown_address_changes_nothing() {
    let mut story = a_story(&[Apns]);
    let before = story.clone();
    answered(&mut story, Email, TAKEN, Reason::Delivered);
    assert_eq!(story, before);
}

#[test]
fn the_newest_attempts_are_remembered() {
    let mut story = a_story(&[Apns, Email]);
    answered(&mut story, Email, GONE, Reason::NoSuchMailbox);
    for _ in 0..REMEMBERED {
        answered(&mut story, Apns, OURS, Reason::Credential);
    }
    let kinds: Vec<_> = story.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(kinds, vec![OutcomeKind::Misconfigured; REMEMBERED]);
}

proptest! {
    #[test]
    fn a_wait_within_the_deadline_is_honoured_within_it(
        floor in 0..100_000u64, left in 1..200_000i64, jitter in 0.0..=1.0f64,
    ) {
        let mut story = a_story(&[Apns]);
        story.deadline = Timestamp(1_000 + left);
        let retry_after = Some(Duration::from_millis(floor));
        let dice = Dice { now: Timestamp(1_000), time_scale: 1.0, jitter };
        let answer = Answer::new(AttemptOutcome::Unavailable { retry_after }, Reason::ServerError);
        note(&mut story, Apns, "x", &answer, &dice, REST);
        let earliest = Timestamp(1_000 + i64::try_from(floor).unwrap());
        let retry_at = story.targets[0].retry_at;
        prop_assert!(retry_at >= earliest);
        prop_assert_eq!(retry_at < story.deadline, earliest < story.deadline);
    }

    #[test]
    fn no_answers_send_more_than_the_bound(answers in prop::collection::vec(0..7usize, 0..40)) {
        let all = [TAKEN, GONE, AttemptOutcome::Refused, AWAY, BUSY, SILENT, OURS];
        for (channel, most) in [(Apns, MAX_PUSH_TRIES), (Email, MAX_EMAIL_TRIES)] {
            let mut story = a_story(&[channel]);
            for answer in &answers {
                if story.targets[0].state != TargetState::Closed {
                    answered(&mut story, channel, all[*answer], Reason::ServerError);
                }
            }
            prop_assert!(story.targets[0].tries <= most);
            prop_assert_eq!(story.tries, story.targets[0].tries);
        }
    }
}
