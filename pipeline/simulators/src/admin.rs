//! The admin listener of a double: plain HTTP on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures::stream;
use serde::Deserialize;

use crate::control::{Controls, Script};
use crate::journal::Journal;
use crate::listen::{self, Life};
use crate::{StartError, ids};

/// Lines handed over at a time, so that a million of them are never copied at once.
const LINES_AT_A_TIME: usize = 1000;

#[derive(Clone)]
struct Admin {
    journal: Arc<Journal>,
    controls: Arc<Controls>,
    forget: Arc<dyn Fn() + Send + Sync>,
}

/// `forget` clears what the double counts per address; `POST /reset` calls it too.
pub(crate) async fn start(
    journal: Arc<Journal>,
    controls: Arc<Controls>,
    forget: impl Fn() + Send + Sync + 'static,
    life: &Life,
) -> Result<SocketAddr, StartError> {
    let (listener, address) = listen::bind().await?;
    let admin = Admin { journal, controls, forget: Arc::new(forget) };
    let router = Router::new()
        .route("/received", get(received))
        .route(
            "/counts",
            get(|State(admin): State<Admin>| async move { Json(admin.journal.counts()) }),
        )
        .route("/reset", post(reset))
        .route("/script", post(script))
        .with_state(admin);
    // Its connections are axum's tasks, not ours: they end when they are told to, unawaited.
    let cancelled = life.cancelled();
    life.spawn(async move {
        let _ = axum::serve(listener, router).with_graceful_shutdown(cancelled).await;
    });
    Ok(address)
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: usize,
}

async fn received(State(admin): State<Admin>, Query(From { from }): Query<From>) -> Response {
    let chunks = stream::unfold(from, move |from| {
        let lines = admin.journal.lines(from, LINES_AT_A_TIME);
        async move {
            let next = from + lines.len();
            let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
            (!lines.is_empty()).then_some((Ok::<_, std::convert::Infallible>(text), next))
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(chunks)).into_response()
}

async fn reset(State(admin): State<Admin>) -> StatusCode {
    admin.controls.reset();
    admin.journal.reset();
    (admin.forget)();
    StatusCode::NO_CONTENT
}

async fn script(State(admin): State<Admin>, body: Bytes) -> Response {
    let applied = ids::object::<Script>(&body)
        .map_err(|wrong| wrong.to_string())
        .and_then(|script| admin.controls.apply(script).map_err(str::to_owned));
    match applied {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(wrong) => (StatusCode::BAD_REQUEST, wrong).into_response(),
    }
}
