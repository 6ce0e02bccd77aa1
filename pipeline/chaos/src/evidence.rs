//! What a run has left behind, gathered from outside: the sender's own notes, the events on the
//! log, the providers' books, and the faults with their times.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::records::{Channel, Decision, Event};

/// A message that the sender API took: it answered 201 with this id.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    pub id: String,
    /// Which message of the sample.
    pub sample: usize,
    /// When the 201 came, Unix milliseconds.
    pub at: i64,
}

/// A push or mail that a provider took.
#[derive(Debug, Clone, Serialize)]
pub struct Send {
    pub channel: Channel,
    /// Message id of a push, `Message-ID` of a mail.
    pub about: String,
    /// Device token or mailbox.
    pub address: String,
    /// By the provider's clock, which is ours: Unix milliseconds.
    pub at: i64,
}

/// A fault from its injection to its mending, Unix milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    pub what: String,
    pub from: i64,
    pub to: i64,
    /// Whoever sends on these was hurt: sends may be repeated around it.
    pub repeats: Vec<Channel>,
    /// Whoever sends was stopped in the middle of whatever it did, and went on from there.
    pub freezes: bool,
    /// Nobody could know a citizen's choice: nothing may be sent while it lasts.
    pub blinds: bool,
}

/// A citizen's refusal of a service through the citizen API, Unix milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    pub citizen: String,
    pub service: String,
    /// When the first request for it began.
    pub asked: i64,
    /// When its 200 came; `None` if none ever did, so nobody knows whether it stands.
    pub in_force: Option<i64>,
}

#[derive(Debug, Default)]
pub struct Evidence {
    pub taken: Vec<Taken>,
    /// Requests refused for good: status and count.
    pub refused: HashMap<u16, u64>,
    /// Messages the sender gave up on without an answer.
    pub given_up: u64,
    /// Requests that left and came back without 201 or refusal: each may have left a message.
    pub unanswered: u64,
    /// By message id, in the order in which the log holds them.
    pub events: HashMap<String, Vec<Event>>,
    pub decisions: Vec<Decision>,
    pub sends: Vec<Send>,
    /// What the providers' own counters say, and sends they could not keep.
    pub counted: HashMap<Channel, u64>,
    pub not_kept: u64,
    pub faults: Vec<Fault>,
    /// At most one of a citizen and a service.
    pub choices: Vec<Choice>,
    pub time_scale: f64,
}

impl Evidence {
    /// Writes what was gathered as JSON lines, for whoever looks into a finding.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        let lines = |name: &str, lines: &mut dyn Iterator<Item = serde_json::Result<String>>| {
            let text = lines.collect::<serde_json::Result<Vec<_>>>()?.join("\n");
            std::fs::write(folder.join(name), text).context("cannot keep the evidence")
        };
        let events = || self.events.values().flatten();
        lines("taken.ndjson", &mut self.taken.iter().map(serde_json::to_string))?;
        lines("events.ndjson", &mut events().map(serde_json::to_string))?;
        lines("choices.ndjson", &mut self.choices.iter().map(serde_json::to_string))?;
        lines("decisions.ndjson", &mut self.decisions.iter().map(serde_json::to_string))?;
        lines("sends.ndjson", &mut self.sends.iter().map(serde_json::to_string))
    }

    pub fn set_events(&mut self, events: Vec<Event>) {
        self.events.clear();
        for event in events {
            self.events.entry(event.message_id.clone()).or_default().push(event);
        }
    }
}

/// The moment in a ULID: its first ten characters, Crockford's base 32, are Unix milliseconds.
#[must_use]
pub fn minted_at(id: &str) -> Option<i64> {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit = |byte: u8| DIGITS.iter().position(|digit| *digit == byte);
    let digits = id.as_bytes().get(..10)?;
    digits.iter().try_fold(0_i64, |sum, byte| Some(sum * 32 + i64::try_from(digit(*byte)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ulid_says_when_it_was_made() {
        assert_eq!(minted_at("01HF7YAT00000000000000001A"), Some(1_700_000_000_000));
        assert_eq!(minted_at("01HF"), None);
        assert_eq!(minted_at("U1HF7YAT00"), None);
    }
}
