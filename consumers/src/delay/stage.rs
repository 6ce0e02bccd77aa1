//! Looks at the clock, nothing else.

use async_trait::async_trait;
use runtime::delay;
use runtime::log::{Incoming, Outgoing};
use runtime::stage::{Fault, Outcome, Received, Stage};
use runtime::world::World;
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::records::Reason;
use schemas::topics::{DelayClass, Topic};

/// All classes of one lane; each class is a topic of its own, so no class waits for another.
pub struct DelayStage;

/// A record that waits, and where it does.
pub struct Filed {
    record: Incoming,
    class: DelayClass,
    home: Topic,
}

#[async_trait]
impl Stage for DelayStage {
    type Input = Filed;

    fn name(&self) -> &'static str {
        "delay"
    }

    fn decode(&self, record: &Incoming, _: &Codec) -> Result<Filed, DecodeError> {
        let headers = Headers::from_raw(&record.headers);
        let home = headers.return_to.as_deref().and_then(Topic::named);
        match (record.position.at.topic, home) {
            (Topic::Delay(class, _), Some(home)) => {
                Ok(Filed { record: record.clone(), class, home })
            }
            _ => Err(DecodeError::Malformed("delay")),
        }
    }

    async fn handle(
        &self,
        batch: &[Received<Filed>],
        world: &World,
    ) -> Vec<Result<Outcome, Fault>> {
        batch.iter().map(|received| resolve(received, world)).collect()
    }
}

fn resolve(received: &Received<Filed>, world: &World) -> Result<Outcome, Fault> {
    let Filed { record, class, home } = &received.value;
    let now = world.now();
    let not_before = received.headers.not_before.unwrap_or(now);
    // Heads of one class leave in the order in which they were filed.
    let leaves = not_before.min(record.appended_at.plus(world.scaled(class.wait())));
    if now < leaves {
        return Err(Fault { why: Reason::NotDue, retry_at: leaves });
    }
    let mut headers = received.headers.clone();
    headers.not_before = None;
    headers.return_to = None;
    let back = Outgoing {
        topic: *home,
        key: record.key.clone(),
        partition_by: record.key.clone(),
        value: record.value.clone(),
        headers,
    };
    if now < not_before {
        let filed = delay::file(back, not_before, Reason::NotDue, now, world.time_scale);
        return Ok(Outcome::Forward(vec![filed]));
    }
    Ok(Outcome::Forward(vec![back]))
}
