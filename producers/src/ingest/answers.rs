//! Answers on the wire: problems of handlers, bodies of the gateway, success.

use axum::Json;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use policy::admit::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::ports::NotReady;

pub const RATE_RETRY_AFTER: &str = "x-rate-limit-retry-after";
pub const RATE_REMAINING: &str = "x-rate-limit-remaining";

/// What the gateway says, in its own form rather than as a problem.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayError {
    pub status_code: u16,
    pub message: String,
}

/// Why a request was not followed.
pub enum Refusal {
    Problem(Problem),
    /// Ours, for now: the same request may come again.
    NotReady,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<NotReady> for Refusal {
    fn from(_: NotReady) -> Self {
        Self::NotReady
    }
}

pub fn respond(answer: Result<Response, Refusal>) -> Response {
    match answer {
        Ok(response) => response,
        Err(Refusal::Problem(refused)) => problem(&refused),
        Err(Refusal::NotReady) => not_taken(),
    }
}

pub fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

fn gateway(status: StatusCode, message: impl Into<String>) -> Response {
    let body = GatewayError { status_code: status.as_u16(), message: message.into() };
    (status, Json(body)).into_response()
}

pub fn key_missing() -> Response {
    gateway(
        StatusCode::UNAUTHORIZED,
        "Access denied due to missing subscription key. Make sure to include subscription key when \
         making requests to an API.",
    )
}

pub fn key_invalid() -> Response {
    gateway(
        StatusCode::UNAUTHORIZED,
        "Access denied due to invalid subscription key. Make sure to provide a valid key for an \
         active subscription.",
    )
}

pub async fn unknown_path() -> Response {
    gateway(StatusCode::NOT_FOUND, "Resource not found")
}

/// Bare, as IO's gateway gives it: a reason phrase and no body.
pub fn certificate_missing() -> Response {
    let mut response = StatusCode::FORBIDDEN.into_response();
    response.extensions_mut().insert(ReasonPhrase::from_static(b"Invalid client certificate"));
    response
}

pub fn rate_exceeded(retry_after_s: u32) -> Response {
    let message = format!("Rate limit is exceeded. Try again in {retry_after_s} seconds.");
    let mut response = retry_later(message, retry_after_s);
    response.headers_mut().insert(RATE_REMAINING, HeaderValue::from_static("0"));
    response
}

/// Nothing was taken; the same request may come again.
pub fn not_taken() -> Response {
    retry_later("Not taken: the service is busy. Try again in 1 seconds.".to_owned(), 1)
}

fn retry_later(message: String, seconds: u32) -> Response {
    let mut response = gateway(StatusCode::TOO_MANY_REQUESTS, message);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, seconds.into());
    headers.insert(RATE_RETRY_AFTER, seconds.into());
    response
}
