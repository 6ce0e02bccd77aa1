//! One row leaves: asked once more whether its service may send it, then sealed as a message.

use std::sync::Arc;

use policy::admit::service::Service;
use policy::admit::{Body, Caller, Lookups, Submission, admit};
use policy::batch::identity::Family;
use runtime::dead::status_record;
use runtime::log::Outgoing;
use schemas::headers::Headers;
use schemas::ids::{MessageId, Timestamp};
use schemas::records::{BatchChunk, BatchRow, BatchState, MessageStatus, Reason, Status};
use schemas::topics::Lane;

use super::OwnerParts;
use crate::batch::chunk::{Row, Rows};
use crate::ingest::{Unsealed, accepted_record};

/// What became of a row.
pub enum Left {
    /// It was refused when it came; the reason lies in its chunk.
    Refused,
    Sent(Outgoing),
    /// The service may not send it any more: its final status.
    Withdrawn(Outgoing),
    /// Ours, for good: its final status.
    Lost(Outgoing),
    /// Ours, for now.
    Wait,
}

/// Rows of one batch on their way.
pub struct Leaving<'a> {
    parts: &'a OwnerParts,
    state: BatchState,
    family: Option<Family>,
    service: Option<Arc<Service>>,
    rows: Result<&'a Rows, Reason>,
}

impl<'a> Leaving<'a> {
    pub fn new(parts: &'a OwnerParts, state: &BatchState, rows: Result<&'a Rows, &Reason>) -> Self {
        Self {
            parts,
            state: state.clone(),
            family: Family::of(state.plan.created_at, &state.batch_id),
            service: parts.registry.by_id(&state.service_id),
            rows: rows.map_err(|why| *why),
        }
    }

    /// Row `number` of the batch, counted from 0, which lies in `chunk`.
    pub fn row(&self, chunk: &BatchChunk, number: i64, now: Timestamp) -> Left {
        let place = number - chunk.first_row;
        let Some(family) = self.family else { return Left::Refused };
        let id = family.message(number);
        let rows = match self.rows {
            Ok(rows) => rows,
            // Which of them were refused is lost with them: so many are not counted once more.
            Err(_) if place < chunk.refused => return Left::Refused,
            Err(why) => return Left::Lost(self.ended(id, number, Status::Failed, why, now)),
        };
        let row = usize::try_from(place).ok().and_then(|place| rows.rows.get(place));
        let Some(row) = row.filter(|row| row.refused.is_none()) else { return Left::Refused };
        self.sent(id, number, row, now)
    }

    fn sent(&self, id: MessageId, number: i64, row: &Row, now: Timestamp) -> Left {
        let withdrawn = || {
            self.parts.metrics.count("withdrawn", 1);
            let why = Reason::RightsWithdrawn;
            Left::Withdrawn(self.ended(id, number, Status::Rejected, why, now))
        };
        let Some(service) = &self.service else { return withdrawn() };
        let submission = Submission {
            caller: Caller::of(service),
            service: Some(service),
            client_ip: self.rows.ok().and_then(|rows| rows.client_ip),
            path_code: None,
            body: Body::Whole(row.body.as_bytes()),
        };
        let lookups = Lookups {
            pseudonym_of: &|code| self.parts.sealer.pseudonym_of(code),
            owner_of: &|configuration| self.parts.registry.owner_of(configuration),
        };
        let Ok(admitted) = admit(&submission, &lookups) else { return withdrawn() };
        let world = &self.parts.world;
        match self.parts.sealer.seal(&admitted, service, id, now, world) {
            Ok(mut message) => {
                message.lane = Lane::Bulk;
                message.batch = Some(self.batch_row(number));
                self.parts.metrics.count("released", 1);
                Left::Sent(accepted_record(&message, None, world))
            }
            Err(Unsealed::Wait) => Left::Wait,
            Err(Unsealed::Broken) => {
                Left::Lost(self.ended(id, number, Status::Failed, Reason::TooLarge, now))
            }
        }
    }

    fn batch_row(&self, number: i64) -> BatchRow {
        BatchRow { batch_id: self.state.batch_id.clone(), row: number + 1 }
    }

    /// The first and last status of a row that never became a message.
    fn ended(
        &self,
        id: MessageId,
        number: i64,
        status: Status,
        reason: Reason,
        now: Timestamp,
    ) -> Outgoing {
        let event = MessageStatus {
            message_id: id,
            service_id: self.state.service_id.clone(),
            batch: Some(self.batch_row(number)),
            epoch: 0,
            sequence: 0,
            status,
            reason,
            channel: None,
            outcome: None,
            provider_id: None,
            attempt: 0,
            at: now,
        };
        status_record(&event, &Headers::default(), &self.parts.world.codec)
    }
}
