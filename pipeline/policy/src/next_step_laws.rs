//! One law for each line of the precedence, and for what hangs on it.

use Channel::{Apns, Email, Fcm};
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId};
use schemas::records::{NoticeType, Sealed, Target};
use schemas::topics::Lane;

use super::*;

#[path = "next_step_fallback_laws.rs"]
mod fallback;
#[path = "next_step_outage_laws.rs"]
mod outage;

const MINE: Generation = Generation([1; 16]);
const OTHER: Generation = Generation([2; 16]);

/// Seconds after the acceptance.
fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000)
}

/// Accepted at 0, deadline 3600, email due at 900, no targets.
struct Build(Story);

fn a_story() -> Build {
    Build(Story {
        message_id: MessageId::from_parts(1, 1),
        service_id: ServiceId::from("s"),
        citizen: Pseudonym([7; 16]),
        generation: Some(MINE),
        lane: Lane::Live,
        batch: None,
        accepted_at: at(0),
        deadline: at(3_600),
        fallback_at: at(900),
        special: false,
        secure_channels: false,
        full_notice: true,
        language: "it_IT".into(),
        notice_type: NoticeType::Full,
        targets: Vec::new(),
        attempts: Vec::new(),
        tries: 0,
        epoch: 0,
        next_sequence: 2,
        finished: false,
        wrapped_key: Sealed(Vec::new()),
        notice: Sealed(Vec::new()),
        content: None,
    })
}

impl Build {
    fn target(mut self, channel: Channel, state: TargetState, retry_at: i64) -> Self {
        let n = self.0.targets.len();
        let installation = if channel == Email { String::new() } else { format!("device-{n}") };
        let tries = i32::from(state != TargetState::Untried);
        let retry_at = at(retry_at);
        self.0.targets.push(StoryTarget { channel, installation, state, tries, retry_at });
        self.0.tries += tries;
        self
    }

    fn untried(self, channel: Channel) -> Self {
        self.target(channel, TargetState::Untried, 0)
    }

    fn retry(self, channel: Channel, retry_at: i64) -> Self {
        self.target(channel, TargetState::Retry, retry_at)
    }

    /// A send left and is silent; nothing can come any more after `until`.
    fn pending(self, channel: Channel, until: i64) -> Self {
        self.target(channel, TargetState::Pending, until)
    }

    fn closed(self, channel: Channel) -> Self {
        self.target(channel, TargetState::Closed, 0)
    }

    fn finished(mut self) -> Self {
        self.0.finished = true;
        self
    }

    /// The recipient is not on board: the sender's fallback address takes the message.
    fn fallback(mut self) -> Self {
        self.0.generation = None;
        self
    }
}

/// Today's consent leaves every address of the story.
fn all_allowed(story: &Story) -> Consent {
    let target =
        |it: &StoryTarget| Target { channel: it.channel, installation: it.installation.clone() };
    Consent::Permitted(Permission {
        generation: MINE,
        version: 1,
        notice_type: NoticeType::Full,
        language: "it_IT".into(),
        targets: story.targets.iter().map(target).collect(),
        mail_refused: false,
    })
}

const UP: &[(Channel, Timestamp)] = &[];

fn check_with(
    story: &Story,
    consent: &Consent,
    down: &[(Channel, Timestamp)],
    now: i64,
    expected: Step,
) {
    let step = next_step(story, &Facts { consent, down, here: Apns }, at(now));
    assert_eq!(step, expected, "at {now} s");
}

fn check(story: Build, down: &[(Channel, Timestamp)], now: i64, expected: Step) {
    check_with(&story.0, &all_allowed(&story.0), down, now, expected);
}

fn check_consent(story: Build, consent: &Consent, now: i64, expected: Step) {
    check_with(&story.0, consent, UP, now, expected);
}

fn finish(status: Status, reason: Reason) -> Step {
    Step::Finish { status, reason }
}

fn wait(until: i64, why: Reason) -> Step {
    Step::Wait { until: at(until), why }
}

fn withdrawn() -> Step {
    finish(Status::Unnotified, Reason::ConsentWithdrawn)
}

fn expired() -> Step {
    finish(Status::Expired, Reason::TimeToLive)
}

// The precedence, pair by pair.

#[test]
fn held_beats_finished() {
    check_consent(a_story().untried(Apns).finished(), &Consent::Held, 1, Step::Hold);
}

