//! When a validation mail leaves, and what its answers leave behind.

use proptest::prelude::*;
use schemas::ids::{Generation, MessageId, Pseudonym};
use schemas::records::{Mode, NoticeType, Sealed, Version64};

use super::*;

const REST: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp(1_000_000);

fn asked() -> MailboxValidation {
    MailboxValidation {
        id: MessageId::from_parts(1, 1),
        citizen: Pseudonym([7; 16]),
        generation: Generation([1; 16]),
        email: Sealed(vec![1, 2, 3]),
        asked_at: Timestamp(0),
        until: NOW,
        tries: 0,
    }
}

/// A profile that still waits for the mail.
fn waiting() -> CitizenProfile {
    CitizenProfile {
        citizen: Pseudonym([7; 16]),
        generation: Generation([1; 16]),
        version: 4,
        inbox_enabled: true,
        push_enabled: false,
        email_enabled: true,
        email_validated: false,
        email: Some(Sealed(vec![1, 2, 3])),
        mode: Mode::Auto,
        settings_version: 0,
        blocked: std::collections::BTreeMap::new(),
        notice_type: NoticeType::Anonymous,
        languages: Vec::new(),
        reminders: false,
        accepted_tos_version: Version64(1.0),
        last_app_version: "1".into(),
        updated_at: Timestamp(0),
    }
}

fn check(profile: Option<CitizenProfile>, now: i64, expected: Due) {
    assert_eq!(due(&asked(), profile.as_ref(), Timestamp(now)), expected);
}

#[test]
fn a_mail_leaves_while_the_profile_waits_for_it_and_not_later() {
    check(Some(waiting()), NOW.0, Due::Send);
    check(Some(waiting()), NOW.0 + 1, Due::Over(Reason::Expired));
}

#[test]
fn nobody_on_board_beats_everything() {
    check(None, NOW.0 + 1, Due::Over(Reason::Erased));
    let email = Some(Sealed(vec![9]));
    let another = CitizenProfile { generation: Generation([2; 16]), email, ..waiting() };
    check(Some(another), NOW.0 + 1, Due::Over(Reason::Erased));
}

#[test]
fn a_profile_older_than_the_asking_is_looked_at_again_for_a_minute() {
    let asked_at = Timestamp(500_000);
    let asked = MailboxValidation { asked_at, ..asked() };
    let former = |updated_at| CitizenProfile { email: None, updated_at, ..waiting() };
    let another = CitizenProfile { generation: Generation([2; 16]), ..former(Timestamp(0)) };
    let check = |profile: Option<CitizenProfile>, now, expected| {
        assert_eq!(due(&asked, profile.as_ref(), Timestamp(now)), expected);
    };
    for now in [500_000, 559_999] {
        check(None, now, Due::Look);
        check(Some(another.clone()), now, Due::Look);
        check(Some(former(Timestamp(499_999))), now, Due::Look);
        check(Some(former(asked_at)), now, Due::Over(Reason::Superseded));
        check(Some(waiting()), now, Due::Send);
    }
    check(None, 560_000, Due::Over(Reason::Erased));
    check(Some(former(Timestamp(499_999))), 560_000, Due::Over(Reason::Superseded));
}

#[test]
fn another_address_beats_one_that_is_validated() {
    for email in [None, Some(Sealed(vec![9]))] {
        let profile = CitizenProfile { email, email_validated: true, ..waiting() };
        check(Some(profile), NOW.0, Due::Over(Reason::Superseded));
    }
}

#[test]
fn one_that_is_validated_beats_one_that_is_late() {
    let profile = CitizenProfile { email_validated: true, ..waiting() };
    check(Some(profile), NOW.0 + 1, Due::Over(Reason::Finished));
}

/// How often the mail may be sent when every answer is `outcome`, up to a bound.
fn sends(outcome: AttemptOutcome, why: Reason) -> usize {
    let mut asked = asked();
    let dice = Dice { now: NOW, time_scale: 1.0, jitter: 0.5 };
    let again = |_: &usize| {
        let next = note(&mut asked, &Answer::new(outcome, why), &dice, REST);
        matches!(next, Next::Again { .. })
    };
    1 + (0..100).take_while(again).count()
}

#[test]
fn sends_are_bounded_by_the_class_of_their_answers() {
    let none = None;
    for (outcome, why, expected) in [
        (AttemptOutcome::Accepted, Reason::Delivered, 1),
        (AttemptOutcome::AddressGone { since: None }, Reason::NoSuchMailbox, 1),
        (AttemptOutcome::Refused, Reason::MailPolicy, 1),
        (AttemptOutcome::Indeterminate, Reason::NoAnswer, 2),
        (AttemptOutcome::Throttled { retry_after: none }, Reason::Greylisted, 12),
        (AttemptOutcome::Unavailable { retry_after: none }, Reason::MailboxFull, 12),
        // A relay that is down ends nothing: time does.
        (AttemptOutcome::Unavailable { retry_after: none }, Reason::Unsent, 101),
        (AttemptOutcome::Misconfigured, Reason::Credential, 101),
    ] {
        assert_eq!(sends(outcome, why), expected, "{outcome:?} {why:?}");
    }
}

#[test]
fn a_misconfigured_edge_is_left_alone_for_its_rest_and_the_jitter() {
    let dice = Dice { now: NOW, time_scale: 60.0, jitter: 0.5 };
    let answer = Answer::new(AttemptOutcome::Misconfigured, Reason::Credential);
    let until = Timestamp(NOW.0 + 1_500);
    let expected = Next::Again { until, why: Reason::Credential };
    assert_eq!(note(&mut asked(), &answer, &dice, REST), expected);
}

proptest! {
    #[test]
    fn a_wait_is_never_below_the_relays(secs in 0_u64..4_000, jitter in 0.0..=1.0_f64) {
        let wait = Duration::from_secs(secs);
        let outcome = AttemptOutcome::Throttled { retry_after: Some(wait) };
        let dice = Dice { now: NOW, time_scale: 1.0, jitter };
        let answer = Answer::new(outcome, Reason::Greylisted);
        let Next::Again { until, .. } = note(&mut asked(), &answer, &dice, REST) else {
            panic!("a first try is not the last");
        };
        prop_assert!(until >= NOW.plus(wait));
    }
}
