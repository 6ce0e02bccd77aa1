//! What comes next for a notification: the one rule that every channel stage asks.

use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::records::{Reason, Status, Story, StoryTarget, TargetState};
use schemas::topics::Channel;

use crate::consent::{Consent, Permission};
use crate::retry;
use crate::story::Dice;

/// What the stage has just looked up.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The citizen's consent at this moment.
    pub consent: &'a Consent,
    /// Edges known to be down, and until when.
    pub down: &'a [(Channel, Timestamp)],
    /// The channel whose stage asks. Of two pushes that are alike its own comes first, or two stages
    /// that know different things would hand a story to and fro.
    pub here: Channel,
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
/// whose retry is due > email fallback > wait > finish as unnotified. No ending, and no longer wait,
/// before an answer that is still awaited: whatever the message ended as would be a guess.
///
/// A finished story still tries each untried device once, for a citizen's second phone should ring
/// too; it never retries, never mails, and says nothing final again.
#[must_use]
pub fn next_step(story: &Story, facts: &Facts<'_>, now: Timestamp) -> Step {
    let later = |until| Step::Wait { until, why: Reason::AnswerLater };
    match (without_awaiting(story, facts, now), awaited(story)) {
        (Step::Finish { .. } | Step::End, Some(answer)) => later(answer),
        (Step::Wait { until, .. }, Some(answer)) if answer <= until => later(answer),
        (step, _) => step,
    }
}

fn without_awaiting(story: &Story, facts: &Facts<'_>, now: Timestamp) -> Step {
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
    let Some(email) = view.next(Channel::Email) else {
        return view.next_push().map_or_else(|| exhausted(story), |push| wait(story, push));
    };
    let push = view.next_push();
    let email = match push {
        Some(push) if push.at <= story.fallback_at => email.not_before(story.fallback_at),
        Some(_) | None => email,
    };
    if email.at <= now {
        return Step::Send(Channel::Email);
    }
    wait(story, push.filter(|push| push.at <= email.at).unwrap_or(email))
}

/// When the last word about the earliest silent send is in: its answer, or that there is none. A moment
/// that has passed counts as well: the word has not been noted yet, and an ending would forget it.
fn awaited(story: &Story) -> Option<Timestamp> {
    let silent = |target: &&StoryTarget| target.state == TargetState::Pending;
    story.targets.iter().filter(silent).map(|it| it.retry_at).min()
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
        // Registered meanwhile and refuses no mail: the fallback address still takes the message.
        (Consent::Permitted(permission), None) if permission.mail_refused => {
            Err(Refusal::No { status: Status::NotOnBoard, reason: Reason::ConsentWithdrawn })
        }
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
fn wait(story: &Story, next: Due) -> Step {
    if next.at >= story.deadline {
        return expired(story);
    }
    Step::Wait { until: next.at, why: next.why }
}

/// When something may be done next, and what is waited for.
#[derive(Clone, Copy)]
struct Due {
    at: Timestamp,
    why: Reason,
}

impl Due {
    fn not_before(self, at: Timestamp) -> Self {
        if self.at < at { Self { at, why: Reason::FallbackLater } } else { self }
    }
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

    /// The pushes, the asking stage's own first.
    fn pushes(&self) -> impl Iterator<Item = Channel> + use<> {
        let here = self.facts.here;
        let own = PUSH.into_iter().filter(move |channel| *channel == here);
        own.chain(PUSH.into_iter().filter(move |channel| *channel != here))
    }

    fn untried_push(&self) -> Option<Channel> {
        self.pushes().find(|&channel| {
            self.is_up(channel)
                && self.open(channel).any(|target| target.state == TargetState::Untried)
        })
    }

    fn due_push(&self) -> Option<Channel> {
        self.pushes().find(|&channel| {
            self.is_up(channel)
                && self.open(channel).any(|target| is_due(self.story, target, self.now))
        })
    }

    /// When the next push may leave; absent when no push address is left.
    fn next_push(&self) -> Option<Due> {
        PUSH.into_iter().filter_map(|channel| self.next(channel)).min_by_key(|due| due.at)
    }

    fn next(&self, channel: Channel) -> Option<Due> {
        let ready = |target: &StoryTarget| match target.state {
            TargetState::Untried => self.now,
            TargetState::Retry | TargetState::Pending | TargetState::Closed => target.retry_at,
        };
        let (at, up) = (self.open(channel).map(ready).min()?, self.up_at(channel));
        let why =
            if channel == Channel::Email { Reason::FallbackLater } else { Reason::RetryLater };
        let why = if up > at.max(self.now) { Reason::ProviderOpen } else { why };
        Some(Due { at: at.max(up), why })
    }
}

/// Whether an address may still be tried at all.
fn is_open(target: &StoryTarget) -> bool {
    match target.state {
        TargetState::Untried | TargetState::Retry | TargetState::Pending => true,
        TargetState::Closed => false,
    }
}

/// Whether an address is to be served now: untried, or its retry is due. After the end nothing is retried,
/// not even beside an untried device of the same channel.
#[must_use]
pub fn is_due(story: &Story, target: &StoryTarget, now: Timestamp) -> bool {
    match target.state {
        TargetState::Untried => true,
        TargetState::Retry | TargetState::Pending => !story.finished && target.retry_at <= now,
        TargetState::Closed => false,
    }
}

/// A silent send's answer is looked for this often …
const LOOK: Duration = Duration::from_secs(10);
/// … and not more often than this in real time: however fast the clock is made to run, answers are not.
const LEAST_LOOK: Duration = Duration::from_secs(1);

/// When a story that waits for `why` until `until` is looked at again.
///
/// What waits for an edge that is down is spread, or all of it would be back at the moment at which
/// the edge may be up again: full jitter as long as the wait itself, but not past the moment at which
/// email is due. What waits for an answer is looked at in between.
#[must_use]
pub fn wake_at(story: &Story, until: Timestamp, why: Reason, dice: &Dice) -> Timestamp {
    let until = if why == Reason::ProviderOpen { spread(story, until, dice) } else { until };
    match awaited(story) {
        Some(_) => until.min(dice.later(LOOK).max(dice.now.plus(LEAST_LOOK))),
        None => until,
    }
}

fn spread(story: &Story, until: Timestamp, dice: &Dice) -> Timestamp {
    let scaled = |wait: Duration| dice.later(wait).since(dice.now);
    let wait = until.since(dice.now).clamp(scaled(retry::BASE), scaled(retry::CAP));
    let mailbox = story.targets.iter().any(|it| it.channel == Channel::Email && is_open(it));
    let bound = match mailbox && until < story.fallback_at {
        true => story.fallback_at.since(until),
        false => story.deadline.since(until) / 2,
    };
    until.plus(wait.min(bound).mul_f64(dice.jitter.clamp(0.0, 1.0)))
}

#[cfg(test)]
#[path = "next_step_laws.rs"]
mod laws;
