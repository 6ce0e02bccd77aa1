//! What every answer carries: headers against browsers' mischief, and open CORS where a door has it.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, HeaderName, HeaderValue,
};
use hyper::{HeaderMap, Method, StatusCode};

/// Whether browsers of any origin may use a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Any origin, method and header, as IO's gateway allows.
    AnyOrigin,
    SameOrigin,
}

const SECURITY: [(&str, &str); 9] = [
    ("content-security-policy", "default-src 'none'; upgrade-insecure-requests"),
    ("strict-transport-security", "max-age=15552000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-dns-prefetch-control", "off"),
];

/// Puts the headers on every answer of `router`, refusals and unknown paths included, and answers
/// preflights before any key is asked for.
pub fn secured(router: Router, door: Door) -> Router {
    router.layer(from_fn_with_state(door, answer))
}

async fn answer(
    axum::extract::State(door): axum::extract::State<Door>,
    request: Request,
    next: Next,
) -> Response {
    let preflight = door == Door::AnyOrigin
        && request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight {
        let mut response = StatusCode::OK.into_response();
        allow(request.headers(), response.headers_mut());
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // Answers hold persons' data and statuses that change.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if door == Door::AnyOrigin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    }
    response
}

/// Repeats what the browser asks for: `*` would leave out `Authorization`.
fn allow(asked: &HeaderMap, allowed: &mut HeaderMap) {
    if let Some(method) = asked.get(ACCESS_CONTROL_REQUEST_METHOD) {
        allowed.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    }
    if let Some(headers) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        allowed.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
    }
    allowed.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("300"));
}