#[test]
fn held_beats_expired() {
    check_consent(a_story().untried(Apns), &Consent::Held, 4_000, Step::Hold);
}

#[test]
fn finished_beats_opted_out() {
    let no = Consent::Rejected(Reason::SenderBlocked);
    check_consent(a_story().untried(Apns).finished(), &no, 1, Step::End);
}

#[test]
fn opted_out_beats_expired() {
    let no = Consent::Rejected(Reason::SenderBlocked);
    check_consent(a_story().untried(Apns), &no, 4_000, withdrawn());
}

/// Hazard H24, seen in Netflix: a notification comes hours after its moment.
#[test]
fn expired_beats_a_channel_not_tried_yet() {
    check(a_story().untried(Apns).untried(Email), UP, 3_600, expired());
    check(a_story().untried(Apns).untried(Email), UP, 3_599, Step::Send(Apns));
}

#[test]
fn a_channel_not_tried_yet_beats_one_whose_retry_is_due() {
    check(a_story().retry(Apns, 10).untried(Fcm), UP, 20, Step::Send(Fcm));
}

#[test]
fn a_due_retry_beats_email() {
    check(a_story().retry(Fcm, 950).untried(Email), UP, 1_000, Step::Send(Fcm));
}

#[test]
fn due_email_beats_waiting_for_a_push() {
    check(a_story().retry(Apns, 1_500).untried(Email), UP, 1_000, Step::Send(Email));
}

#[test]
fn waiting_beats_ending_unnotified() {
    check(a_story().retry(Apns, 50), UP, 20, wait(50, Reason::RetryLater));
}

#[test]
fn a_story_that_tried_all_in_vain_ends_unnotified() {
    let ended = finish(Status::Unnotified, Reason::ChainExhausted);
    check(a_story().closed(Apns).closed(Email), UP, 20, ended);
}

#[test]
fn a_story_with_nobody_to_reach_ends_unnotified_for_want_of_a_channel() {
    check(a_story(), UP, 1, finish(Status::Unnotified, Reason::NoChannel));
}

// When email is due.

#[test]
fn email_waits_for_a_push_that_may_still_succeed_before_the_fallback() {
    check(a_story().retry(Apns, 30).untried(Email), UP, 20, wait(30, Reason::RetryLater));
    check(a_story().retry(Apns, 30).untried(Email), UP, 30, Step::Send(Apns));
}

#[test]
fn email_is_due_at_the_fallback_at_the_latest() {
    let down = [(Apns, at(900))];
    check(a_story().retry(Apns, 30).untried(Email), &down, 899, wait(900, Reason::ProviderOpen));
    let down = [(Apns, at(2_000))];
    check(a_story().retry(Apns, 30).untried(Email), &down, 900, Step::Send(Email));
}

#[test]
fn email_is_due_at_once_when_no_push_is_left() {
    check(a_story().closed(Apns).untried(Email), UP, 1, Step::Send(Email));
    check(a_story().untried(Email), UP, 1, Step::Send(Email));
}

#[test]
fn email_is_due_at_once_when_the_next_push_lies_beyond_the_fallback() {
    check(a_story().retry(Apns, 901).untried(Email), UP, 1, Step::Send(Email));
    check(a_story().retry(Apns, 900).untried(Email), UP, 1, wait(900, Reason::RetryLater));
}

#[test]
fn an_email_retry_is_waited_for() {
    check(a_story().closed(Apns).retry(Email, 60), UP, 20, wait(60, Reason::FallbackLater));
    check(a_story().closed(Apns).retry(Email, 60), UP, 60, Step::Send(Email));
}

#[test]
fn the_earlier_of_two_push_retries_is_waited_for() {
    check(a_story().retry(Apns, 80).retry(Fcm, 40), UP, 20, wait(40, Reason::RetryLater));
}

#[test]
fn of_pushes_alike_the_asking_stages_own_comes_first() {
    let check = |story: Build, here, expected| {
        let facts = Facts { consent: &all_allowed(&story.0), down: UP, here };
        assert_eq!(next_step(&story.0, &facts, at(20)), Step::Send(expected), "{here:?}");
    };
    for (here, first) in [(Apns, Apns), (Fcm, Fcm), (Email, Apns)] {
        check(a_story().untried(Apns).untried(Fcm), here, first);
        check(a_story().retry(Apns, 10).retry(Fcm, 10), here, first);
    }
    check(a_story().untried(Apns).retry(Fcm, 10), Fcm, Apns);
}

// Answers that are still awaited.

