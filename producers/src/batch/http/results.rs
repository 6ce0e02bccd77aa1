//! GET `/batches/{id}/results`: one line for each row, in order.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body as HttpBody;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use policy::batch::identity::Family;
use policy::batch::words;
use schemas::records::{BatchChunk, BatchState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::chunk::{self, Row, Unopened};
use super::answers::invalid;
use super::orders::owned;
use crate::ingest::{Ingest, Pass, ProblemJson, path_text, respond};

/// What became of one row.
#[derive(Serialize, ToSchema)]
pub struct ResultLine {
    /// From 1; neither a header nor an empty line counts.
    pub row: i64,
    /// The row's own name, where the batch has an `id_column`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of its message, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// `REFUSED`, `VALID`, `WAITING`, `CANCELLED`, `RELEASED`, or the message's status.
    pub status: &'static str,
    /// In plain words.
    pub reason: String,
    /// It says what an earlier row said.
    pub repeated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Ndjson,
    Csv,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    format: Option<Form>,
}

/// What became of each row, in the order of the rows. Written while it is read: rows that go on meanwhile
/// may be shown as they were a moment ago.
#[utoipa::path(
    get, path = "/batches/{id}/results", operation_id = "getBatchResults", tag = "batches",
    params(
        ("id" = String, Path, description = "As the 201 gave it"),
        ("format" = Option<String>, Query, description = "`ndjson` or `csv`; else as `Accept` says"),
    ),
    responses(
        (status = 200, description = "A line for each row", content(
            (ResultLine = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, description = "Not understood", body = ProblemJson),
        (status = 401, description = "No valid key"),
        (status = 403, description = "Not allowed", body = ProblemJson),
        (status = 404, description = "This service has no such batch", body = ProblemJson),
        (status = 429, description = "Too many requests, or the view is not ready"),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn results(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    id: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let found = || {
        let state = owned(&ingest, &pass, &path_text(id))?;
        let wanted = wanted.map_err(|_| invalid("format must be ndjson or csv."))?;
        let accepts_csv = headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/csv"));
        let by_header = if accepts_csv { Form::Csv } else { Form::Ndjson };
        Ok(written(&ingest, state, wanted.format.unwrap_or(by_header)))
    };
    respond(found())
}

fn written(ingest: &Arc<Ingest>, state: BatchState, form: Form) -> Response {
    let kind = match form {
        Form::Ndjson => "application/x-ndjson",
        Form::Csv => "text/csv; charset=utf-8; header=present",
    };
    let (ingest, state) = (Arc::clone(ingest), Arc::new(state));
    let head = match form {
        Form::Ndjson => Bytes::new(),
        Form::Csv => Bytes::from_static(b"row,id,message_id,status,reason,repeated\r\n"),
    };
    let lines = stream::try_unfold((0, Some(head)), move |(number, head)| {
        let (ingest, state) = (Arc::clone(&ingest), Arc::clone(&state));
        async move {
            if let Some(head) = head {
                return Ok(Some((head, (0, None))));
            }
            if number >= state.chunks {
                return Ok(None);
            }
            let lines = lines_of(&ingest, &state, number, form).await?;
            Ok::<_, Broken>(Some((lines, (number + 1, None))))
        }
    });
    ([(CONTENT_TYPE, kind)], HttpBody::from_stream(lines)).into_response()
}

/// The answer breaks off: its reader sees that it is not whole.
#[derive(Debug, thiserror::Error)]
#[error("the store or a key is not at hand")]
struct Broken;

async fn lines_of(
    ingest: &Ingest,
    state: &BatchState,
    number: i32,
    form: Form,
) -> Result<Bytes, Broken> {
    let batches = &ingest.batches;
    let until = ingest.world.now().plus(std::time::Duration::from_secs(10));
    let seen = batches.view.chunk_seen(&state.batch_id, number, until, &ingest.world).await;
    let chunk = seen.ok_or(Broken)?;
    let length = u64::try_from(chunk.length).unwrap_or(0);
    let sealed = batches.store.get(&chunk.object, length).await.map_err(|_| Broken)?;
    let opened = match sealed.map(|sealed| chunk::open(&ingest.sealer, &chunk, &sealed)) {
        Some(Ok(rows)) => Some(rows.rows),
        Some(Err(Unopened::Wait)) => return Err(Broken),
        // What its rows said is lost; what became of them is still known.
        Some(Err(Unopened::Lost(_))) | None => None,
    };
    let lines = lines(ingest, state, &chunk, opened.as_deref());
    match form {
        Form::Ndjson => ndjson(&lines),
        Form::Csv => csv(&lines),
    }
}

fn lines(
    ingest: &Ingest,
    state: &BatchState,
    chunk: &BatchChunk,
    rows: Option<&[Row]>,
) -> Vec<ResultLine> {
    let family = Family::of(state.plan.created_at, &state.batch_id);
    let count = usize::try_from(chunk.rows).unwrap_or(0);
    let fates = ingest.batches.view.fates(&state.batch_id, chunk.first_row, count);
    let line = |(at, fate): (i64, _)| {
        let row = rows.and_then(|rows| rows.get(usize::try_from(at).unwrap_or(usize::MAX)));
        let number = chunk.first_row + at;
        let refused = row.and_then(|row| row.refused.as_ref());
        let (status, reason) = match refused {
            Some(refused) => ("REFUSED", format!("{}: {}", refused.title, refused.detail)),
            None => {
                let (status, words) = words::of_row(state, number, &fate);
                (status, words.to_owned())
            }
        };
        let has_message = refused.is_none() && (number < state.released || fate.status.is_some());
        let message = family.filter(|_| has_message).map(|family| family.message(number));
        ResultLine {
            row: number + 1,
            id: row.and_then(|row| row.id.clone()),
            message_id: message.map(|id| id.to_string()),
            status,
            reason,
            repeated: row.is_some_and(|row| row.repeated),
        }
    };
    (0..).zip(fates).map(line).collect()
}

fn ndjson(lines: &[ResultLine]) -> Result<Bytes, Broken> {
    let mut out = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut out, line).map_err(|_| Broken)?;
        out.push(b'\n');
    }
    Ok(out.into())
}

fn csv(lines: &[ResultLine]) -> Result<Bytes, Broken> {
    let mut out =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    for line in lines {
        let (row, repeated) = (line.row.to_string(), line.repeated.to_string());
        let id = line.id.as_deref().unwrap_or_default();
        let message = line.message_id.as_deref().unwrap_or_default();
        let fields = [&row, id, message, line.status, &line.reason, &repeated];
        out.write_record(fields).map_err(|_| Broken)?;
    }
    out.into_inner().map(Bytes::from).map_err(|_| Broken)
}
