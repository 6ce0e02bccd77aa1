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
        | Topic::DeadResolution
        | Topic::BatchCommand
        | Topic::BatchState
        | Topic::BatchChunk => Lane::Live,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use schemas::headers::Headers;
    use schemas::topics::Channel;

    use super::*;

    fn filed(lane: Lane, wait: Duration, time_scale: f64) -> Outgoing {
        let record = Outgoing {
            topic: Topic::Attempt(Channel::Fcm, lane),
            key: Vec::new(),
            partition_by: Vec::new(),
            value: None,
            headers: Headers::default(),
        };
        let now = Timestamp(1_000);
        file(record, now.plus(wait), Reason::RetryLater, now, time_scale)
    }

    #[test]
    fn a_wait_is_filed_in_its_class_in_its_own_lane_and_finds_back() {
        for lane in Lane::ALL {
            for class in DelayClass::ALL {
                let record = filed(lane, class.wait(), 1.0);
                assert_eq!(record.topic, Topic::Delay(class, lane));
                let back = record.headers.return_to.as_deref().and_then(Topic::named);
                assert_eq!(back, Some(Topic::Attempt(Channel::Fcm, lane)));
                assert_eq!(record.headers.not_before, Some(Timestamp(1_000).plus(class.wait())));
                let fast = filed(lane, class.wait() / 60, 60.0);
                assert_eq!(fast.topic, Topic::Delay(class, lane), "classes shrink with the scale");
            }
        }
    }

    #[test]
    fn the_longest_class_that_fits_is_taken_and_the_shortest_for_less() {
        let class = |secs| filed(Lane::Bulk, Duration::from_secs(secs), 1.0).topic;
        assert_eq!(class(1), Topic::Delay(DelayClass::TenSeconds, Lane::Bulk));
        assert_eq!(class(3_599), Topic::Delay(DelayClass::TenMinutes, Lane::Bulk));
        assert_eq!(class(100_000), Topic::Delay(DelayClass::SixHours, Lane::Bulk));
    }
}
