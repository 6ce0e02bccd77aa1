//! What stands before every handler: strangers are bounded by their address, answers are counted.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::answers::{Stranger, Trouble};
use super::api::CitizenApi;
use super::metrics::Asked;
use super::rates::Origin;
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
            let response = next.run(request).await;
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

/// Absent where a trusted proxy named no address that can be read.
fn origin(api: &CitizenApi, request: &Request) -> Option<Origin> {
    let peer = request.extensions().get::<Peer>()?.address.ip();
    let config = &api.config;
    let names = &config.client_address_headers;
    client_address(peer, request.headers(), names, &config.trusted_proxies).map(Origin::from)
}
