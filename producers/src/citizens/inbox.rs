//! `GET /inbox` and `GET /inbox/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use hyper::HeaderMap;
use policy::contract::date;
use schemas::ids::{MessageId, ServiceId};
use schemas::records::MessageStored;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Refused, Trouble};
use super::api::{Answer, CitizenApi, on_board};
use super::rules::Refusal;

/// Which part of the inbox.
#[derive(Deserialize)]
pub(super) struct Which {
    /// Messages older than this one.
    before: Option<String>,
    page_size: Option<usize>,
}

/// A part of the inbox, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Inbox {
    items: Vec<Item>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What is known of a message without opening it.
#[derive(Serialize, ToSchema)]
pub(super) struct Item {
    id: String,
    #[schema(value_type = String)]
    sender_service_id: ServiceId,
    created_at: String,
}

/// A message, opened.
#[derive(Serialize, ToSchema)]
pub(super) struct Opened {
    #[serde(flatten)]
    item: Item,
    organisation: String,
    service: String,
    time_to_live: i64,
    feature_level_type: String,
    /// What the sender wrote, in the shape of the sender API's `content`.
    content: serde_json::Value,
}

impl From<&MessageStored> for Item {
    fn from(stored: &MessageStored) -> Self {
        Self {
            id: stored.message_id.to_string(),
            sender_service_id: stored.service_id.clone(),
            created_at: date::format(stored.accepted_at),
        }
    }
}

#[utoipa::path(get, path = "/inbox", tag = "inbox", params(("before" = Option<String>, Query), ("page_size" = Option<usize>, Query)), responses((status = 200, description = "A page, newest first", body = Inbox), (status = 400, description = "path or query cannot be read", body = Refused, content_type = "application/problem+json"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready: try again", body = Refused, content_type = "application/problem+json"), (status = 404, description = "not on board", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn list(
    State(api): State<Arc<CitizenApi>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    let page = which.page_size.unwrap_or(api.config.page).clamp(1, api.config.page);
    let before = which.before.as_deref().map(id).transpose()?;
    on_board(&api.citizens.dossier(citizen).await?)?;
    let now = api.world.now();
    let mut stored = api.citizens.inbox(citizen, before, page + 1).await?;
    let more = stored.len() > page;
    stored.truncate(page);
    let last = stored.last().map(|it| it.message_id.to_string());
    let items = stored.iter().filter(|it| it.kept_until > now).map(Item::from).collect();
    Ok(Json(Inbox { items, next: last.filter(|_| more) }).into_response())
}

#[utoipa::path(get, path = "/inbox/{id}", tag = "inbox", params(("id" = String, Path)), responses((status = 200, description = "The message", body = Opened), (status = 400, description = "path or query cannot be read", body = Refused, content_type = "application/problem+json"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready: try again", body = Refused, content_type = "application/problem+json"), (status = 404, description = "not in this inbox", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn open(
    State(api): State<Arc<CitizenApi>>,
    Path(message): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    let nothing = || Refusal::NotFound("There is no such message in this inbox.");
    let message = message.parse().map_err(|_| nothing())?;
    let stored = api.citizens.stored(citizen, message).await?;
    let stored = stored.filter(|it| it.kept_until > api.world.now()).ok_or_else(nothing)?;
    let content = api.contents.open(&stored).await?.ok_or_else(nothing)?;
    let opened = Opened {
        item: Item::from(&stored),
        organisation: content.organisation,
        service: content.service,
        time_to_live: content.time_to_live,
        feature_level_type: content.feature_level_type,
        content: content.content,
    };
    Ok(Json(opened).into_response())
}

fn id(text: &str) -> Result<MessageId, Trouble> {
    text.parse().map_err(|_| Refusal::Bad("`before` must be a message id.").into())
}
