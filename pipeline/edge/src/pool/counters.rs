use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use h2::Reason;
use parking_lot::Mutex;

/// What a pool has done and where it stands, for metrics. Counts are since the pool was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub opened_total: u64,
    pub open_failures_total: u64,
    pub answers_total: u64,
    pub replays_total: Replays,
    /// GOAWAY frames by reason: a configured word, else the HTTP/2 code in lower case.
    pub goaways_total: BTreeMap<&'static str, u64>,
    /// Sends without an answer: time over, stream reset, connection lost.
    pub timeouts_total: u64,
    pub resets_total: u64,
    pub lost_total: u64,
    /// Connections declared dead because a PING stayed unanswered.
    pub dead_total: u64,
    /// Credentials replaced because the provider refused the old one.
    pub renewals_total: u64,
    /// Connections given out, and connections that only finish their streams.
    pub live: usize,
    pub draining: usize,
    pub streams_used: usize,
    pub streams_free: usize,
    pub waiting: usize,
}

/// Requests sent again because they were not processed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replays {
    pub refused_stream: u64,
    pub goaway: u64,
    pub never_sent: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub opened: Counter,
    pub open_failures: Counter,
    pub answers: Counter,
    pub refused_streams: Counter,
    pub replayed_goaways: Counter,
    pub never_sent: Counter,
    pub timeouts: Counter,
    pub resets: Counter,
    pub lost: Counter,
    pub dead: Counter,
    pub renewals: Counter,
    goaways: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Counts one GOAWAY and returns the label it was counted under.
    pub fn goaway(&self, error: &h2::Error, words: &[&'static str]) -> &'static str {
        let label = label(error, words);
        *self.goaways.lock().entry(label).or_default() += 1;
        label
    }

    /// The counts; the gauges are left at zero.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            opened_total: self.opened.get(),
            open_failures_total: self.open_failures.get(),
            answers_total: self.answers.get(),
            replays_total: Replays {
                refused_stream: self.refused_streams.get(),
                goaway: self.replayed_goaways.get(),
                never_sent: self.never_sent.get(),
            },
            goaways_total: self.goaways.lock().clone(),
            timeouts_total: self.timeouts.get(),
            resets_total: self.resets.get(),
            lost_total: self.lost.get(),
            dead_total: self.dead.get(),
            renewals_total: self.renewals.get(),
            ..Snapshot::default()
        }
    }
}

/// `h2` shows GOAWAY's debug data only inside the error's text, as an escaped byte string.
fn label(error: &h2::Error, words: &[&'static str]) -> &'static str {
    let text = error.to_string();
    words
        .iter()
        .find(|word| text.contains(&format!("\\\"{word}\\\"")))
        .copied()
        .unwrap_or_else(|| code(error.reason()))
}

fn code(reason: Option<Reason>) -> &'static str {
    match reason {
        Some(Reason::NO_ERROR) => "no_error",
        Some(Reason::PROTOCOL_ERROR) => "protocol_error",
        Some(Reason::INTERNAL_ERROR) => "internal_error",
        Some(Reason::FLOW_CONTROL_ERROR) => "flow_control_error",
        Some(Reason::SETTINGS_TIMEOUT) => "settings_timeout",
        Some(Reason::STREAM_CLOSED) => "stream_closed",
        Some(Reason::FRAME_SIZE_ERROR) => "frame_size_error",
        Some(Reason::REFUSED_STREAM) => "refused_stream",
        Some(Reason::CANCEL) => "cancel",
        Some(Reason::COMPRESSION_ERROR) => "compression_error",
        Some(Reason::CONNECT_ERROR) => "connect_error",
        Some(Reason::ENHANCE_YOUR_CALM) => "enhance_your_calm",
        Some(Reason::INADEQUATE_SECURITY) => "inadequate_security",
        Some(Reason::HTTP_1_1_REQUIRED) => "http_1_1_required",
        Some(_) | None => "other",
    }
}
