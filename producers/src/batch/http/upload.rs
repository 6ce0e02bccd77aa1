//! PUT `/batches/{id}/rows`: rows become durable chunk by chunk, in memory at most three of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body as HttpBody;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use hyper::{HeaderMap, StatusCode};
use policy::admit::Problem;
use schemas::ids::Timestamp;
use schemas::records::{BatchChunk, BatchCommand, BatchOrder, BatchState, Sealed};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::super::chunk;
use super::super::settings::BatchRequest;
use super::answers::{self, BatchAnswer, ask, conflict, invalid};
use super::intake::{self, Encoding, Intake, Piece, Stop};
use super::orders::{owned, unsealed};
use super::remembered;
use crate::http::discard;
use crate::ingest::{Ingest, Pass, ProblemJson, Refusal, path_text, respond};

/// Pieces of a body between the network and the reader of rows.
const PIECES: usize = 8;
/// Days that a chunk outlives the time a batch is known: room for the last look at its results.
const CHUNK_DAYS: i64 = 31;
const DAY_MS: i64 = 86_400_000;

/// Which part of the rows a body is.
#[derive(Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Part {
    /// Rows before it: the batch's `next_row`.
    pub from: i64,
    /// No further part will come.
    pub complete: bool,
}

impl Default for Part {
    fn default() -> Self {
        Self { from: 0, complete: true }
    }
}

