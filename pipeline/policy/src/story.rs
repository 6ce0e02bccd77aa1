//! What an answer writes into a story.

use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::records::{Attempt, Reason, Story, StoryTarget, TargetState};
use schemas::topics::Channel;

use crate::outcome::{Answer, AttemptOutcome};
use crate::retry::{self, MAX_EMAIL_TRIES, MAX_PUSH_TRIES};

/// Attempts that a story remembers; older ones live in the status events.
pub const REMEMBERED: usize = 8;

/// How a story's clock runs and falls.
#[derive(Debug, Clone, Copy)]
pub struct Dice {
    pub now: Timestamp,
    /// 1 in production.
    pub time_scale: f64,
    /// In 0..=1.
    pub jitter: f64,
}

impl Dice {
    pub(crate) fn later(&self, wait: Duration) -> Timestamp {
        self.now.plus(wait.div_f64(self.time_scale))
    }
}

/// A send to one address left and is silent: its story goes on without the answer, which is awaited
/// until `until`. Nothing is burnt yet: the answer, or its absence, is [`note`]d when it is known.
pub fn hand_over(story: &mut Story, channel: Channel, installation: &str, until: Timestamp) {
    let found = story.targets.iter_mut().find(|it| is_at(it, channel, installation));
    if let Some(target) = found {
        target.state = TargetState::Pending;
        target.retry_at = until;
    }
}

/// What a silent send counts as once its answer can no longer come.
#[must_use]
pub fn silence() -> Answer {
    Answer::new(AttemptOutcome::Indeterminate, Reason::NoAnswer)
}

fn is_at(target: &StoryTarget, channel: Channel, installation: &str) -> bool {
    target.channel == channel && target.installation == installation
}

/// Notes `answer` of one address. `edge_rest` is how long a misconfigured edge is left alone.
///
/// Misconfiguration and a request that never left burn no try.
pub fn note(
    story: &mut Story,
    channel: Channel,
    installation: &str,
    answer: &Answer,
    dice: &Dice,
    edge_rest: Duration,
) {
    let deadline = story.deadline;
    let found = story.targets.iter_mut().find(|it| is_at(it, channel, installation));
    let Some(target) = found else { return };
    let left = answer.outcome != AttemptOutcome::Misconfigured && answer.reason != Reason::Unsent;
    if left {
        target.tries += 1;
        story.tries += 1;
    }
    settle(target, answer, deadline, dice, edge_rest);
    story.finished |= answer.outcome == AttemptOutcome::Accepted;
    story.attempts.push(Attempt {
        channel,
        outcome: answer.outcome.kind(),
        reason: answer.reason,
        at: dice.now,
    });
    if story.attempts.len() > REMEMBERED {
        story.attempts.remove(0);
    }
}

fn settle(
    target: &mut StoryTarget,
    answer: &Answer,
    deadline: Timestamp,
    dice: &Dice,
    edge_rest: Duration,
) {
    let again = |target: &mut StoryTarget, floor: Option<Duration>| {
        let most = if target.channel == Channel::Email { MAX_EMAIL_TRIES } else { MAX_PUSH_TRIES };
        if target.tries >= most {
            target.state = TargetState::Closed;
        } else {
            target.state = TargetState::Retry;
            target.retry_at = retry_at(target.tries.max(1), floor, deadline, dice);
        }
    };
    match answer.outcome {
        AttemptOutcome::Accepted | AttemptOutcome::AddressGone { .. } | AttemptOutcome::Refused => {
            target.state = TargetState::Closed
        }
        AttemptOutcome::Throttled { retry_after } => {
            again(target, Some(retry_after.unwrap_or(retry::THROTTLED_FLOOR)));
        }
        AttemptOutcome::Unavailable { retry_after } => again(target, retry_after),
        // The mail may lie in the box already: one repeat under the same Message-ID, no more.
        AttemptOutcome::Indeterminate if target.channel == Channel::Email && target.tries >= 2 => {
            target.state = TargetState::Closed;
        }
        AttemptOutcome::Indeterminate => again(target, None),
        AttemptOutcome::Misconfigured => {
            target.state = TargetState::Retry;
            target.retry_at = dice.later(edge_rest.mul_f64(1.0 + dice.jitter));
        }
    }
}

/// When the next try is due. A floor within the deadline is honoured within it: the jitter takes no
/// more than half of what is left.
fn retry_at(tries: i32, floor: Option<Duration>, deadline: Timestamp, dice: &Dice) -> Timestamp {
    let earliest = dice.later(retry::wait(tries, floor, 0.0));
    let drawn = dice.later(retry::wait(tries, floor, dice.jitter));
    let left = deadline.since(earliest).mul_f64(0.5 * dice.jitter);
    drawn.min(earliest.plus(left))
}

#[cfg(test)]
#[path = "story_laws.rs"]
mod laws;
