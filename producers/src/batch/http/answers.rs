//! Answers about batches.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use policy::admit::Problem;
use policy::batch::life::answered;
use policy::batch::tally::{Counters, is_final};
use policy::contract::date;
use runtime::log::{AppendError, Outgoing};
use schemas::headers::Headers;
use schemas::records::{BatchCommand, BatchOrder, BatchPhase, BatchState};
use schemas::topics::Topic;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::view::Shown;
use super::Batches;
use crate::ingest::{Ingest, Refusal};

/// A batch as its sender sees it.
#[derive(Serialize, ToSchema)]
pub struct BatchAnswer {
    pub id: String,
    /// `receiving`, `scheduled`, `releasing`, `paused`, `cancelled` or `finished`: every row has its end.
    pub status: &'static str,
    /// No further rows will come.
    pub complete: bool,
    pub dry_run: bool,
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Hours>,
    /// Rows that are durable: an upload that broke off goes on from here.
    pub next_row: i64,
    /// Where the rows are; all but `rows` and `repeated` add up to `rows`.
    #[schema(value_type = Object)]
    pub counters: Counters,
    /// Rows released a second, of late.
    pub rate_per_second: f64,
    /// Until the last row is released, at this rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

/// Hours of the Italian day, `HH:MM`.
#[derive(Serialize, ToSchema)]
pub struct Hours {
    pub from: String,
    pub to: String,
}

impl BatchAnswer {
    pub fn of(shown: &Shown) -> Self {
        let Shown { state, counters, rate } = shown;
        let plan = &state.plan;
        let is_open = state.phase == BatchPhase::Finished && !is_final(state, counters);
        let phase = if is_open { BatchPhase::Releasing } else { state.phase };
        let clock = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let window = plan.window_from.zip(plan.window_to);
        let waits = phase == BatchPhase::Releasing && counters.waiting > 0 && *rate > 0.0;
        let waiting = u32::try_from(counters.waiting).unwrap_or(u32::MAX);
        let left = || Duration::try_from_secs_f64(f64::from(waiting) / rate).ok();
        Self {
            id: state.batch_id.clone(),
            status: phase.name(),
            complete: state.complete,
            dry_run: plan.dry_run,
            created_at: date::format(plan.created_at),
            not_before: plan.not_before.map(date::format),
            window: window.map(|(from, to)| Hours { from: clock(from), to: clock(to) }),
            next_row: state.rows,
            counters: *counters,
            rate_per_second: (rate * 10.0).round() / 10.0,
            seconds_left: waits.then(left).flatten().map(|left| left.as_secs()),
        }
    }
}

pub fn not_found() -> Problem {
    Problem::new(404, "Batch not found", "This service has no batch of that id.")
}

pub fn conflict(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(409, "Conflict", detail)
}

pub fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(400, "Invalid batch", detail)
}

/// The batch as it is now.
pub fn shown(ingest: &Ingest, batch: &str, status: StatusCode) -> Result<Response, Refusal> {
    let shown = ingest.batches.view.shown(batch, ingest.world.now())?.ok_or_else(not_found)?;
    Ok((status, Json(BatchAnswer::of(&shown))).into_response())
}

/// Gives an order to the batch's owner and waits for its answer.
///
/// # Errors
/// 429 where nothing was taken, 500 where nobody knows.
pub async fn ask(ingest: &Ingest, order: BatchCommand) -> Result<BatchState, Refusal> {
    let batches: &Batches = &ingest.batches;
    let batch = order.batch_id.clone();
    let record = Outgoing {
        topic: Topic::BatchCommand,
        key: batch.clone().into_bytes(),
        partition_by: batch.clone().into_bytes(),
        value: Some(ingest.world.codec.encode(&order)),
        headers: Headers { service_id: Some(order.service_id), ..Headers::default() },
    };
    let position = match batches.orders.append(record).await {
        Ok(position) => position,
        Err(AppendError::NotTaken(_)) => return Err(Refusal::NotReady),
        Err(AppendError::Unknown(_) | AppendError::Fenced) => return Err(unknown().into()),
    };
    let until = ingest.world.now().plus(Duration::from_millis(batches.config.answer_within_ms));
    let answer = batches.view.answered(&batch, position.offset, until, &ingest.world).await?;
    answer.ok_or_else(|| unknown().into())
}

/// The order was logged, its answer was not seen in time.
pub fn unknown() -> Problem {
    Problem::internal(
        "The order was not answered in time; it may still be followed. Look at the batch, and repeat \
         the request: an order that was followed already does no harm.",
    )
}

/// The order without plan or chunk.
pub fn order(ingest: &Ingest, state: &BatchState, order: BatchOrder) -> BatchCommand {
    BatchCommand {
        batch_id: state.batch_id.clone(),
        service_id: state.service_id.clone(),
        at: ingest.world.now(),
        order,
        plan: None,
        chunk: None,
    }
}

/// Gives a plain order, and says whether it was followed.
///
/// # Errors
/// As [`ask`]; 409 where the batch is beyond it.
pub async fn give(
    ingest: &Ingest,
    state: &BatchState,
    which: BatchOrder,
) -> Result<BatchState, Refusal> {
    let state = ask(ingest, order(ingest, state, which)).await?;
    answered(which, &state).map_err(conflict)?;
    Ok(state)
}