/// Takes rows. An upload that broke off goes on with the rows from `next_row` on; a CSV with its header
/// again. Rows that cannot be sent are counted as refused, and hold up no other.
#[utoipa::path(
    put, path = "/batches/{id}/rows", operation_id = "putRows", tag = "batches",
    request_body(content(
        (String = "application/x-ndjson"),
        (String = "text/csv"),
    )),
    params(
        ("id" = String, Path, description = "As the 201 gave it"),
        ("from" = Option<i64>, Query, description = "Rows before this part: the batch's next_row"),
        ("complete" = Option<bool>, Query, description = "false where further parts will come"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`"),
    ),
    responses(
        (status = 200, description = "Durable, all of them", body = BatchAnswer),
        (status = 400, description = "The rows broke off or cannot be read on; those before are durable",
            body = ProblemJson),
        (status = 401, description = "No valid key"),
        (status = 403, description = "Not allowed", body = ProblemJson),
        (status = 404, description = "This service has no such batch", body = ProblemJson),
        (status = 409, description = "The batch takes no rows, or not these", body = ProblemJson),
        (status = 415, description = "Another encoding of body", body = ProblemJson),
        (status = 429, description = "Not taken: come again"),
        (status = 500, description = "Ours; look at the batch and go on", body = ProblemJson),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn put_rows(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    id: Result<Path<String>, PathRejection>,
    part: Result<Query<Part>, QueryRejection>,
    headers: HeaderMap,
    body: HttpBody,
) -> Response {
    let taken = async {
        let state = owned(&ingest, &pass, &path_text(id))?;
        let part = part.map(|Query(part)| part);
        let part = part.map_err(|_| invalid("The query takes from (a number) and complete."))?;
        let state = take(&ingest, &pass, &state, part, &headers, body).await?;
        answers::shown(&ingest, &state.batch_id, StatusCode::OK)
    };
    respond(taken.await)
}

/// Takes the rows of `body` into the batch.
///
/// # Errors
/// [`Refusal`]; rows that were told to be durable stay so.
pub async fn take(
    ingest: &Arc<Ingest>,
    pass: &Pass,
    state: &BatchState,
    part: Part,
    headers: &HeaderMap,
    body: HttpBody,
) -> Result<BatchState, Refusal> {
    let begun = begin(ingest, pass, state, part, headers).await;
    let (intake, place) = match begun {
        Ok(begun) => begun,
        Err(refusal) => {
            discard(body, ingest.config.body());
            return Err(refusal);
        }
    };
    let raw = forward(ingest, body);
    let (pieces, mut read) = mpsc::channel(1);
    let reading = Arc::clone(ingest);
    tokio::task::spawn_blocking(move || intake::run(&reading, intake, raw, &pieces));
    let (ingest, state) = (Arc::clone(ingest), state.clone());
    // A task of its own: with a client that goes away this request ends, and the whole rows that came
    // before are durable all the same.
    let kept = tokio::spawn(async move {
        let kept = keep_all(&ingest, state, part, &mut read).await;
        drop(place);
        kept
    });
    kept.await.unwrap_or_else(|_| Err(unsealed().into()))
}

async fn keep_all(
    ingest: &Ingest,
    mut state: BatchState,
    part: Part,
    read: &mut mpsc::Receiver<Piece>,
) -> Result<BatchState, Refusal> {
    while let Some(piece) = read.recv().await {
        match piece {
            Piece::Rows(rows) => state = keep(ingest, &state, rows).await?,
            Piece::End(Ok(())) if part.complete => {
                return answers::give(ingest, &state, BatchOrder::Complete).await;
            }
            Piece::End(Ok(())) => return Ok(state),
            Piece::End(Err(stop)) => return Err(stopped(&state, stop).into()),
        }
    }
    Err(unsealed().into())
}

fn stopped(state: &BatchState, stop: Stop) -> Problem {
    let durable = state.rows;
    let on = format!("{durable} rows are durable; send the rest with ?from={durable}.");
    match stop {
        Stop::Cut => invalid(format!("The body stopped early. {on}")),
        Stop::Unreadable(why) => invalid(format!("{why}. {on}")),
        Stop::Unsealed => unsealed(),
    }
}

/// Everything that can be refused before a byte of the body is read.
async fn begin(
    ingest: &Arc<Ingest>,
    pass: &Pass,
    state: &BatchState,
    part: Part,
    headers: &HeaderMap,
) -> Result<(Intake, tokio::sync::OwnedSemaphorePermit), Refusal> {
    let encoding = Encoding::of(headers).ok_or_else(|| {
        let detail = "Content-Encoding must be gzip, zstd or absent.";
        Problem::new(415, "Unsupported encoding", detail)
    })?;
    if state.complete || policy::batch::life::is_over(state.phase) {
        let phase = state.phase.name();
        return Err(conflict(format!("The batch is {phase} and takes no further rows.")).into());
    }
    if part.from != state.rows {
        let rows = state.rows;
        return Err(conflict(format!(
            "The batch has {rows} rows: send the file from its row {} on, with ?from={rows}.",
            rows + 1
        ))
        .into());
    }
    let batches = &ingest.batches;
    let place = Arc::clone(&batches.uploads).try_acquire_owned().map_err(|_| Refusal::NotReady)?;
    let plan = &state.plan;
    let (key, settings) = (&plan.wrapped_key.0, &plan.settings.0);
    let plain = chunk::open_settings(&ingest.sealer, &state.batch_id, key, settings);
    let request = plain.and_then(|plain| serde_json::from_slice::<BatchRequest>(&plain).ok());
    let wishes = request.and_then(|request| request.wishes().ok()).ok_or_else(unsealed)?;
    let seen = remembered::rows(ingest, state).await?;
    let intake = Intake {
        batch: state.batch_id.clone(),
        number: state.chunks,
        rows: state.rows,
        format: wishes.format,
        encoding,
        seen,
        pass: pass.clone(),
    };
    Ok((intake, place))
}

/// Hands the body on piece by piece; behind a reader that has gone away it is thrown away for a while.
fn forward(ingest: &Ingest, body: HttpBody) -> mpsc::Receiver<io::Result<Bytes>> {
    let (pieces, raw) = mpsc::channel(PIECES);
    let idle = Duration::from_millis(ingest.batches.config.upload_idle_ms);
    let limits = ingest.config.body();
    tokio::spawn(async move {
        let mut stream = body.into_data_stream();
        loop {
            let piece = match tokio::time::timeout(idle, stream.next()).await {
                Ok(None) => return,
                Ok(Some(Ok(piece))) => Ok(piece),
                Ok(Some(Err(_))) | Err(_) => Err(io::ErrorKind::ConnectionAborted.into()),
            };
            let is_cut = piece.is_err();
            if pieces.send(piece).await.is_err() {
                return discard(HttpBody::from_stream(stream), limits);
            }
            if is_cut {
                return;
            }
        }
    });
    raw
}

/// Makes a chunk durable: first its rows, then the order that makes them the batch's.
async fn keep(
    ingest: &Ingest,
    state: &BatchState,
    rows: intake::SealedRows,
) -> Result<BatchState, Refusal> {
    let batches = &ingest.batches;
    let world = &ingest.world;
    let day = last_day(world.now(), batches.config.keep_days);
    let object = format!("{day}/{:016x}{:016x}", world.random(), world.random());
    let chunk = BatchChunk {
        batch_id: state.batch_id.clone(),
        number: rows.number,
        first_row: state.rows,
        rows: rows.rows,
        refused: rows.refused,
        repeated: rows.repeated,
        object: object.clone(),
        length: i64::try_from(rows.sealed.len()).unwrap_or(i64::MAX),
        wrapped_key: Sealed(rows.wrapped_key),
    };
    batches.store.put(&object, rows.sealed).await.map_err(|_| unsealed())?;
    let order =
        BatchCommand { chunk: Some(chunk), ..answers::order(ingest, state, BatchOrder::Append) };
    let next = ask(ingest, order).await?;
    if next.chunks <= rows.number {
        let phase = next.phase.name();
        return Err(conflict(format!(
            "The batch is {phase} and takes no further rows; it has {}.",
            next.rows
        ))
        .into());
    }
    let until = world.now().plus(Duration::from_millis(batches.config.answer_within_ms));
    let seen = batches.view.chunk_seen(&state.batch_id, rows.number, until, world).await;
    match seen {
        Some(chunk) if chunk.object == object => Ok(next),
        Some(_) => Err(conflict(format!(
            "Another upload to the batch is under way, and has brought its rows to {}. Let one of them \
             go on.",
            next.rows
        ))
        .into()),
        None => Err(answers::unknown().into()),
    }
}

/// The day under which a chunk lies in the store: with it, it goes.
fn last_day(now: Timestamp, keep_days: u32) -> i64 {
    now.0.div_euclid(DAY_MS) + i64::from(keep_days) + CHUNK_DAYS
}