fn answer(until: i64) -> Step {
    wait(until, Reason::AnswerLater)
}

#[test]
fn an_awaited_answer_beats_every_ending() {
    check(a_story().pending(Apns, 40).finished(), UP, 20, answer(40));
    check(a_story().pending(Apns, 3_610), UP, 3_605, answer(3_610));
    let no = Consent::Rejected(Reason::SenderBlocked);
    check_consent(a_story().pending(Apns, 40), &no, 20, answer(40));
    check_consent(a_story().fallback().pending(Email, 40), &no, 20, answer(40));
}

#[test]
fn held_beats_an_awaited_answer() {
    check_consent(a_story().pending(Apns, 40), &Consent::Held, 20, Step::Hold);
}

#[test]
fn an_awaited_answer_holds_no_other_channel_up() {
    check(a_story().pending(Apns, 40).untried(Fcm), UP, 20, Step::Send(Fcm));
    check(a_story().pending(Apns, 40).untried(Fcm).finished(), UP, 20, Step::Send(Fcm));
    check(a_story().pending(Apns, 910).untried(Email), UP, 900, Step::Send(Email));
}

#[test]
fn a_silent_push_may_still_succeed_so_email_waits_for_its_answer_before_the_fallback() {
    check(a_story().pending(Apns, 40).untried(Email), UP, 20, answer(40));
}

#[test]
fn nothing_longer_is_waited_for_than_an_awaited_answer() {
    check(a_story().pending(Apns, 40).retry(Fcm, 60), UP, 20, answer(40));
    check(a_story().pending(Apns, 40).retry(Fcm, 30), UP, 20, wait(30, Reason::RetryLater));
}

#[test]
fn an_answer_that_can_no_longer_come_counts_as_a_retry() {
    check(a_story().pending(Apns, 40), UP, 40, Step::Send(Apns));
}

#[test]
fn no_ending_comes_before_the_last_word_about_a_silent_send_is_noted() {
    check(a_story().pending(Apns, 40), UP, 3_600, answer(40));
    check(a_story().pending(Apns, 40).finished(), UP, 60, answer(40));
}

// When a waiting story is looked at again.

fn check_wake(story: Build, now: i64, wait: (i64, Reason), (scale, jitter): (f64, f64), ms: i64) {
    let dice = Dice { now: at(now), time_scale: scale, jitter };
    assert_eq!(wake_at(&story.0, at(wait.0), wait.1, &dice), Timestamp(ms), "{wait:?} {jitter}");
}

#[test]
fn a_retry_is_looked_at_when_it_is_due() {
    for why in [Reason::RetryLater, Reason::FallbackLater] {
        check_wake(a_story().retry(Apns, 80), 20, (80, why), (1.0, 1.0), 80_000);
    }
}

#[test]
fn an_answer_is_looked_for_every_ten_seconds_and_in_the_end() {
    let look = |now, scale, ms| {
        let awaited = (60, Reason::AnswerLater);
        check_wake(a_story().pending(Email, 60), now, awaited, (scale, 0.0), ms);
    };
    look(20, 1.0, 30_000);
    look(55, 1.0, 60_000);
    look(20, 2.0, 25_000);
    // Real answers do not hurry with the clock.
    look(20, 1_000.0, 21_000);
}

#[test]
fn what_waits_for_a_down_edge_does_not_come_back_together() {
    let open = |until| (until, Reason::ProviderOpen);
    let story = || a_story().untried(Apns);
    check_wake(story(), 100, open(160), (1.0, 0.0), 160_000);
    check_wake(story(), 100, open(160), (1.0, 0.5), 190_000);
    check_wake(story(), 100, open(160), (1.0, 1.0), 220_000);
    // A probe's second is too short a span for a crowd, a day too long.
    check_wake(story(), 100, open(101), (1.0, 1.0), 111_000);
    check_wake(story(), 100, open(1_600), (1.0, 1.0), 2_500_000);
}

#[test]
fn a_spread_wait_ends_when_email_is_due_and_leaves_half_the_time_before_the_deadline() {
    let open = |until| (until, Reason::ProviderOpen);
    check_wake(a_story().untried(Apns).untried(Email), 100, open(880), (1.0, 1.0), 900_000);
    check_wake(a_story().untried(Apns), 100, open(3_500), (1.0, 1.0), 3_550_000);
}

// Edges that are down.

