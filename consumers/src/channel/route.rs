//! Realising a step: the record that the story goes on as.

use policy::consent::Consent;
use policy::next_step::{Facts, Step, next_step, wake_at};
use runtime::log::Outgoing;
use runtime::stage::{Fault, Outcome};
use runtime::world::World;
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::records::{Reason, Status, Story};
use schemas::topics::{Channel, Topic};

use crate::held::LOOK_AGAIN;

use super::events::Events;
use super::telling::dice;

/// A story with what has been decided of it and what has been said so far.
pub struct Routed<'a> {
    pub story: Story,
    pub headers: &'a Headers,
    /// Records that leave with it: events, decisions, device deaths.
    pub also: Vec<Outgoing>,
    pub consent: &'a Consent,
    pub down: &'a [(Channel, Timestamp)],
    /// Where it returns to from waiting, if nothing better is known.
    pub here: Channel,
}

/// What becomes of the record: on to a channel, into a delay, or ended with its status.
///
/// # Errors
/// A fault where nobody may guess about the citizen.
pub fn route(mut routed: Routed<'_>, world: &World) -> Result<Outcome, Fault> {
    let now = world.now();
    let facts = Facts { consent: routed.consent, down: routed.down, here: routed.here };
    match next_step(&routed.story, &facts, now) {
        Step::Hold => {
            let until = now.plus(world.scaled(LOOK_AGAIN));
            let record = next_record(&routed, routed.here, now, world);
            Ok(Outcome::Postpone { record, until, why: Reason::Held, also: routed.also })
        }
        Step::Send(channel) => {
            let record = next_record(&routed, channel, now, world);
            routed.also.push(record);
            Ok(Outcome::Forward(routed.also))
        }
        Step::Wait { until, why } => {
            let channel = match next_step(&routed.story, &facts, until) {
                Step::Send(channel) => channel,
                Step::Wait { .. } | Step::Finish { .. } | Step::End | Step::Hold => routed.here,
            };
            // One WAITING event per spell of waiting: a record that comes back carries its cause. None
            // after the end: the message waits for nothing any more.
            let said = routed.also.iter().any(|record| record.topic == Topic::Status);
            if routed.headers.cause.is_none() && !said && !routed.story.finished {
                say(&mut routed, Status::Waiting, why, now, world);
            }
            let until = wake_at(&routed.story, until, why, &dice(world));
            let record = next_record(&routed, channel, now, world);
            Ok(Outcome::Postpone { record, until, why, also: routed.also })
        }
        Step::Finish { status, reason } => {
            say(&mut routed, status, reason, now, world);
            Ok(Outcome::Forward(routed.also))
        }
        Step::End if routed.also.is_empty() => Ok(Outcome::Done { why: Reason::Finished }),
        Step::End => Ok(Outcome::Forward(routed.also)),
    }
}

fn say(routed: &mut Routed<'_>, status: Status, why: Reason, now: Timestamp, world: &World) {
    let mut events = Events::of_story(&routed.story, routed.headers, &world.codec);
    events.say(status, why, now);
    routed.story.next_sequence = events.next_sequence;
    routed.also.append(&mut events.records);
}

/// The story's next record, with what is known to be down.
fn next_record(routed: &Routed<'_>, channel: Channel, now: Timestamp, world: &World) -> Outgoing {
    let mut record = attempt_record(&routed.story, channel, routed.headers, world);
    let down = routed.down.iter().filter(|(_, until)| *until > now);
    record.headers.down = down.copied().collect();
    record
}

/// A story on its way to a channel's stage.
#[must_use]
pub fn attempt_record(
    story: &Story,
    channel: Channel,
    headers: &Headers,
    world: &World,
) -> Outgoing {
    let citizen = story.citizen.to_string().into_bytes();
    Outgoing {
        topic: Topic::Attempt(channel, story.lane),
        key: citizen.clone(),
        partition_by: citizen,
        value: Some(world.codec.encode(story)),
        headers: Headers {
            traceparent: headers.traceparent.clone(),
            ce_id: Some(format!("{}-{}-s{}", story.message_id, story.epoch, story.next_sequence)),
            ce_type: Some("it.staffetta.attempt".to_owned()),
            message_id: Some(story.message_id),
            service_id: Some(story.service_id.clone()),
            epoch: Some(story.epoch),
            next_sequence: Some(story.next_sequence),
            accepted_at: Some(story.accepted_at),
            attempt: Some(story.tries),
            ..Headers::default()
        },
    }
}
