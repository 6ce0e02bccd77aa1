//! The seven classes of a provider's answer, and what each leaves in a story.

use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::records::{OutcomeKind, Reason};

/// What a provider's answer means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The provider took it; never called delivered.
    Accepted,
    /// Dead since then; a later registration outlives it. Without `since`: since the send.
    AddressGone { since: Option<Timestamp> },
    /// This notification will never pass.
    Refused,
    /// Slow down; the wait is the provider's, unscaled.
    Throttled { retry_after: Option<Duration> },
    /// A passing fault on the provider's side, with the wait it asked for.
    Unavailable { retry_after: Option<Duration> },
    /// Our credential, key, right or environment is wrong: no attempt burnt.
    Misconfigured,
    /// The request left, no answer came: repeat with the same ids.
    Indeterminate,
}

impl AttemptOutcome {
    /// The class as records and metrics name it.
    #[must_use]
    pub fn kind(self) -> OutcomeKind {
        match self {
            Self::Accepted => OutcomeKind::Accepted,
            Self::AddressGone { .. } => OutcomeKind::AddressGone,
            Self::Refused => OutcomeKind::Refused,
            Self::Throttled { .. } => OutcomeKind::Throttled,
            Self::Unavailable { .. } => OutcomeKind::Unavailable,
            Self::Misconfigured => OutcomeKind::Misconfigured,
            Self::Indeterminate => OutcomeKind::Indeterminate,
        }
    }
}

/// A classified answer with its cause and the provider's own id of what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub outcome: AttemptOutcome,
    pub reason: Reason,
    pub provider_id: Option<String>,
}

impl Answer {
    #[must_use]
    pub fn new(outcome: AttemptOutcome, reason: Reason) -> Self {
        Self { outcome, reason, provider_id: None }
    }

    /// Notes a wait that the provider asked for beside its answer; the longer of two counts.
    pub fn wait_at_least(&mut self, wait: Option<Duration>) {
        match &mut self.outcome {
            AttemptOutcome::Throttled { retry_after }
            | AttemptOutcome::Unavailable { retry_after } => *retry_after = wait.max(*retry_after),
            AttemptOutcome::Accepted
            | AttemptOutcome::AddressGone { .. }
            | AttemptOutcome::Refused
            | AttemptOutcome::Misconfigured
            | AttemptOutcome::Indeterminate => {}
        }
    }
}

/// Not processed by the provider: no try is burnt.
#[must_use]
pub fn unsent(retry_after: Option<Duration>) -> Answer {
    Answer::new(AttemptOutcome::Unavailable { retry_after }, Reason::Unsent)
}

/// The class of an HTTP status whose reason nobody knows.
#[must_use]
pub fn by_status_class(status: u16) -> Answer {
    let outcome = match status {
        200..=299 => AttemptOutcome::Accepted,
        401 | 403 => AttemptOutcome::Misconfigured,
        410 => AttemptOutcome::AddressGone { since: None },
        429 => AttemptOutcome::Throttled { retry_after: None },
        500..=599 => AttemptOutcome::Unavailable { retry_after: None },
        _ => AttemptOutcome::Refused,
    };
    Answer::new(outcome, Reason::UnknownAnswer)
}