#[test]
fn a_down_edge_hands_over_to_the_next_channel() {
    let down = [(Apns, at(100))];
    check(a_story().untried(Apns).untried(Fcm), &down, 1, Step::Send(Fcm));
    check(a_story().retry(Apns, 1).retry(Fcm, 1), &down, 1, Step::Send(Fcm));
}

#[test]
fn an_edge_down_beyond_the_fallback_hands_over_to_email_at_once() {
    check(a_story().untried(Apns).untried(Email), &[(Apns, at(901))], 1, Step::Send(Email));
}

#[test]
fn a_down_edge_is_waited_for_when_nothing_else_is_left() {
    let down = [(Apns, at(100))];
    check(a_story().untried(Apns), &down, 1, wait(100, Reason::ProviderOpen));
    check(a_story().untried(Apns), &down, 100, Step::Send(Apns));
}

#[test]
fn an_email_edge_that_is_down_is_waited_for() {
    check(a_story().untried(Email), &[(Email, at(70))], 1, wait(70, Reason::ProviderOpen));
}

#[test]
fn a_retry_that_is_due_later_than_its_edge_is_back_waits_for_itself() {
    check(a_story().retry(Apns, 200), &[(Apns, at(100))], 1, wait(200, Reason::RetryLater));
}

#[test]
fn an_outage_of_both_edges_ends_with_the_earlier() {
    let down = [(Apns, at(300)), (Fcm, at(100))];
    check(a_story().untried(Apns).untried(Fcm), &down, 1, wait(100, Reason::ProviderOpen));
}

// The deadline.

#[test]
fn a_try_beyond_the_deadline_is_none() {
    check(a_story().retry(Apns, 3_600), UP, 20, expired());
    check(a_story().untried(Apns), &[(Apns, at(3_601))], 20, expired());
    check(a_story().closed(Apns).retry(Email, 3_599), UP, 20, wait(3_599, Reason::FallbackLater));
    check(a_story().closed(Apns).retry(Email, 3_600), UP, 20, expired());
}

// Stories that are finished.

#[test]
fn a_finished_story_still_rings_each_untried_device() {
    check(a_story().closed(Apns).untried(Fcm).finished(), UP, 20, Step::Send(Fcm));
}

#[test]
fn a_finished_story_retries_nothing_and_mails_nobody() {
    let story = || a_story().closed(Apns).retry(Fcm, 10).untried(Email).finished();
    check(story(), UP, 20, Step::End);
    check(story(), UP, 2_000, Step::End);
}

#[test]
fn a_finished_story_retries_no_device_beside_an_untried_one() {
    let story = |finished| Story { finished, ..a_story().retry(Apns, 10).untried(Apns).0 };
    let due = |story: Story| story.targets.iter().filter(|it| is_due(&story, it, at(20))).count();
    assert_eq!((due(story(false)), due(story(true))), (2, 1));
}

#[test]
fn a_finished_story_does_not_wait_for_an_edge_that_is_down() {
    check(a_story().closed(Apns).untried(Fcm).finished(), &[(Fcm, at(50))], 20, Step::End);
}

#[test]
fn a_finished_story_ends_silently_at_its_deadline() {
    check(a_story().closed(Apns).untried(Fcm).finished(), UP, 3_600, Step::End);
}

// What the citizen says now.

#[test]
fn every_no_of_somebody_on_board_ends_with_the_same_words() {
    let noes = [
        Consent::NotOnBoard(Reason::NoProfile),
        Consent::NotOnBoard(Reason::InboxDisabled),
        Consent::Rejected(Reason::SenderBlocked),
        Consent::Rejected(Reason::NotActivated),
        Consent::FallbackEmail,
    ];
    for no in noes {
        check_consent(a_story().untried(Apns), &no, 1, withdrawn());
    }
}

#[test]
fn a_permission_of_another_registration_is_none() {
    let story = a_story().untried(Apns);
    let Consent::Permitted(permission) = all_allowed(&story.0) else { unreachable!() };
    let other = Consent::Permitted(Permission { generation: OTHER, ..permission });
    check_consent(story, &other, 1, withdrawn());
}

#[test]
fn an_address_that_consent_no_longer_leaves_is_passed_over() {
    let story = a_story().untried(Apns).untried(Email);
    let Consent::Permitted(mut permission) = all_allowed(&story.0) else { unreachable!() };
    permission.targets.retain(|target| target.channel == Email);
    check_consent(story, &Consent::Permitted(permission), 1, Step::Send(Email));
}
