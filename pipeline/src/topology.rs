//! Which seats there are: every stage and lane, the topics it reads, the group it forms.

use runtime::log::Seat;
use schemas::topics::{Channel, DelayClass, Lane, Topic};

/// The stages that read in groups. Projectors (`directory`, `status`) read without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageName {
    Consent,
    Vault,
    Channel(Channel),
    Delay,
}

impl StageName {
    /// Every stage, in the order of a message's way.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Consent, Self::Vault];
        all.extend(Channel::ALL.map(Self::Channel));
        all.push(Self::Delay);
        all
    }

    /// What `--stages` calls it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Vault => "vault",
            Self::Channel(channel) => channel.name(),
            Self::Delay => "delay",
        }
    }

    fn topics(self, lane: Lane) -> Vec<Topic> {
        match self {
            Self::Consent => vec![Topic::Accepted(lane)],
            Self::Vault => vec![Topic::Permitted(lane)],
            Self::Channel(channel) => vec![Topic::Attempt(channel, lane)],
            Self::Delay => DelayClass::ALL.map(|class| Topic::Delay(class, lane)).to_vec(),
        }
    }

    /// The seat of one worker of this stage.
    #[must_use]
    pub fn seat(self, lane: Lane, ordinal: u32) -> Seat {
        let group = format!("{}.{}", self.word(), lane.name());
        Seat { group, topics: self.topics(lane), ordinal }
    }
}

/// One seat of every group: what `topics apply` writes first offsets for.
#[must_use]
pub fn seats() -> Vec<Seat> {
    let stages = StageName::all();
    let pairs = stages.iter().flat_map(|stage| Lane::ALL.map(|lane| (*stage, lane)));
    pairs.map(|(stage, lane)| stage.seat(lane, 0)).collect()
}

/// Words that `--stages` takes.
pub const WORDS: [&str; 9] =
    ["consent", "vault", "apns", "fcm", "email", "delay", "directory", "status", "ingest"];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_seats_share_a_group() {
        let groups: HashSet<_> = seats().into_iter().map(|seat| seat.group).collect();
        assert_eq!(groups.len(), seats().len());
    }

    #[test]
    fn every_topic_of_a_messages_way_is_read_by_exactly_one_group() {
        let read: Vec<_> = seats().into_iter().flat_map(|seat| seat.topics).collect();
        let ways = Topic::all().into_iter().filter(|topic| topic.name().ends_with(".live"));
        for topic in ways {
            assert_eq!(read.iter().filter(|other| **other == topic).count(), 1, "{topic}");
        }
    }
}
