//! Every topic, spelt here and nowhere else: name, key, partitioning, lanes and how long it is kept.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Consumers of their own, so that a backlog of millions does not delay an urgent message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    Live,
    Bulk,
}

impl Lane {
    pub const ALL: [Self; 2] = [Self::Live, Self::Bulk];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Bulk => "bulk",
        }
    }
}

/// A way to reach a citizen's devices or mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Apns,
    Fcm,
    Email,
}

impl Channel {
    pub const ALL: [Self; 3] = [Self::Apns, Self::Fcm, Self::Email];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::Email => "email",
        }
    }
}

/// How long a record waits before it is looked at again; heads of one class are due in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DelayClass {
    TenSeconds,
    OneMinute,
    TenMinutes,
    OneHour,
    SixHours,
}

impl DelayClass {
    pub const ALL: [Self; 5] =
        [Self::TenSeconds, Self::OneMinute, Self::TenMinutes, Self::OneHour, Self::SixHours];

    /// The wait of this class at time scale 1.
    #[must_use]
    pub fn wait(self) -> Duration {
        Duration::from_secs(match self {
            Self::TenSeconds => 10,
            Self::OneMinute => 60,
            Self::TenMinutes => 600,
            Self::OneHour => 3_600,
            Self::SixHours => 21_600,
        })
    }

    /// The longest class that fits into `remainder`; the shortest where none does.
    #[must_use]
    pub fn fitting(remainder: Duration, time_scale: f64) -> Self {
        Self::ALL
            .into_iter()
            .rev()
            .find(|class| class.wait().div_f64(time_scale) <= remainder)
            .unwrap_or(Self::TenSeconds)
    }
}

/// A topic of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    Accepted(Lane),
    Permitted(Lane),
    Attempt(Channel, Lane),
    Delay(DelayClass, Lane),
    Status,
    Decision,
    Stored,
    Profile,
    CitizenKey,
    Preference,
    Activation,
    Unsubscribe,
    Device,
    DeviceDeath,
    Erased,
    Validation,
    Service,
    TransitKey,
    DeadLetter,
    DeadResolution,
    BatchCommand,
    BatchState,
    BatchChunk,
}

/// What happens to old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Deleted once older than this.
    For(Duration),
    /// The newest record of each key stays; tombstones live a day.
    Compacted,
}

impl Kept {
    /// The word that Kafka's `cleanup.policy` takes.
    #[must_use]
    pub fn cleanup_policy(self) -> &'static str {
        match self {
            Self::For(_) => "delete",
            Self::Compacted => "compact",
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// One row of the catalogue: the topic's words for people.
struct Row {
    name: &'static str,
    key: &'static str,
    partitioned_by: &'static str,
    kept: Kept,
}

impl Topic {
    /// Every topic, in the order of a message's way.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for lane in Lane::ALL {
            all.extend([Self::Accepted(lane), Self::Permitted(lane)]);
            all.extend(Channel::ALL.map(|channel| Self::Attempt(channel, lane)));
            all.extend(DelayClass::ALL.map(|class| Self::Delay(class, lane)));
        }
        all.extend([
            Self::Status,
            Self::Decision,
            Self::Stored,
            Self::Profile,
            Self::CitizenKey,
            Self::Preference,
            Self::Activation,
            Self::Unsubscribe,
            Self::Device,
            Self::DeviceDeath,
            Self::Erased,
            Self::Validation,
            Self::Service,
            Self::TransitKey,
            Self::DeadLetter,
            Self::DeadResolution,
            Self::BatchCommand,
            Self::BatchState,
            Self::BatchChunk,
        ]);
        all
    }

