//! Which position first brought each message, remembered for a bounded while.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use runtime::log::Position;
use schemas::ids::{MessageId, Timestamp};

/// First sightings, oldest forgotten first.
pub(crate) struct Seen {
    kept: Duration,
    most: usize,
    positions: HashMap<MessageId, Position>,
    order: VecDeque<(Timestamp, MessageId)>,
}

impl Seen {
    /// Remembers for `kept`, and never more than `most`.
    pub(crate) fn new(kept: Duration, most: usize) -> Self {
        Self { kept, most, positions: HashMap::new(), order: VecDeque::new() }
    }

    /// Where `message` was seen first: here, if it was never seen.
    pub(crate) fn first(&mut self, message: MessageId, here: Position, now: Timestamp) -> Position {
        self.forget(now);
        if let Some(known) = self.positions.get(&message) {
            return *known;
        }
        self.positions.insert(message, here);
        self.order.push_back((now, message));
        here
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, message)) = self.order.front().copied() {
            if now.since(at) <= self.kept && self.order.len() <= self.most {
                break;
            }
            self.order.pop_front();
            self.positions.remove(&message);
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::log::TopicPartition;
    use schemas::topics::{Lane, Topic};

    use super::*;

    fn at(offset: u64) -> Position {
        Position { at: TopicPartition { topic: Topic::Accepted(Lane::Live), partition: 0 }, offset }
    }

    #[test]
    fn the_first_sighting_is_what_is_remembered() {
        let mut seen = Seen::new(Duration::from_secs(1), 10);
        let id = MessageId::from_parts(1, 1);
        assert_eq!(seen.first(id, at(4), Timestamp(0)), at(4));
        assert_eq!(seen.first(id, at(9), Timestamp(1_000)), at(4));
    }

    #[test]
    fn a_sighting_is_forgotten_after_its_time_and_beyond_the_bound() {
        let mut seen = Seen::new(Duration::from_secs(1), 2);
        let id = |n| MessageId::from_parts(1, n);
        seen.first(id(1), at(1), Timestamp(0));
        assert_eq!(seen.first(id(1), at(5), Timestamp(1_001)), at(5));
        for n in 2..=5 {
            seen.first(id(n), at(n.try_into().expect("small")), Timestamp(1_001));
        }
        assert_eq!(seen.first(id(1), at(7), Timestamp(1_001)), at(7));
        assert!(seen.positions.len() <= 4);
    }
}
