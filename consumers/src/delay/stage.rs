//! Looks at the clock, nothing else.

use async_trait::async_trait;
use runtime::delay;
use runtime::log::{Incoming, Outgoing};
use runtime::stage::{Fault, Outcome, Received, Stage};
use runtime::world::World;
use schemas::codec::{Codec, DecodeError};
use schemas::headers::Headers;
use schemas::records::Reason;
use schemas::topics::Topic;

/// All classes of one lane; each class is a topic of its own, so no class waits for another.
pub struct DelayStage;

#[async_trait]
impl Stage for DelayStage {
    type Input = Incoming;

    fn name(&self) -> &'static str {
        "delay"
    }

    fn decode(&self, record: &Incoming, _: &Codec) -> Result<Incoming, DecodeError> {
        let headers = Headers::from_raw(&record.headers);
        match headers.return_to.as_deref().and_then(Topic::named) {
            Some(_) => Ok(record.clone()),
            None => Err(DecodeError::Malformed("delay")),
        }
    }

    async fn handle(
        &self,
        batch: &[Received<Incoming>],
        world: &World,
    ) -> Vec<Result<Outcome, Fault>> {
        batch.iter().map(|received| self.resolve(received, world)).collect()
    }
}

impl DelayStage {
    fn resolve(&self, received: &Received<Incoming>, world: &World) -> Result<Outcome, Fault> {
        let record = &received.value;
        let now = world.now();
        let not_before = received.headers.not_before.unwrap_or(now);
        // Heads of one class leave in the order in which they were filed.
        let Topic::Delay(class, _) = record.position.at.topic else {
            return Ok(Outcome::DeadLetter { why: Reason::Undecodable, also: Vec::new() });
        };
        let leaves = not_before.min(record.appended_at.plus(world.scaled(class.wait())));
        if now < leaves {
            return Err(Fault { why: Reason::NotDue, retry_at: leaves });
        }
        let Some(topic) = received.headers.return_to.as_deref().and_then(Topic::named) else {
            return Ok(Outcome::DeadLetter { why: Reason::Undecodable, also: Vec::new() });
        };
        let mut headers = received.headers.clone();
        headers.not_before = None;
        headers.return_to = None;
        let back = Outgoing {
            topic,
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
}
