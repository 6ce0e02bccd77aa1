//! A seat in a consumer group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Running;
use super::core::{Refusal, Request};
use super::faults::Call;
use super::fetch::{Budget, Stretch, fetch};
use super::group::Holder;
use super::state::State;
use crate::log::{CommitError, LogError, Member, Polled, Seat, TopicPartition, Transaction};

pub(super) struct EmbeddedMember {
    log: Arc<Running>,
    holder: Holder,
    /// Next offset of every partition owned.
    positions: BTreeMap<TopicPartition, u64>,
    paused: BTreeSet<TopicPartition>,
    /// Named as revoking: still owned, read no more.
    going: BTreeSet<TopicPartition>,
    /// Where the next poll begins, so that a full partition does not starve the others.
    first: usize,
}

impl EmbeddedMember {
    pub fn join(log: Arc<Running>, seat: &Seat) -> Result<Self, LogError> {
        let holder = {
            let mut state = log.core.state.lock();
            for topic in &seat.topics {
                state.topic(*topic)?;
            }
            let epoch = state.next_epoch();
            let (group, partitions) = state.group(&seat.group);
            group.sit(seat.ordinal, epoch, &seat.topics, partitions);
            Holder { group: seat.group.clone(), ordinal: seat.ordinal, epoch }
        };
        log.core.news.notify_all();
        Ok(Self {
            log,
            holder,
            positions: BTreeMap::new(),
            paused: BTreeSet::new(),
            going: BTreeSet::new(),
            first: 0,
        })
    }

    /// Gives away what was named, takes what is free, names what shall go.
    fn exchange(&mut self, state: &mut State, polled: &mut Polled) -> Result<(), LogError> {
        let Holder { group: name, ordinal, .. } = &self.holder;
        let (group, _) = state.group(name);
        if group.release(*ordinal) {
            self.log.core.news.notify_all();
        }
        for at in std::mem::take(&mut self.going) {
            self.positions.remove(&at);
            self.paused.remove(&at);
        }
        let free: Vec<_> = group
            .waiting(*ordinal)
            .into_iter()
            .filter(|at| !state.in_flight.contains(&(name.clone(), *at)))
            .collect();
        let starts = free.iter().map(|at| match state.committed(name, *at) {
            Some(offset) => Ok((*at, offset)),
            None => Err(LogError::Broken(format!(
                "group {name} has no offset for {}/{}: run `staffetta topics apply`",
                at.topic, at.partition
            ))),
        });
        let starts = starts.collect::<Result<Vec<_>, _>>()?;
        let (group, _) = state.group(name);
        for (at, offset) in starts {
            group.take(*ordinal, at);
            self.positions.insert(at, offset);
            polled.assigned.push(at);
        }
        // Last, so that nothing can fail between naming and telling.
        polled.revoking = group.revoke(*ordinal);
        self.going.extend(&polled.revoking);
        Ok(())
    }

    /// What can be read now of the partitions that are owned, stay, and are not paused.
    fn stretches(&self, state: &State) -> Result<Vec<Stretch>, LogError> {
        let mut stretches = Vec::new();
        for (at, from) in &self.positions {
            let bounds = state.bounds(*at);
            if !(bounds.start..=bounds.end).contains(from) {
                return Err(out_of_range(&self.holder.group, *at, *from));
            }
            if *from < bounds.end && !self.paused.contains(at) && !self.going.contains(at) {
                let place = state.topic(at.topic)?.place(at.partition);
                stretches.push(Stretch { at: *at, place, from: *from, end: bounds.end });
            }
        }
        Ok(stretches)
    }

    fn read(
        &mut self,
        stretches: &[Stretch],
        max: usize,
        polled: &mut Polled,
    ) -> Result<(), LogError> {
        let mut budget = Budget::of(max);
        let turn = self.first % stretches.len().max(1);
        self.first = self.first.wrapping_add(1);
        for stretch in stretches.iter().cycle().skip(turn).take(stretches.len()) {
            let store = &*self.log.core.store;
            let next = fetch(store, stretch, &mut budget, &mut polled.records)?;
            self.positions.insert(stretch.at, next);
        }
        Ok(())
    }

