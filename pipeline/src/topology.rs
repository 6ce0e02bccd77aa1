//! Which seats there are: every stage and lane, the topics it reads, the group it forms.

use runtime::log::Seat;
use schemas::topics::{Channel, DelayClass, Lane, Topic};

/// The stages that read in groups. Projectors (`directory`, `status`) read without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageName {
    Consent,
    Vault,
    Channel(Channel),
    /// Of the email edge too: the mails that validate addresses.
    Validation,
    Delay,
    /// Owners of batches: they read orders, and release rows into the bulk lane.
    Batch,
}

impl StageName {
    /// Every stage, in the order of a message's way.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Consent, Self::Vault];
        all.extend(Channel::ALL.map(Self::Channel));
        all.extend([Self::Validation, Self::Delay, Self::Batch]);
        all
    }

    /// What `--stages` calls it: whoever runs an edge runs all that leaves by it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Validation => Channel::Email.name(),
            Self::Consent | Self::Vault | Self::Channel(_) | Self::Delay | Self::Batch => {
                self.name()
            }
        }
    }

    /// Stem of its groups.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Vault => "vault",
            Self::Channel(channel) => channel.name(),
            Self::Validation => "validation",
            Self::Delay => "delay",
            Self::Batch => "batch",
        }
    }

    /// What a citizen waits for in person has one lane.
    #[must_use]
    pub fn lanes(self) -> &'static [Lane] {
        match self {
            Self::Validation => &[Lane::Live],
            Self::Batch => &[Lane::Bulk],
            Self::Consent | Self::Vault | Self::Channel(_) | Self::Delay => &Lane::ALL,
        }
    }

    fn topics(self, lane: Lane) -> Vec<Topic> {
        match self {
            Self::Consent => vec![Topic::Accepted(lane)],
            Self::Vault => vec![Topic::Permitted(lane)],
            Self::Channel(channel) => vec![Topic::Attempt(channel, lane)],
            Self::Validation => vec![Topic::Validation],
            Self::Batch => vec![Topic::BatchCommand],
            Self::Delay => DelayClass::ALL.map(|class| Topic::Delay(class, lane)).to_vec(),
        }
    }

    /// The seat of one worker of this stage.
    #[must_use]
    pub fn seat(self, lane: Lane, ordinal: u32) -> Seat {
        let group = format!("{}.{}", self.name(), lane.name());
        Seat { group, topics: self.topics(lane), ordinal }
    }
}

/// One seat of every group: what `topics apply` writes first offsets for.
#[must_use]
pub fn seats() -> Vec<Seat> {
    let stages = StageName::all().into_iter();
    stages.flat_map(|stage| stage.lanes().iter().map(move |lane| stage.seat(*lane, 0))).collect()
}

/// Words that `--stages` takes.
pub const WORDS: [&str; 10] =
    ["consent", "vault", "apns", "fcm", "email", "delay", "batch", "directory", "status", "ingest"];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Hazard H7, seen in GC Notify (its pull requests 1262 and 3030), VA Notify (issue 1069) and listmonk (issue
    /// 2094): bulk holds up what is urgent. Lanes share no group, so no partition, no hand and no commit.
    #[test]
    fn no_two_seats_share_a_group() {
        let groups: HashSet<_> = seats().into_iter().map(|seat| seat.group).collect();
        assert_eq!(groups.len(), seats().len());
    }

    #[test]
    fn every_topic_of_a_messages_way_is_read_by_exactly_one_group() {
        let read: Vec<_> = seats().into_iter().flat_map(|seat| seat.topics).collect();
        let ways = Topic::all().into_iter().filter(|topic| topic.name().ends_with(".live"));
        for topic in ways.chain([Topic::Validation, Topic::BatchCommand]) {
            assert_eq!(read.iter().filter(|other| **other == topic).count(), 1, "{topic}");
        }
    }
}
