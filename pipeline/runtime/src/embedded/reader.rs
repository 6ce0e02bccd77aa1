//! Reading all partitions of some topics without a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::topics::Topic;

use super::Running;
use super::fetch::{Budget, Stretch, fetch};
use super::state::State;
use super::values::Bounds;
use crate::log::{LogError, Read, Reader, Start, TopicPartition};

#[derive(Debug, Clone, Copy)]
struct Progress {
    next: u64,
    /// The end at `next` was told.
    told: bool,
}

pub(super) struct EmbeddedReader {
    log: Arc<Running>,
    progress: BTreeMap<TopicPartition, Progress>,
    first: usize,
}

impl EmbeddedReader {
    pub fn open(log: Arc<Running>, topics: &[Topic], start: &Start) -> Result<Self, LogError> {
        let mut progress = BTreeMap::new();
        let state = log.core.state.lock();
        for topic in topics {
            for partition in 0..state.topic(*topic)?.partitions() {
                let at = TopicPartition { topic: *topic, partition };
                let bounds = state.bounds(at);
                let named = |offsets: &[(TopicPartition, u64)]| {
                    offsets.iter().find(|(named, _)| *named == at).map(|(_, offset)| *offset)
                };
                let next = match start {
                    Start::Beginning => Some(bounds.start),
                    Start::End => Some(bounds.end),
                    Start::At(offsets) => Some(named(offsets).unwrap_or(bounds.start)),
                    Start::Only(offsets) => named(offsets),
                };
                let Some(next) = next else { continue };
                progress.insert(at, Progress { next, told: false });
            }
        }
        drop(state);
        Ok(Self { log, progress, first: 0 })
    }

    fn stretches(&self, state: &State) -> Result<Vec<Stretch>, LogError> {
        let mut stretches = Vec::new();
        for (at, Progress { next, .. }) in &self.progress {
            let bounds = in_range(state, *at, *next)?;
            if *next < bounds.end {
                let place = state.topic(at.topic)?.place(at.partition);
                stretches.push(Stretch { at: *at, place, from: *next, end: bounds.end });
            }
        }
        Ok(stretches)
    }

    /// Tells the ends that were reached and are still the ends.
    fn tell_ends(&mut self, state: &State, read: &mut Read) {
        for (at, progress) in &mut self.progress {
            let whole = progress.next == state.bounds(*at).end && !state.rewriting.contains(at);
            if whole && !progress.told {
                progress.told = true;
                read.ended.push((*at, progress.next));
            }
        }
    }
}

impl Reader for EmbeddedReader {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Read, LogError> {
        let log = Arc::clone(&self.log);
        let core = &log.core;
        let deadline = (!wait.is_zero()).then(|| Instant::now() + wait);
        let mut read = Read::default();
        loop {
            let stretches = self.stretches(&core.state.lock())?;
            let mut budget = Budget::of(max);
            let turn = self.first % stretches.len().max(1);
            self.first = self.first.wrapping_add(1);
            for stretch in stretches.iter().cycle().skip(turn).take(stretches.len()) {
                let next = fetch(&*core.store, stretch, &mut budget, &mut read.records)?;
                if next > stretch.from {
                    self.progress.insert(stretch.at, Progress { next, told: false });
                }
            }
            let mut state = core.state.lock();
            for stretch in &stretches {
                // Removed while being read: what came may have a gap.
                in_range(&state, stretch.at, stretch.from)?;
            }
            self.tell_ends(&state, &mut read);
            if !read.records.is_empty() || !read.ended.is_empty() || max == 0 {
                return Ok(read);
            }
            if self.progress.iter().any(|(at, p)| p.next != state.bounds(*at).end) {
                continue;
            }
            let late = deadline
                .is_none_or(|deadline| core.news.wait_until(&mut state, deadline).timed_out());
            if late {
                return Ok(read);
            }
        }
    }
}

fn in_range(state: &State, at: TopicPartition, next: u64) -> Result<Bounds, LogError> {
    let bounds = state.bounds(at);
    if (bounds.start..=bounds.end).contains(&next) {
        return Ok(bounds);
    }
    Err(LogError::Broken(format!(
        "{}/{}/{next} is not in the log: records were removed unread, or this is another log",
        at.topic, at.partition
    )))
}