    /// The topics from which the directory's view of citizens is built.
    pub const DIRECTORY: [Self; 8] = [
        Self::Profile,
        Self::CitizenKey,
        Self::Preference,
        Self::Activation,
        Self::Unsubscribe,
        Self::Device,
        Self::DeviceDeath,
        Self::Erased,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The topic of that name, if it is one of ours.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|topic| topic.name() == name)
    }

    /// What the record's key is, in words.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.row().key
    }

    /// What the partition is computed from, in words.
    #[must_use]
    pub fn partitioned_by(self) -> &'static str {
        self.row().partitioned_by
    }

    #[must_use]
    pub fn kept(self) -> Kept {
        self.row().kept
    }

    fn row(self) -> Row {
        const CITIZEN: &str = "citizen pseudonym";
        const MESSAGE: &str = "message id";
        const BATCH: &str = "batch id";
        let way = |name| Row {
            name,
            key: CITIZEN,
            partitioned_by: CITIZEN,
            kept: Kept::For(DAY.saturating_mul(7)),
        };
        let view = |name, key| Row { name, key, partitioned_by: CITIZEN, kept: Kept::Compacted };
        let own = |name, key| Row { name, key, partitioned_by: key, kept: Kept::Compacted };
        let events = |name| Row {
            name,
            key: MESSAGE,
            partitioned_by: MESSAGE,
            kept: Kept::For(DAY.saturating_mul(30)),
        };
        match self {
            Self::Accepted(Lane::Live) => way("message.accepted.live"),
            Self::Accepted(Lane::Bulk) => way("message.accepted.bulk"),
            Self::Permitted(Lane::Live) => way("message.permitted.live"),
            Self::Permitted(Lane::Bulk) => way("message.permitted.bulk"),
            Self::Attempt(Channel::Apns, Lane::Live) => way("attempt.apns.live"),
            Self::Attempt(Channel::Apns, Lane::Bulk) => way("attempt.apns.bulk"),
            Self::Attempt(Channel::Fcm, Lane::Live) => way("attempt.fcm.live"),
            Self::Attempt(Channel::Fcm, Lane::Bulk) => way("attempt.fcm.bulk"),
            Self::Attempt(Channel::Email, Lane::Live) => way("attempt.email.live"),
            Self::Attempt(Channel::Email, Lane::Bulk) => way("attempt.email.bulk"),
            Self::Delay(class, lane) => way(delay_name(class, lane)),
            Self::Status => events("message.status"),
            Self::Decision => events("message.decision"),
            Self::Stored => view("message.stored", MESSAGE),
            Self::Profile => view("citizen.profile", CITIZEN),
            Self::CitizenKey => view("citizen.key", "citizen pseudonym + generation"),
            Self::Preference => view("citizen.preference", "citizen pseudonym + service id"),
            Self::Activation => view("citizen.activation", "citizen pseudonym + service id"),
            Self::Unsubscribe => view("citizen.unsubscribe", "citizen pseudonym + service id"),
            Self::Device => view("citizen.device", "citizen pseudonym + installation"),
            Self::DeviceDeath => view("citizen.device_death", "citizen pseudonym + installation"),
            Self::Erased => view("citizen.erased", "citizen pseudonym + generation"),
            Self::Validation => way("mailbox.validation"),
            Self::Service => own("service", "service id"),
            Self::TransitKey => own("key.transit", "key id"),
            Self::DeadResolution => own("dead.resolution", "origin position"),
            Self::BatchCommand => Row {
                name: "batch.command",
                key: BATCH,
                partitioned_by: BATCH,
                kept: Kept::For(DAY.saturating_mul(30)),
            },
            Self::BatchState => own("batch.state", BATCH),
            Self::BatchChunk => Row {
                name: "batch.chunk",
                key: "batch id + number",
                partitioned_by: BATCH,
                kept: Kept::Compacted,
            },
            Self::DeadLetter => Row {
                name: "dead.letter",
                key: "origin topic",
                partitioned_by: "origin topic",
                kept: Kept::For(DAY.saturating_mul(180)),
            },
        }
    }
}

fn delay_name(class: DelayClass, lane: Lane) -> &'static str {
    match (class, lane) {
        (DelayClass::TenSeconds, Lane::Live) => "delay.10s.live",
        (DelayClass::TenSeconds, Lane::Bulk) => "delay.10s.bulk",
        (DelayClass::OneMinute, Lane::Live) => "delay.1m.live",
        (DelayClass::OneMinute, Lane::Bulk) => "delay.1m.bulk",
        (DelayClass::TenMinutes, Lane::Live) => "delay.10m.live",
        (DelayClass::TenMinutes, Lane::Bulk) => "delay.10m.bulk",
        (DelayClass::OneHour, Lane::Live) => "delay.1h.live",
        (DelayClass::OneHour, Lane::Bulk) => "delay.1h.bulk",
        (DelayClass::SixHours, Lane::Live) => "delay.6h.live",
        (DelayClass::SixHours, Lane::Bulk) => "delay.6h.bulk",
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Topic {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_topics_share_a_name() {
        let mut names: Vec<_> = Topic::all().iter().map(|topic| topic.name()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_topic_is_found_by_its_name() {
        for topic in Topic::all() {
            assert_eq!(Topic::named(topic.name()), Some(topic));
        }
    }

    #[test]
    fn a_wait_is_filed_in_the_longest_class_that_fits() {
        let class = |secs| DelayClass::fitting(Duration::from_secs(secs), 1.0);
        assert_eq!(class(5), DelayClass::TenSeconds);
        assert_eq!(class(59), DelayClass::TenSeconds);
        assert_eq!(class(60), DelayClass::OneMinute);
        assert_eq!(class(100_000), DelayClass::SixHours);
    }
}
