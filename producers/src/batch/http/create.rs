//! POST `/batches`: makes a batch; with rows as its body, takes them too.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body as HttpBody;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{HeaderMap, StatusCode};
use policy::admit::{Caller, Problem, may_write};
use schemas::ids::MessageId;
use schemas::records::{BatchCommand, BatchOrder, BatchPlan, BatchState, Sealed};
use serde::Deserialize;
use serde_json::Value;

use super::super::chunk;
use super::super::settings::BatchRequest;
use super::answers::{self, BatchAnswer, ask, conflict, invalid};
use super::orders::unsealed;
use super::upload::{self, Part};
use crate::http::{BodyLimits, Read, discard, read_body};
use crate::ingest::{Ingest, Pass, ProblemJson, Refusal, respond};

/// What a body of rows cannot say itself.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    reference: Option<String>,
    not_before: Option<String>,
    dry_run: bool,
}

/// Makes a batch. As JSON the body says how it is to be sent, and its rows follow by `PUT
/// /batches/{id}/rows`. As `application/x-ndjson` the body is the rows, each a whole message, and the batch is
/// complete with its last one.
#[utoipa::path(
    post, path = "/batches", operation_id = "createBatch", tag = "batches",
    request_body(content(
        (BatchRequest = "application/json"),
        (String = "application/x-ndjson"),
    )),
    params(
        ("reference" = Option<String>, Query, description = "With rows as the body: as in BatchRequest"),
        ("not_before" = Option<String>, Query, description = "With rows as the body: as in BatchRequest"),
        ("dry_run" = Option<bool>, Query, description = "With rows as the body: as in BatchRequest"),
        ("Content-Encoding" = Option<String>, Header, description = "Of rows: `gzip` or `zstd`"),
    ),
    responses(
        (status = 201, description = "Made; `Location` names it", body = BatchAnswer),
        (status = 200, description = "It was there: the same request under the same reference",
            body = BatchAnswer),
        (status = 400, description = "Not understood, or the rows broke off", body = ProblemJson),
        (status = 401, description = "No valid key"),
        (status = 403, description = "Not allowed", body = ProblemJson),
        (status = 409, description = "The reference belongs to another request, or the batch has rows",
            body = ProblemJson),
        (status = 415, description = "Another type or encoding of body", body = ProblemJson),
        (status = 429, description = "Not taken: come again"),
        (status = 500, description = "Ours; repeat the request", body = ProblemJson),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn create(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    query: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: HttpBody,
) -> Response {
    respond(made(&ingest, &pass, query, &headers, body).await)
}

async fn made(
    ingest: &Arc<Ingest>,
    pass: &Pass,
    query: Result<Query<Asked>, QueryRejection>,
    headers: &HeaderMap,
    body: HttpBody,
) -> Result<Response, Refusal> {
    let limits = ingest.config.body();
    if let Err(problem) = may_write(&Caller::of(&pass.service), Some(&pass.service)) {
        discard(body, limits);
        return Err(problem.into());
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => {
            let request = request_of(body, limits).await?;
            let (state, status) = batch(ingest, pass, &request).await?;
            located(answers::shown(ingest, &state.batch_id, status)?, &state.batch_id)
        }
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
            let Query(asked) = query.map_err(|_| {
                invalid("The query takes reference, not_before and dry_run (true or false).")
            })?;
            let request = BatchRequest {
                reference: asked.reference,
                not_before: asked.not_before,
                dry_run: asked.dry_run,
                ..BatchRequest::default()
            };
            let (state, status) = batch(ingest, pass, &request).await?;
            let part = Part { from: 0, complete: true };
            let taken = upload::take(ingest, pass, &state, part, headers, body).await?;
            located(answers::shown(ingest, &taken.batch_id, status)?, &taken.batch_id)
        }
        _ => {
            discard(body, limits);
            let detail = "The body must be application/json or application/x-ndjson. A CSV follows by \
                          PUT /batches/{id}/rows, once its template has made the batch.";
            Err(Problem::new(415, "Unsupported media type", detail).into())
        }
    }
}

