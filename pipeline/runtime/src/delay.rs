//! Filing a record that waits: which delay topic, and how it finds back.

use schemas::ids::Timestamp;
use schemas::records::Reason;
use schemas::topics::{DelayClass, Lane, Topic};

use crate::log::Outgoing;

/// `record`, filed until `until` in the longest class that fits the remainder; it returns to its
/// own topic. A wait shorter than the shortest class is filed there all the same: the head of a
/// delay topic leaves at the earlier of `not_before` and appended + class.
#[must_use]
pub fn file(
    mut record: Outgoing,
    until: Timestamp,
    why: Reason,
    now: Timestamp,
    time_scale: f64,
) -> Outgoing {
    let class = DelayClass::fitting(until.since(now), time_scale);
    if record.headers.return_to.is_none() {
        record.headers.return_to = Some(record.topic.name().to_owned());
    }
    record.headers.not_before = Some(until);
    record.headers.cause = Some(why.name().to_owned());
    record.topic = Topic::Delay(class, lane_of(record.topic));
    record
}

/// The lane of a topic; those without lanes wait in the live one.
#[must_use]
pub fn lane_of(topic: Topic) -> Lane {
    match topic {
        Topic::Accepted(lane)
        | Topic::Permitted(lane)
        | Topic::Attempt(_, lane)
        | Topic::Delay(_, lane) => lane,
        Topic::Status
        | Topic::Decision
        | Topic::Stored
        | Topic::Profile
        | Topic::CitizenKey
        | Topic::Preference
        | Topic::Activation
        | Topic::Unsubscribe
        | Topic::Device
        | Topic::DeviceDeath
        | Topic::Erased
        | Topic::Validation
        | Topic::Service
        | Topic::TransitKey
        | Topic::DeadLetter
        | Topic::DeadResolution => Lane::Live,
    }
}
