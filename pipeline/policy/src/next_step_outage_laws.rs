//! A whole outage of one edge, in virtual time.

use std::time::Duration;

use Channel::{Apns, Email};

use super::*;

/// Walks a story through an outage of APNs until `back`, during which the edge is known to be down
/// for fifteen minutes at a time: when it is sent over which channel.
fn through_an_outage(story: Story, back: i64, jitter: f64) -> (i64, Channel) {
    let consent = all_allowed(&story);
    let mut now = at(1);
    loop {
        let until = now.plus(Duration::from_secs(900));
        let down: &[_] = if now < at(back) { &[(Apns, until)] } else { UP };
        match next_step(&story, &Facts { consent: &consent, down, here: Apns }, now) {
            Step::Send(channel) => {
                assert_eq!(story.tries, 0, "no try was burnt");
                return (now.0 / 1_000, channel);
            }
            Step::Wait { until, why } => {
                let dice = Dice { now, time_scale: 1.0, jitter };
                let woken = wake_at(&story, until, why, &dice);
                assert!(woken > now);
                now = woken;
            }
            step @ (Step::Finish { .. } | Step::End | Step::Hold) => panic!("{step:?}"),
        }
    }
}

/// Hazard H9, seen in most peers: retries burn out while the provider is down.
#[test]
fn an_outage_of_hours_burns_no_try_delays_no_mail_and_is_outlived() {
    let six_hours = 6 * 3_600;
    for jitter in [0.0, 0.3, 1.0] {
        let mut with_mailbox = a_story().untried(Apns).untried(Email).0;
        with_mailbox.deadline = at(10 * 3_600);
        let (sent, channel) = through_an_outage(with_mailbox, six_hours, jitter);
        assert!(channel == Email && sent <= 900, "{channel:?} at {sent}");
        let mut without = a_story().untried(Apns).0;
        without.deadline = at(10 * 3_600);
        let (sent, channel) = through_an_outage(without, six_hours, jitter);
        let late = six_hours..six_hours + 2 * 900 + 1;
        assert!(channel == Apns && late.contains(&sent), "{channel:?} at {sent}");
    }
}
