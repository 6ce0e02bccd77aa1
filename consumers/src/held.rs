//! A record that waits for operators: its citizen is held by an undecodable record, so nobody may guess.

use std::time::Duration;

use runtime::log::Outgoing;
use runtime::stage::Outcome;
use runtime::world::World;
use schemas::headers::Headers;
use schemas::ids::Pseudonym;
use schemas::records::Reason;
use schemas::topics::Topic;

/// Between two looks at whether the citizen is still held; passes with the time scale.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// `value` once more to `topic`, after a while, so that the citizen's own records wait and no others do.
/// It is a new record then, at a place of its own: the claim stays with the first.
pub(crate) fn postpone(
    topic: Topic,
    citizen: Pseudonym,
    value: Vec<u8>,
    headers: &Headers,
    world: &World,
) -> Outcome {
    let citizen = citizen.to_string().into_bytes();
    let headers =
        Headers { claim: None, not_before: None, return_to: None, cause: None, ..headers.clone() };
    let record = Outgoing {
        topic,
        key: citizen.clone(),
        partition_by: citizen,
        value: Some(value),
        headers,
    };
    let until = world.now().plus(world.scaled(LOOK_AGAIN));
    Outcome::Postpone { record, until, why: Reason::Held, also: Vec::new() }
}
