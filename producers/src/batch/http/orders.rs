//! Looking at a batch, and giving orders to its owner.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use hyper::StatusCode;
use policy::admit::{Caller, Problem, may_write};
use schemas::records::{BatchOrder, BatchState};

use super::answers::{self, BatchAnswer, not_found};
use crate::ingest::{Ingest, Pass, ProblemJson, Refusal, path_text, respond};

type Id = Result<Path<String>, PathRejection>;

/// A batch: where it stands, and where its rows are.
#[utoipa::path(
    get, path = "/batches/{id}", operation_id = "getBatch", tag = "batches",
    params(("id" = String, Path, description = "As the 201 gave it")),
    responses(
        (status = 200, description = "The batch", body = BatchAnswer),
        (status = 401, description = "No valid key"),
        (status = 403, description = "Not allowed", body = ProblemJson),
        (status = 404, description = "This service has no such batch", body = ProblemJson),
        (status = 429, description = "Too many requests, or the view is not ready"),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn get_batch(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    id: Id,
) -> Response {
    let found = owned(&ingest, &pass, &path_text(id));
    respond(found.and_then(|state| answers::shown(&ingest, &state.batch_id, StatusCode::OK)))
}

macro_rules! order {
    ($name:ident, $order:expr, $path:literal, $operation:literal, $doc:literal) => {
        #[doc = $doc]
        #[utoipa::path(
            post, path = $path, operation_id = $operation, tag = "batches",
            params(("id" = String, Path, description = "As the 201 gave it")),
            responses(
                (status = 200, description = "Logged by the batch's owner", body = BatchAnswer),
                (status = 401, description = "No valid key"),
                (status = 403, description = "Not allowed", body = ProblemJson),
                (status = 404, description = "This service has no such batch", body = ProblemJson),
                (status = 409, description = "The batch is beyond it", body = ProblemJson),
                (status = 429, description = "Not taken: come again"),
                (status = 500, description = "Ours; repeat the request", body = ProblemJson),
            ),
            security(("SubscriptionKey" = []))
        )]
        pub async fn $name(
            State(ingest): State<Arc<Ingest>>,
            Extension(pass): Extension<Pass>,
            id: Id,
        ) -> Response {
            respond(followed(&ingest, &pass, &path_text(id), $order).await)
        }
    };
}

order!(
    complete,
    BatchOrder::Complete,
    "/batches/{id}/complete",
    "completeBatch",
    "Says that no further rows will come: they are released when their time has come."
);
order!(
    pause,
    BatchOrder::Pause,
    "/batches/{id}/pause",
    "pauseBatch",
    "Stops the release. After the 200 no row is released until the batch is resumed."
);
order!(
    resume,
    BatchOrder::Resume,
    "/batches/{id}/resume",
    "resumeBatch",
    "Lets the release of a paused batch go on."
);
order!(
    cancel,
    BatchOrder::Cancel,
    "/batches/{id}/cancel",
    "cancelBatch",
    "Ends the release for good. After the 200 no row is released; those that were go their way."
);

async fn followed(
    ingest: &Ingest,
    pass: &Pass,
    id: &str,
    order: BatchOrder,
) -> Result<Response, Refusal> {
    let state = owned(ingest, pass, id)?;
    let state = answers::give(ingest, &state, order).await?;
    answers::shown(ingest, &state.batch_id, StatusCode::OK)
}

/// The batch, if it is the caller's own.
pub fn owned(ingest: &Ingest, pass: &Pass, id: &str) -> Result<BatchState, Refusal> {
    may_write(&Caller::of(&pass.service), Some(&pass.service))?;
    let shown = ingest.batches.view.shown(id, ingest.world.now())?;
    let state = shown.map(|shown| shown.state).ok_or_else(not_found)?;
    if state.service_id != pass.service.service_id {
        return Err(not_found().into());
    }
    Ok(state)
}

/// Ours, for now: a key or a store is not at hand.
pub fn unsealed() -> Problem {
    Problem::internal("The rows could not be kept. Look at the batch, and go on from its next_row.")
}
