//! What a silent send was answered in the end, left for the story that went on without it.
//!
//! A hint is a convenience, never the truth: whoever finds none takes the send for one of unknown
//! outcome and repeats it under the same ids. So hints expire, are bounded, and may be lost.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use policy::outcome::{Answer, AttemptOutcome};
use schemas::ids::{MessageId, Timestamp};
use schemas::records::{OutcomeKind, Reason};
use serde::{Deserialize, Serialize};

use crate::view::ViewError;

/// Stories come back within seconds; an hour covers a stage that was down meanwhile.
pub(super) const KEPT: Duration = Duration::from_secs(3_600);
/// In one process's memory; beyond it the oldest is forgotten.
const MOST: usize = 100_000;

/// Which send a hint is about. Another send of the same message to the same address is awaited until
/// another moment, so it has another id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HintId {
    pub message: MessageId,
    /// Derived from message and address, opaque.
    pub send_id: String,
    /// Until when its story awaits the answer.
    pub until: Timestamp,
}

/// A late answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub answer: Answer,
    /// Whether a dead address in it may be believed, by the guard of the edge that was told.
    pub believed: bool,
}

/// Where hints lie.
#[async_trait]
pub trait Hints: Send + Sync {
    /// Leaves `hint` for an hour; of two the later counts.
    ///
    /// # Errors
    /// `Down`: lost.
    async fn leave(&self, id: &HintId, hint: &Hint) -> Result<(), ViewError>;

    /// What was left under each id, in their order.
    ///
    /// # Errors
    /// `Down`.
    async fn found(&self, ids: &[HintId]) -> Result<Vec<Option<Hint>>, ViewError>;
}

/// As it lies in Redis: JSON.
#[derive(Serialize, Deserialize)]
struct Written {
    outcome: OutcomeKind,
    reason: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_id: Option<String>,
    believed: bool,
}

impl Hint {
    pub(super) fn write(&self) -> String {
        let (since, wait) = match self.answer.outcome {
            AttemptOutcome::AddressGone { since } => (since, None),
            AttemptOutcome::Throttled { retry_after }
            | AttemptOutcome::Unavailable { retry_after } => (None, retry_after),
            AttemptOutcome::Accepted
            | AttemptOutcome::Refused
            | AttemptOutcome::Misconfigured
            | AttemptOutcome::Indeterminate => (None, None),
        };
        let written = Written {
            outcome: self.answer.outcome.kind(),
            reason: self.answer.reason,
            since,
            retry_after_ms: wait.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
            provider_id: self.answer.provider_id.clone(),
            believed: self.believed,
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// `None` for what nobody here has written: as good as no hint.
    pub(super) fn read(text: &str) -> Option<Self> {
        let it: Written = serde_json::from_str(text).ok()?;
        let retry_after = it.retry_after_ms.map(Duration::from_millis);
        let outcome = match it.outcome {
            OutcomeKind::Accepted => AttemptOutcome::Accepted,
            OutcomeKind::AddressGone => AttemptOutcome::AddressGone { since: it.since },
            OutcomeKind::Refused => AttemptOutcome::Refused,
            OutcomeKind::Throttled => AttemptOutcome::Throttled { retry_after },
            OutcomeKind::Unavailable => AttemptOutcome::Unavailable { retry_after },
            OutcomeKind::Misconfigured => AttemptOutcome::Misconfigured,
            OutcomeKind::Indeterminate => AttemptOutcome::Indeterminate,
            OutcomeKind::Other => return None,
        };
        let answer = Answer { outcome, reason: it.reason, provider_id: it.provider_id };
        Some(Self { answer, believed: it.believed })
    }
}

/// Hints in this process's memory.
#[derive(Default)]
pub(super) struct Held {
    hints: HashMap<HintId, Hint>,
    order: VecDeque<(Timestamp, HintId)>,
}

impl Held {
    pub(super) fn leave(&mut self, id: &HintId, hint: &Hint, now: Timestamp) {
        self.forget(now);
        if self.hints.insert(id.clone(), hint.clone()).is_none() {
            self.order.push_back((now, id.clone()));
        }
    }

    pub(super) fn found(&mut self, id: &HintId, now: Timestamp) -> Option<Hint> {
        self.forget(now);
        self.hints.get(id).cloned()
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.order.front() {
            if now.since(*at) < KEPT && self.order.len() < MOST {
                break;
            }
            if let Some((_, id)) = self.order.pop_front() {
                self.hints.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(outcome: AttemptOutcome) -> Hint {
        let provider_id = Some("eabeae54".to_owned());
        let answer = Answer { provider_id, ..Answer::new(outcome, Reason::ServerError) };
        Hint { answer, believed: true }
    }

    fn id(until: i64) -> HintId {
        let message = MessageId::from_parts(1, 1);
        HintId { message, send_id: "a".into(), until: Timestamp(until) }
    }

    #[test]
    fn every_answer_reads_back_as_it_was_left() {
        let wait = Some(Duration::from_millis(1_500));
        for outcome in [
            AttemptOutcome::Accepted,
            AttemptOutcome::AddressGone { since: None },
            AttemptOutcome::AddressGone { since: Some(Timestamp(7)) },
            AttemptOutcome::Refused,
            AttemptOutcome::Throttled { retry_after: wait },
            AttemptOutcome::Unavailable { retry_after: wait },
            AttemptOutcome::Misconfigured,
            AttemptOutcome::Indeterminate,
        ] {
            let left = Hint { believed: outcome == AttemptOutcome::Accepted, ..hint(outcome) };
            assert_eq!(Hint::read(&left.write()), Some(left));
        }
    }

    #[test]
    fn a_strangers_words_are_no_hint() {
        for text in ["", "{}", r#"{"outcome":"new","reason":"none","believed":true}"#] {
            assert_eq!(Hint::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_hint_is_found_under_its_own_send_until_it_expires() {
        let mut held = Held::default();
        let accepted = hint(AttemptOutcome::Accepted);
        held.leave(&id(1), &accepted, Timestamp(0));
        assert_eq!(held.found(&id(1), Timestamp(3_599_999)), Some(accepted));
        assert_eq!(held.found(&id(2), Timestamp(1)), None, "another send");
        assert_eq!(held.found(&id(1), Timestamp(3_600_000)), None);
        assert!(held.hints.is_empty() && held.order.is_empty());
    }

    #[test]
    fn of_two_hints_the_later_counts_and_memory_is_bounded() {
        let mut held = Held::default();
        let refused = hint(AttemptOutcome::Refused);
        held.leave(&id(0), &hint(AttemptOutcome::Accepted), Timestamp(0));
        held.leave(&id(0), &refused, Timestamp(0));
        assert_eq!(held.found(&id(0), Timestamp(0)), Some(refused.clone()));
        for n in 1..=i64::try_from(MOST).unwrap() {
            held.leave(&id(n), &refused, Timestamp(0));
        }
        assert!(held.hints.len() <= MOST && held.order.len() == held.hints.len());
        assert_eq!(held.found(&id(0), Timestamp(0)), None, "the oldest is forgotten");
    }
}
