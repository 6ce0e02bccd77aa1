//! The record of an accepted message, as it goes to the log.

use runtime::log::Outgoing;
use runtime::world::World;
use schemas::headers::{Claim, Headers};
use schemas::records::MessageAccepted;
use schemas::topics::Topic;

/// `message` for its lane's topic, at the beginning of a trace of its own; under its sender's claim, where
/// there is one.
#[must_use]
pub fn accepted_record(message: &MessageAccepted, claim: Option<Claim>, world: &World) -> Outgoing {
    let citizen = message.citizen.to_string().into_bytes();
    Outgoing {
        topic: Topic::Accepted(message.lane),
        key: citizen.clone(),
        partition_by: citizen,
        value: Some(world.codec.encode(message)),
        headers: Headers {
            traceparent: Some(traceparent(world)),
            ce_id: Some(format!("{}-0", message.message_id)),
            ce_type: Some("it.staffetta.message.accepted".to_owned()),
            message_id: Some(message.message_id),
            service_id: Some(message.service_id.clone()),
            epoch: Some(0),
            next_sequence: Some(0),
            accepted_at: Some(message.accepted_at),
            claim,
            ..Headers::default()
        },
    }
}

/// A fresh trace: 16 bytes of trace id, 8 of span id, sampled (W3C Trace Context §3.2).
fn traceparent(world: &World) -> String {
    let (a, b, c) = (world.random(), world.random(), world.random() | 1);
    format!("00-{a:016x}{b:016x}-{c:016x}-01")
}
