//! The address that the sender knows, for somebody who is not on board.

use super::*;

#[test]
fn a_fallback_story_mails_while_nobody_is_on_board_or_they_do_not_refuse() {
    let story = || a_story().fallback().untried(Email);
    check_consent(story(), &Consent::FallbackEmail, 1, Step::Send(Email));
    let registered = all_allowed(&a_story().0);
    check_consent(story(), &registered, 1, Step::Send(Email));
}

#[test]
fn a_refusal_of_somebody_registered_meanwhile_wins_over_the_fallback() {
    let story = || a_story().fallback().untried(Email);
    for reason in [Reason::NoProfile, Reason::InboxDisabled] {
        let no = Consent::NotOnBoard(reason);
        check_consent(story(), &no, 1, finish(Status::NotOnBoard, reason));
    }
    let no = Consent::Rejected(Reason::SenderBlocked);
    check_consent(story(), &no, 1, finish(Status::Rejected, Reason::SenderBlocked));
    let Consent::Permitted(permission) = all_allowed(&a_story().0) else { unreachable!() };
    let no = Consent::Permitted(Permission { mail_refused: true, ..permission });
    check_consent(story(), &no, 1, finish(Status::NotOnBoard, Reason::ConsentWithdrawn));
}

#[test]
fn a_fallback_story_that_fails_or_expires_ends_as_not_on_board() {
    let consent = Consent::FallbackEmail;
    let exhausted = finish(Status::NotOnBoard, Reason::ChainExhausted);
    check_consent(a_story().fallback().closed(Email), &consent, 1, exhausted);
    let expired = finish(Status::NotOnBoard, Reason::TimeToLive);
    check_consent(a_story().fallback().untried(Email), &consent, 3_600, expired);
}

#[test]
fn email_is_due_after_fifteen_minutes_or_half_the_time_to_live() {
    let fifteen = Duration::from_secs(900);
    assert_eq!(fallback_at(at(100), at(100 + 3_600), fifteen), at(1_000));
    assert_eq!(fallback_at(at(100), at(100 + 600), fifteen), at(400));
    assert_eq!(fallback_at(at(100), at(50), fifteen), at(100), "no time to live, no wait");
}