    /// Back to the committed offsets, as after a failed commit; they come back with `named`'s.
    fn rewind(&mut self, named: &[(TopicPartition, u64)]) -> Vec<(TopicPartition, u64)> {
        let state = self.log.core.state.lock();
        let group = self.holder.group.as_str();
        for (at, position) in &mut self.positions {
            if let Some(offset) = state.committed(group, *at) {
                *position = offset;
            }
        }
        let all: BTreeSet<TopicPartition> =
            self.positions.keys().copied().chain(named.iter().map(|(at, _)| *at)).collect();
        all.into_iter().filter_map(|at| Some((at, state.committed(group, at)?))).collect()
    }
}

impl Member for EmbeddedMember {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, LogError> {
        let log = Arc::clone(&self.log);
        let core = &log.core;
        let deadline = (!wait.is_zero()).then(|| Instant::now() + wait);
        let mut polled = Polled::default();
        loop {
            let mut state = core.state.lock();
            if !state.holds(&self.holder) {
                return Err(LogError::Fenced);
            }
            if state.fault(Call::Poll).is_some() {
                return Err(LogError::Unavailable("as was asked for".into()));
            }
            self.exchange(&mut state, &mut polled)?;
            let stretches = self.stretches(&state)?;
            let moved = !polled.assigned.is_empty() || !polled.revoking.is_empty();
            if stretches.is_empty() && !moved {
                let late = deadline
                    .is_none_or(|deadline| core.news.wait_until(&mut state, deadline).timed_out());
                if late {
                    return Ok(polled);
                }
                continue;
            }
            drop(state);
            self.read(&stretches, max, &mut polled)?;
            if moved || !polled.records.is_empty() || max == 0 {
                return Ok(polled);
            }
        }
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), CommitError> {
        let named = transaction.offsets.clone();
        let request = Request::Commit { holder: self.holder.clone(), transaction };
        let Err(refusal) = self.log.core.ask(request) else { return Ok(()) };
        let committed = self.rewind(&named);
        Err(match refusal {
            Refusal::Fenced => LogError::Fenced.into(),
            Refusal::Broken(why) | Refusal::StoreFailed(why) => LogError::Broken(why).into(),
            Refusal::Refused(why) | Refusal::Unknown(why) => {
                CommitError::Rewound { committed, why }
            }
        })
    }

    fn pause(&mut self, partition: TopicPartition, paused: bool) {
        if !paused {
            self.paused.remove(&partition);
        } else if self.positions.contains_key(&partition) {
            self.paused.insert(partition);
        }
    }

    fn committed(&mut self) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        let state = self.log.core.state.lock();
        let committed =
            |at: &TopicPartition| Some((*at, state.committed(&self.holder.group, *at)?));
        Ok(self.positions.keys().filter_map(committed).collect())
    }

    fn lag(&mut self) -> Vec<(TopicPartition, u64)> {
        let state = self.log.core.state.lock();
        let behind = |at: &TopicPartition, from: &u64| state.bounds(*at).end.saturating_sub(*from);
        self.positions.iter().map(|(at, from)| (*at, behind(at, from))).collect()
    }
}

impl Drop for EmbeddedMember {
    fn drop(&mut self) {
        let mut state = self.log.core.state.lock();
        let (group, partitions) = state.group(&self.holder.group);
        group.leave(self.holder.ordinal, self.holder.epoch, partitions);
        drop(state);
        self.log.core.news.notify_all();
    }
}

fn out_of_range(reader: &str, at: TopicPartition, from: u64) -> LogError {
    LogError::Broken(format!(
        "{reader} stands at {}/{}/{from}, which the log does not hold: records were removed unread, \
         or this is another log",
        at.topic, at.partition
    ))
}
