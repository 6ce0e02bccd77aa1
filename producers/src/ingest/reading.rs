//! GET `/messages/{fiscal_code}/{id}`: a message as its sender may see it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use policy::admit::projection::{Seen, Standing};
use policy::admit::read::{is_senders_own, may_read_message, may_see_advanced};
use policy::admit::{Caller, Problem};
use policy::contract::{FeatureLevel, FiscalCode, date};
use schemas::content::Content;
use schemas::ids::{MessageId, Timestamp};
use schemas::records::Status;
use serde::Serialize;

use super::answers::{GatewayError, Refusal, respond};
use super::gate::Pass;
use super::openapi::{MessageResponse, ProblemJson};
use super::ports::Known;
use super::router::Ingest;

/// An id that we gave out less than this ago may not have reached the view yet: not known is not unknown.
const FRESH: Duration = Duration::from_secs(60);

/// Gets a message with its content and what became of it. Waits briefly while it is only accepted.
#[utoipa::path(
    get, path = "/messages/{fiscal_code}/{id}", operation_id = "getMessage", tag = "messages",
    params(
        ("fiscal_code" = String, Path, description = "The recipient"),
        ("id" = String, Path, description = "As the 201 gave it"),
    ),
    responses(
        (status = 200, description = "The message", body = MessageResponse),
        (status = 400, description = "Not understood", body = ProblemJson, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = GatewayError),
        (status = 403, description = "Not allowed, or another sender's", body = ProblemJson, content_type = "application/problem+json"),
        (status = 404, description = "No such message to this recipient", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests, or the view is not ready", body = GatewayError),
        (status = 500, description = "Ours", body = ProblemJson, content_type = "application/problem+json"),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn get_message(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    let (code, id) = path.map_or_else(|_| ("\u{fffd}".into(), "?".into()), |Path(pair)| pair);
    respond(answer(&ingest, &pass, &code, &id).await)
}

async fn answer(ingest: &Ingest, pass: &Pass, code: &str, id: &str) -> Result<Response, Refusal> {
    let caller = Caller::of(&pass.service);
    let (code, id) = may_read_message(&caller, Some(&pass.service), pass.client_ip, code, id)?;
    let id = id.ok_or_else(Problem::message_not_found)?;
    let asked_for = ingest.sealer.pseudonym_of(&code);
    let owned = |known: &Option<Known>| {
        let found = known.as_ref().map(|known| (known.citizen, &known.service_id));
        is_senders_own(&caller, asked_for, found)
    };
    let mut known = ingest.statuses.standing(id, Duration::ZERO).await?;
    let waits = match &known {
        // Somebody else's message is refused before it is waited for.
        Some(found) => owned(&known).is_ok() && found.standing.status == Status::Accepted,
        None => is_fresh(id, ingest.world.now()),
    };
    if waits {
        known = ingest.statuses.standing(id, ingest.config.status_wait()).await?;
    }
    // The view may be further behind than anybody waits.
    if known.is_none() && is_fresh(id, ingest.world.now()) {
        return Err(Refusal::NotReady);
    }
    owned(&known)?;
    let known = known.ok_or_else(Problem::message_not_found)?;
    let content = ingest.contents.open(&known, id).await?;
    Ok(Json(view(&caller, code, id, &known, content)).into_response())
}

fn minted_at(id: MessageId) -> Timestamp {
    let bytes = id.to_bytes();
    let millis = bytes[..6].iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
    Timestamp(millis)
}

fn is_fresh(id: MessageId, now: Timestamp) -> bool {
    let minted = minted_at(id);
    minted <= now && now.since(minted) < FRESH
}

#[derive(Serialize)]
struct View {
    message: MessageView,
    #[serde(flatten)]
    seen: Seen,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_status: Option<&'static str>,
}

#[derive(Serialize)]
struct MessageView {
    id: String,
    fiscal_code: FiscalCode,
    created_at: String,
    sender_service_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_level_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_live: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<serde_json::Value>,
}

fn view(
    caller: &Caller,
    code: FiscalCode,
    id: MessageId,
    known: &Known,
    content: Option<Content>,
) -> View {
    let level = content.as_ref().map_or(FeatureLevel::Standard, |content| {
        match content.feature_level_type.as_str() {
            "ADVANCED" => FeatureLevel::Advanced,
            _ => FeatureLevel::Standard,
        }
    });
    let advanced = may_see_advanced(caller, level, is_pending(&known.standing));
    View {
        message: MessageView {
            id: id.to_string(),
            fiscal_code: code,
            created_at: content
                .as_ref()
                .map_or_else(|| date::format(minted_at(id)), |content| content.created_at.clone()),
            sender_service_id: known.service_id.to_string(),
            feature_level_type: content.as_ref().map(|content| content.feature_level_type.clone()),
            time_to_live: content.as_ref().map(|content| content.time_to_live),
            content: content.map(|content| content.content),
        },
        seen: known.standing.project(),
        // Whether it was read is for the citizen to disclose, and no such disclosure is held.
        read_status: advanced.then_some("UNAVAILABLE"),
    }
}

/// IO's `isPending`: until the content is stored, and for ever where it is rejected.
fn is_pending(standing: &Standing) -> bool {
    !standing.stored
}
