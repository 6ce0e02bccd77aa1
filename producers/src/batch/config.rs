//! What may be configured about batches.

use serde::{Deserialize, Serialize};

/// Bounds of uploads and of the release.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Rows of one chunk at most; so many are lost to memory at once when an upload breaks off.
    pub chunk_rows: usize,
    /// Bytes of one chunk at most.
    pub chunk_bytes: usize,
    /// Uploads at once, for this process; each holds three chunks at most.
    pub uploads: usize,
    /// For the next byte of an upload to arrive.
    pub upload_idle_ms: u64,
    /// Rows of one batch that are held against each other to find repeated ones.
    pub remembered_rows: usize,
    /// For the owner of a batch to answer an order.
    pub answer_within_ms: u64,
    /// Records waiting in the bulk lane, all stages together; at so many no row is released.
    pub backlog_records: u64,
    /// Rows of one transaction of the release.
    pub release_rows: u64,
    /// Rows that a sender's turn brings, times its weight.
    pub quantum_rows: u64,
    /// How long a batch is known after its last change; then one that is not over is cancelled.
    pub keep_days: u32,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            chunk_rows: 1_000,
            chunk_bytes: 4 << 20,
            uploads: 8,
            upload_idle_ms: 30_000,
            remembered_rows: 4_000_000,
            answer_within_ms: 10_000,
            backlog_records: 20_000,
            release_rows: 1_000,
            quantum_rows: 100,
            keep_days: 30,
        }
    }
}

impl BatchConfig {
    /// What is wrong, each with its key and the fix.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let longest = super::rows::LONGEST_ROW;
        if !(2 * longest..=12 << 20).contains(&self.chunk_bytes) {
            faults.push(format!("chunk_bytes must lie between {} and {}", 2 * longest, 12 << 20));
        }
        let counts = [
            ("chunk_rows", self.chunk_rows as u64),
            ("uploads", self.uploads as u64),
            ("upload_idle_ms", self.upload_idle_ms),
            ("answer_within_ms", self.answer_within_ms),
            ("backlog_records", self.backlog_records),
            ("release_rows", self.release_rows),
            ("quantum_rows", self.quantum_rows),
        ];
        for (key, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            faults.push(format!("{key} is 0: it must be at least 1"));
        }
        // The keys that open rows live ninety days; a paused batch needs them to its end.
        if !(1..=30).contains(&self.keep_days) {
            faults.push("keep_days must lie between 1 and 30: rows' keys live for 90".to_owned());
        }
        faults
    }
}
