//! What stands before every handler: strangers are bounded by their address, answers are counted.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::answers::{Stranger, Trouble};
use super::api::CitizenApi;
use super::metrics::Asked;
use super::rates::Origin;
use super::rules::Refusal;
use crate::http::Peer;
use crate::ingest::client_address;

/// An address that has shown too many invalid tokens waits for the next window, whatever it bears:
/// nothing tells a valid token before its signature is checked, and that check is what is bounded.
/// Answers that it gets meanwhile are not counted against it.
pub(super) async fn door(
    State(api): State<Arc<CitizenApi>>,
    request: Request,
    next: Next,
) -> Response {
    let started = api.world.now();
    let asked = Asked::of(&request);
    let origin = origin(&api, &request);
    let barred = origin.map_or(Ok(()), |origin| api.rates.strangers.look(&origin, started));
    let response = match barred {
        Err(wait) => Trouble::TooMany(wait).into_response(),
        Ok(()) => {
            let response = readable(next.run(request).await);
            if let (Some(origin), Some(Stranger)) = (origin, response.extensions().get()) {
                // Its own answer stands; the next one asks again.
                let _ = api.rates.strangers.take(origin, started);
            }
            response
        }
    };
    let seconds = api.world.now().since(started).as_secs_f64();
    api.metrics.answered(asked, response.status().as_u16(), seconds);
    response
}

/// What the framework says of a path or query that it cannot read is a text of its own: here it is a problem,
/// as every refusal is.
fn readable(response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_text = kind.is_some_and(|kind| kind.starts_with(b"text/plain"));
    if response.status() == StatusCode::BAD_REQUEST && is_text {
        return Trouble::from(Refusal::Bad("The path or the query cannot be read."))
            .into_response();
    }
    response
}

/// Absent where a trusted proxy named no address that can be read.
fn origin(api: &CitizenApi, request: &Request) -> Option<Origin> {
    let peer = request.extensions().get::<Peer>()?.address.ip();
    let config = &api.config;
    let names = &config.client_address_headers;
    client_address(peer, request.headers(), names, &config.trusted_proxies).map(Origin::from)
}
