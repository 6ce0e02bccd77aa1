//! What comes next for a notification: the one rule that every channel stage asks.

use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::records::{Reason, Status, Story, StoryTarget, TargetState};
use schemas::topics::Channel;

use crate::consent::{Consent, Permission};

/// What the stage has just looked up.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The citizen's consent at this moment.
    pub consent: &'a Consent,
    /// Edges known to be down, and until when.
    pub down: &'a [(Channel, Timestamp)],
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Serve all untried or due addresses of this channel at once.
    Send(Channel),
    Wait {
        until: Timestamp,
        why: Reason,
    },
    /// The message's one final status.
    Finish {
        status: Status,
        reason: Reason,
    },
    /// The final status is out and no address is left to try.
    End,
    /// Nobody may guess about this citizen: our trouble, try again later.
    Hold,
}

/// The pushes that are tried in this order; email is what remains when they cannot.
const PUSH: [Channel; 2] = [Channel::Apns, Channel::Fcm];

/// When email is due at the latest: accepted + the smaller of 15 min and half the time to live.
#[must_use]
pub fn fallback_at(
    accepted: Timestamp,
    deadline: Timestamp,
    fifteen_minutes: Duration,
) -> Timestamp {
    accepted.plus(fifteen_minutes.min(deadline.since(accepted) / 2))
}

/// Precedence: held > finished > erased or opted out > expired > a channel not tried yet > a channel
/// whose retry is due > email fallback > wait > finish as unnotified.
///
/// A finished story still tries each untried device once, for a citizen's second phone should ring
/// too; it never retries, never mails, and says nothing final again.
#[must_use]
pub fn next_step(story: &Story, facts: &Facts<'_>, now: Timestamp) -> Step {
    let allowed = match allowed(story, facts.consent) {
        Ok(allowed) => allowed,
        Err(Refusal::Held) => return Step::Hold,
        Err(Refusal::No { .. }) if story.finished => return Step::End,
        Err(Refusal::No { status, reason }) => return Step::Finish { status, reason },
    };
    let view = View { story, facts, allowed, now };
    if story.finished {
        let next = if now < story.deadline { view.untried_push() } else { None };
        return next.map_or(Step::End, Step::Send);
    }
    if now >= story.deadline {
        return expired(story);
    }
    if let Some(channel) = view.untried_push().or_else(|| view.due_push()) {
        return Step::Send(channel);
    }
    match (view.next_push(), view.next_email()) {
        (push, Some(email)) => {
            let due = match push {
                Some(push) if push <= story.fallback_at => email.max(story.fallback_at),
                Some(_) | None => email,
            };
            if due <= now {
                return Step::Send(Channel::Email);
            }
            let until = push.map_or(due, |push| push.min(due));
            wait(story, until, push.is_some_and(|push| push <= due))
        }
        (Some(push), None) => wait(story, push, true),
        (None, None) => exhausted(story),
    }
}

enum Refusal {
    Held,
    No { status: Status, reason: Reason },
}

/// Which addresses today's consent leaves; `None` for the sender's own fallback address.
fn allowed<'a>(story: &Story, consent: &'a Consent) -> Result<Option<&'a Permission>, Refusal> {
    let withdrawn = Refusal::No { status: Status::Unnotified, reason: Reason::ConsentWithdrawn };
    match (consent, story.generation) {
        (Consent::Held, _) => Err(Refusal::Held),
        // Registered meanwhile and does not refuse: the fallback address still takes the message.
        (Consent::FallbackEmail | Consent::Permitted(_), None) => Ok(None),
        (Consent::Permitted(permission), Some(generation)) => {
            if permission.generation == generation { Ok(Some(permission)) } else { Err(withdrawn) }
        }
        (Consent::FallbackEmail | Consent::NotOnBoard(_) | Consent::Rejected(_), Some(_)) => {
            Err(withdrawn)
        }
        (Consent::NotOnBoard(reason), None) => {
            Err(Refusal::No { status: Status::NotOnBoard, reason: *reason })
        }
        (Consent::Rejected(reason), None) => {
            Err(Refusal::No { status: Status::Rejected, reason: *reason })
        }
    }
}

fn expired(story: &Story) -> Step {
    let status = if story.generation.is_some() { Status::Expired } else { Status::NotOnBoard };
    Step::Finish { status, reason: Reason::TimeToLive }
}

fn exhausted(story: &Story) -> Step {
    let tried = story.targets.iter().any(|target| target.tries > 0);
    let reason = if tried { Reason::ChainExhausted } else { Reason::NoChannel };
    let status = if story.generation.is_some() { Status::Unnotified } else { Status::NotOnBoard };
    Step::Finish { status, reason }
}

/// A try that could only fall beyond the deadline is none.
fn wait(story: &Story, until: Timestamp, push: bool) -> Step {
    if until >= story.deadline {
        return expired(story);
    }
    let why = if push { Reason::RetryLater } else { Reason::FallbackLater };
    Step::Wait { until, why }
}

struct View<'a> {
    story: &'a Story,
    facts: &'a Facts<'a>,
    allowed: Option<&'a Permission>,
    now: Timestamp,
}

impl View<'_> {
    /// Open addresses of a channel that today's consent leaves.
    fn open(&self, channel: Channel) -> impl Iterator<Item = &StoryTarget> {
        self.story.targets.iter().filter(move |target| {
            target.channel == channel
                && is_open(target)
                && self.allowed.is_none_or(|p| p.allows(channel, &target.installation))
        })
    }

    fn up_at(&self, channel: Channel) -> Timestamp {
        let down = self.facts.down.iter().find(|(down, _)| *down == channel);
        down.map_or(self.now, |(_, until)| (*until).max(self.now))
    }

    fn is_up(&self, channel: Channel) -> bool {
        self.up_at(channel) <= self.now
    }

    fn untried_push(&self) -> Option<Channel> {
        PUSH.into_iter().find(|&channel| {
            self.is_up(channel)
                && self.open(channel).any(|target| target.state == TargetState::Untried)
        })
    }

    fn due_push(&self) -> Option<Channel> {
        PUSH.into_iter().find(|&channel| {
            self.is_up(channel) && self.open(channel).any(|target| is_due(target, self.now))
        })
    }

    /// When the next push may leave; absent when no push address is left.
    fn next_push(&self) -> Option<Timestamp> {
        PUSH.into_iter().filter_map(|channel| self.next(channel)).min()
    }

    fn next_email(&self) -> Option<Timestamp> {
        self.next(Channel::Email)
    }

    fn next(&self, channel: Channel) -> Option<Timestamp> {
        let ready = |target: &StoryTarget| match target.state {
            TargetState::Untried => self.now,
            TargetState::Retry | TargetState::Pending | TargetState::Closed => target.retry_at,
        };
        self.open(channel).map(ready).min().map(|at| at.max(self.up_at(channel)))
    }
}

/// Whether an address may still be tried at all.
fn is_open(target: &StoryTarget) -> bool {
    match target.state {
        TargetState::Untried | TargetState::Retry | TargetState::Pending => true,
        TargetState::Closed => false,
    }
}

/// Whether an address is to be served now: untried, or its retry is due.
#[must_use]
pub fn is_due(target: &StoryTarget, now: Timestamp) -> bool {
    match target.state {
        TargetState::Untried => true,
        TargetState::Retry | TargetState::Pending => target.retry_at <= now,
        TargetState::Closed => false,
    }
}

#[cfg(test)]
#[path = "next_step_laws.rs"]
mod laws;
