//! What the round gave to whom, for operators.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy::batch::fair::Demand;
use schemas::ids::Timestamp;

use crate::batch::metrics::BatchMetrics;

const WINDOW: Duration = Duration::from_secs(10);

/// Rows by sender in the current window, and who had some waiting in all of it.
#[derive(Default)]
pub struct Shares {
    began: Timestamp,
    took: BTreeMap<String, u64>,
    all_along: BTreeSet<String>,
}

impl Shares {
    pub fn took(&mut self, sender: &str, rows: u64) {
        *self.took.entry(sender.to_owned()).or_default() += rows;
    }

    /// At the end of a window says how the least and the most favoured sender fared, then begins anew.
    pub fn report(
        &mut self,
        demands: &BTreeMap<String, Demand>,
        now: Timestamp,
        metrics: &BatchMetrics,
    ) {
        self.all_along.retain(|sender| demands.contains_key(sender));
        if now.since(self.began) < WINDOW {
            return;
        }
        let weight = |sender: &String| demands.get(sender).map_or(1, |demand| demand.weight);
        let weights: u64 = self.all_along.iter().map(|sender| u64::from(weight(sender))).sum();
        let rows = |sender: &String| self.took.get(sender).copied().unwrap_or(0);
        let all: u64 = self.all_along.iter().map(rows).sum();
        let of_just = |sender: &String| {
            let just = all.saturating_mul(u64::from(weight(sender))) / weights.max(1);
            i64::try_from(rows(sender).saturating_mul(1_000) / just.max(1)).unwrap_or(i64::MAX)
        };
        if all > 0 {
            let shares = || self.all_along.iter().map(of_just);
            let least = shares().min().unwrap_or(1_000);
            let most = shares().max().unwrap_or(1_000);
            metrics.share.with_label_values(&["least"]).set(least);
            metrics.share.with_label_values(&["most"]).set(most);
        }
        *self = Self {
            began: now,
            took: BTreeMap::new(),
            all_along: demands.keys().cloned().collect(),
        };
    }
}
