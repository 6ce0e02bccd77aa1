//! POST `/messages`: from a body to an acknowledged record, or a refusal.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use hyper::header::{HeaderValue, LOCATION};
use hyper::{HeaderMap, StatusCode};
use policy::admit::{Admitted, Body, Caller, Lookups, Problem, Submission, admit};
use policy::claim::Claimed;
use runtime::crash::{self, Point};
use schemas::headers::Claim;
use schemas::ids::{MessageId, Timestamp};

use super::answers::GatewayError;
use super::gate::Pass;
use super::openapi::{CreatedMessage, NewMessageRequest, ProblemJson};
use super::ports::{Appended, NotReady};
use super::router::Ingest;
use super::seal::Unsealed;
use super::{answers, idempotency};
use crate::http::{Read, read_body};

/// Submits a message; the fiscal code stands in the body.
#[utoipa::path(
    post, path = "/messages", operation_id = "submitMessageforUserWithFiscalCodeInBody",
    tag = "messages", request_body = NewMessageRequest,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "A repeat with the same key and body gets the same message")),
    responses(
        (status = 201, description = "Accepted, durably", body = CreatedMessage),
        (status = 400, description = "Not understood", body = ProblemJson, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = GatewayError),
        (status = 403, description = "Not allowed", body = ProblemJson, content_type = "application/problem+json"),
        (status = 404, description = "No such remote content configuration", body = ProblemJson, content_type = "application/problem+json"),
        (status = 409, description = "The Idempotency-Key belongs to another request",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests, or not taken; nothing was accepted", body = GatewayError),
        (status = 500, description = "Ours; whether it was accepted is not known",
            body = ProblemJson, content_type = "application/problem+json"),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn submit(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    headers: HeaderMap,
    body: HttpBody,
) -> Response {
    answer(&ingest, &pass, None, &headers, body).await
}

/// Submits a message; the fiscal code stands in the path. Discouraged.
#[utoipa::path(
    post, path = "/messages/{fiscal_code}", operation_id = "submitMessageforUser",
    tag = "messages", request_body = NewMessageRequest,
    params(
        ("fiscal_code" = String, Path, description = "The recipient"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A repeat with the same key and body gets the same message"),
    ),
    responses(
        (status = 201, description = "Accepted, durably", body = CreatedMessage),
        (status = 400, description = "Not understood", body = ProblemJson, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = GatewayError),
        (status = 403, description = "Not allowed", body = ProblemJson, content_type = "application/problem+json"),
        (status = 404, description = "No such remote content configuration", body = ProblemJson, content_type = "application/problem+json"),
        (status = 409, description = "The Idempotency-Key belongs to another request",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests, or not taken; nothing was accepted", body = GatewayError),
        (status = 500, description = "Ours; whether it was accepted is not known",
            body = ProblemJson, content_type = "application/problem+json"),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn submit_to(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    code: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: HttpBody,
) -> Response {
    answer(&ingest, &pass, Some(&path_text(code)), &headers, body).await
}

/// A path segment; one that is no UTF-8 becomes a text that nothing accepts.
pub fn path_text(segment: Result<Path<String>, PathRejection>) -> String {
    segment.map_or_else(|_| "\u{fffd}".to_owned(), |Path(text)| text)
}

async fn answer(
    ingest: &Ingest,
    pass: &Pass,
    path_code: Option<&str>,
    headers: &HeaderMap,
    body: HttpBody,
) -> Response {
    let read = read_body(body, ingest.config.body()).await;
    let admitted = match admitted(ingest, pass, path_code, &read) {
        Ok(admitted) => admitted,
        Err(problem) => return answers::problem(&problem),
    };
    let key = match idempotency::key_of(headers) {
        Ok(key) => key,
        Err(problem) => return answers::problem(&problem),
    };
    let offered = new_id(ingest, ingest.world.now());
    let Some(key) = key else { return accept(ingest, pass, &admitted, None, offered).await };
    let hashes = ingest.sealer.keyring.hashes();
    let service = &pass.service.service_id;
    let claim = idempotency::claim(hashes, service, key, path_code, whole(&read));
    let id = match ingest.claims.claim(&claim, offered).await {
        Ok(Claimed::New) => offered,
        Ok(Claimed::Same { id, is_in_log: true }) => return created(&admitted, id),
        Ok(Claimed::Same { id, is_in_log: false }) => id,
        Ok(Claimed::Other) => {
            return answers::problem(&Problem::conflict(
                "The Idempotency-Key was used before for another request.",
            ));
        }
        Err(NotReady) => return answers::not_taken(),
    };
    accept(ingest, pass, &admitted, Some(claim), id).await
}

fn whole(read: &Read) -> &[u8] {
    match read {
        Read::Whole(bytes) => bytes,
        Read::TooLong | Read::TooSlow | Read::Cut => &[],
    }
}

/// A body as the rules take it; one cut short reads as no body.
pub fn as_body(read: &Read) -> Body<'_> {
    match read {
        Read::Whole(bytes) => Body::Whole(bytes),
        Read::Cut => Body::Whole(&[]),
        Read::TooLong => Body::TooLong,
        Read::TooSlow => Body::TooSlow,
    }
}

fn admitted(
    ingest: &Ingest,
    pass: &Pass,
    path_code: Option<&str>,
    read: &Read,
) -> Result<Admitted, Problem> {
    admit(
        &Submission {
            caller: Caller::of(&pass.service),
            service: Some(&pass.service),
            client_ip: pass.client_ip,
            path_code,
            body: as_body(read),
        },
        &Lookups {
            pseudonym_of: &|code| ingest.sealer.pseudonym_of(code),
            owner_of: &|configuration| ingest.registry.owner_of(configuration),
        },
    )
}

fn new_id(ingest: &Ingest, now: Timestamp) -> MessageId {
    let mut random = [0; 16];
    ingest.world.fill(&mut random[6..]);
    MessageId::from_parts(u64::try_from(now.0).unwrap_or(0), u128::from_be_bytes(random))
}

async fn accept(
    ingest: &Ingest,
    pass: &Pass,
    admitted: &Admitted,
    claim: Option<Claim>,
    id: MessageId,
) -> Response {
    let now = ingest.world.now();
    let record = match ingest.sealer.seal(admitted, &pass.service, id, now, &ingest.world) {
        Ok(record) => record,
        Err(Unsealed::Wait) => return answers::not_taken(),
        Err(Unsealed::Broken) => {
            return answers::problem(&Problem::internal("The message could not be sealed."));
        }
    };
    crash::at(Point::Sealed);
    match ingest.accept.append(record, claim).await {
        Appended::Acked => {
            crash::at(Point::Acknowledged);
            created(admitted, id)
        }
        Appended::NotTaken => answers::not_taken(),
        Appended::Unknown => answers::problem(&Problem::internal(
            "Whether the message was accepted is not known. Repeat with an Idempotency-Key.",
        )),
    }
}

fn created(admitted: &Admitted, id: MessageId) -> Response {
    let body = Json(CreatedMessage { id: id.to_string() });
    let mut response = (StatusCode::CREATED, body).into_response();
    let location = format!("/api/v1/messages/{}/{id}", admitted.recipient.as_str());
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