fn located(mut response: Response, batch: &str) -> Result<Response, Refusal> {
    if let Ok(place) = HeaderValue::try_from(format!("/api/v1/batches/{batch}")) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

async fn request_of(body: HttpBody, limits: BodyLimits) -> Result<BatchRequest, Refusal> {
    let Read::Whole(bytes) = read_body(body, limits).await else {
        return Err(invalid("The request did not arrive whole, or is too long.").into());
    };
    // The parser's own words would quote the request.
    let bad = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        invalid(format!(
            "Not a batch request: at line {line}, column {column} it stops being an object with \
             reference, template, delimiter, id_column, not_before, window {{from, to}} and dry_run."
        ))
    };
    // An array would read as the fields in their order.
    let object: serde_json::Map<String, Value> = serde_json::from_slice(&bytes).map_err(bad)?;
    drop(object);
    Ok(serde_json::from_slice(&bytes).map_err(bad)?)
}

/// The batch of that request: made, or there already.
async fn batch(
    ingest: &Ingest,
    pass: &Pass,
    request: &BatchRequest,
) -> Result<(BatchState, StatusCode), Refusal> {
    let wishes = request.wishes().map_err(invalid)?;
    let (service, hashes) = (&pass.service.service_id, ingest.sealer.keyring.hashes());
    let now = ingest.world.now();
    // Rows are kept for so long; a day is left to send them in.
    let kept = ingest.batches.config.keep_days.saturating_sub(1);
    let latest = now.plus(Duration::from_secs(u64::from(kept) * 86_400));
    if wishes.not_before.is_some_and(|moment| moment > latest) {
        return Err(invalid(format!("not_before may lie {kept} days ahead at most.")).into());
    }
    let mut random = [0; 16];
    ingest.world.fill(&mut random[6..]);
    let fresh =
        || MessageId::from_parts(u64::try_from(now.0).unwrap_or(0), u128::from_be_bytes(random));
    let named = |name: &String| MessageId::from_bytes(hashes.batch_reference(service, name));
    let id = request.reference.as_ref().map_or_else(fresh, named).to_string();
    let plain = serde_json::to_vec(request).map_err(|_| unsealed())?;
    let digest = hashes.body(service, &plain).to_vec();
    if let Some(known) = ingest.batches.view.shown(&id, now)? {
        return same(known.state, &digest).map(|state| (state, StatusCode::OK));
    }
    let sealed = chunk::seal_settings(&ingest.sealer, &ingest.world, &id, &plain);
    let (wrapped_key, settings) = sealed.map_err(|_| Refusal::NotReady)?;
    let plan = BatchPlan {
        created_at: now,
        dry_run: request.dry_run,
        not_before: wishes.not_before,
        window_from: wishes.window.map(|(from, _)| from),
        window_to: wishes.window.map(|(_, to)| to),
        digest: digest.clone(),
        wrapped_key: Sealed(wrapped_key),
        settings: Sealed(settings),
    };
    let ours = plan.settings.clone();
    let order = BatchCommand {
        batch_id: id,
        service_id: service.clone(),
        at: now,
        order: BatchOrder::Create,
        plan: Some(plan),
        chunk: None,
    };
    let state = same(ask(ingest, order).await?, &digest)?;
    let is_ours = state.plan.settings == ours;
    Ok((state, if is_ours { StatusCode::CREATED } else { StatusCode::OK }))
}

/// Two requests at once under one reference are one batch, if they ask for the same.
fn same(state: BatchState, digest: &[u8]) -> Result<BatchState, Refusal> {
    if state.plan.digest == digest {
        return Ok(state);
    }
    Err(conflict("The reference was used before for a batch of another kind; choose another one.")
        .into())
}
