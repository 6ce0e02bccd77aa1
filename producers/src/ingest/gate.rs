//! What the gateway does before any handler: key, rate, certificate. Rows 1 to 3 of the order of checks.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::header::HeaderName;
use policy::admit::group::Group;
use policy::admit::rate::Rate;
use policy::admit::service::Service;

use super::address::client_address;
use super::answers::{self, RATE_REMAINING};
use super::metrics::Operation;
use super::router::Ingest;
use crate::http::Peer;

const KEY: HeaderName = HeaderName::from_static("ocp-apim-subscription-key");

/// A request that passed: whose key it bore and where it came from.
#[derive(Clone)]
pub struct Pass {
    pub service: Arc<Service>,
    pub client_ip: Option<IpAddr>,
}

/// Refused calls past the key count against the rate, whatever a handler then says.
pub async fn gate(
    State((ingest, operation)): State<(Arc<Ingest>, Operation)>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = ingest.world.now();
    let response = match pass(&ingest, &request) {
        Err(refusal) => *refusal,
        Ok((pass, remaining)) => {
            request.extensions_mut().insert(pass);
            let mut response = next.run(request).await;
            if let Some(remaining) = remaining {
                response.headers_mut().insert(RATE_REMAINING, remaining.into());
            }
            response
        }
    };
    let seconds = ingest.world.now().since(started).as_secs_f64();
    ingest.metrics.answered(operation, response.status().as_u16(), seconds);
    response
}

fn pass(ingest: &Ingest, request: &Request) -> Result<(Pass, Option<u32>), Box<Response>> {
    let headers = request.headers();
    let key = headers.get(KEY).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Box::new(answers::key_missing()))?;
    let known = key
        .to_str()
        .ok()
        .and_then(|key| ingest.registry.by_key(&ingest.sealer.keyring.hashes().api_key(key)));
    let service = known.ok_or_else(|| Box::new(answers::key_invalid()))?;
    let rate = ingest.limiter.take(&service.account.account_id, service.groups, ingest.world.now());
    let remaining = match rate {
        Rate::Unlimited => None,
        Rate::Taken { remaining } => Some(remaining),
        Rate::Refused { retry_after_s } => {
            return Err(Box::new(answers::rate_exceeded(retry_after_s)));
        }
    };
    let peer = request.extensions().get::<Peer>();
    let certified = peer.is_some_and(|peer| peer.has_certificate);
    if service.groups.has(Group::ApiAuthenticationClientCertificate) && !certified {
        return Err(Box::new(answers::certificate_missing()));
    }
    let config = &ingest.config;
    let client_ip = peer.and_then(|peer| {
        let names = &config.client_address_headers;
        client_address(peer.address.ip(), headers, names, &config.trusted_proxies)
    });
    Ok((Pass { service, client_ip }, remaining))
}
