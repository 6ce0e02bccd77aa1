//! The mail that validates an address: whether it is still to be sent, and what its answer leaves.

use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::records::{CitizenProfile, MailboxValidation, Reason};

use crate::outcome::{Answer, AttemptOutcome};
use crate::retry;
use crate::story::Dice;

/// Sends that may leave. More than a notice has: nobody else tells the citizen, and with a relay that
/// answers "later" to each of them this lasts for more than an hour.
pub const MOST_TRIES: i32 = 12;

/// The asking and the change of the profile are written together and read apart: for so long after the
/// asking, a profile that is older than it may be one that the change has not reached yet.
const BEHIND: Duration = Duration::from_secs(60);

/// What is to be done about a validation that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Send,
    /// The profile may be older than the asking: look again soon.
    Look,
    /// Ends here.
    Over(Reason),
}

/// What is to be done after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Over(Reason),
    Again { until: Timestamp, why: Reason },
}

/// Whether the mail is still wanted, on today's profile.
///
/// Precedence: registration ended > another address, or none > validated already > too late > send. The
/// first two hold of a profile that knows of the asking, or may no longer be expected to.
#[must_use]
pub fn due(asked: &MailboxValidation, profile: Option<&CitizenProfile>, now: Timestamp) -> Due {
    let older = profile.is_none_or(|it| it.updated_at < asked.asked_at);
    let may_be_behind = older && now < asked.asked_at.plus(BEHIND);
    let over = |why| if may_be_behind { Due::Look } else { Due::Over(why) };
    let Some(profile) = profile.filter(|it| it.generation == asked.generation) else {
        return over(Reason::Erased);
    };
    if profile.email.as_ref() != Some(&asked.email) {
        return over(Reason::Superseded);
    }
    if profile.email_validated {
        return Due::Over(Reason::Finished);
    }
    if now > asked.until { Due::Over(Reason::Expired) } else { Due::Send }
}

/// Notes `answer`. `edge_rest` is how long a misconfigured edge is left alone. Misconfiguration and a
/// mail that never left burn no try; an unknown outcome is repeated once.
pub fn note(
    asked: &mut MailboxValidation,
    answer: &Answer,
    dice: &Dice,
    edge_rest: Duration,
) -> Next {
    let why = answer.reason;
    let left = answer.outcome != AttemptOutcome::Misconfigured && why != Reason::Unsent;
    asked.tries += i32::from(left);
    let tries = asked.tries;
    let again = |most: i32, floor: Option<Duration>| {
        if tries >= most {
            return Next::Over(why);
        }
        Next::Again { until: dice.later(retry::wait(tries.max(1), floor, dice.jitter)), why }
    };
    match answer.outcome {
        AttemptOutcome::Accepted | AttemptOutcome::AddressGone { .. } | AttemptOutcome::Refused => {
            Next::Over(why)
        }
        AttemptOutcome::Throttled { retry_after } => {
            again(MOST_TRIES, Some(retry_after.unwrap_or(retry::THROTTLED_FLOOR)))
        }
        AttemptOutcome::Unavailable { retry_after } => again(MOST_TRIES, retry_after),
        AttemptOutcome::Indeterminate => again(2, None),
        AttemptOutcome::Misconfigured => {
            Next::Again { until: dice.later(edge_rest.mul_f64(1.0 + dice.jitter)), why }
        }
    }
}

#[cfg(test)]
#[path = "mailbox_laws.rs"]
mod laws;
