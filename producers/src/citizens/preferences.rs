//! `GET` and `PUT /services/{service_id}/preferences`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use hyper::HeaderMap;
use schemas::ids::ServiceId;
use schemas::topics::Topic;

use super::answers::{Refused, Trouble};
use super::api::{Answer, CitizenApi, json, on_board};
use super::ports::Dossier;
use super::records::{put, tombstone};
use super::rules::{self, Refusal};
use super::shape::ServicePreference;

/// What counts now; an unsubscribed service mails nothing, whatever the preference says.
#[utoipa::path(get, path = "/services/{service_id}/preferences", tag = "preferences", params(("service_id" = String, Path)), responses((status = 200, description = "What counts now", body = ServicePreference), (status = 400, description = "path or query cannot be read", body = Refused, content_type = "application/problem+json"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready: try again", body = Refused, content_type = "application/problem+json"), (status = 404, description = "no such service, or not on board", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn read(
    State(api): State<Arc<CitizenApi>>,
    Path(service): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    let (service, _) = known(&api, service)?;
    let dossier = api.citizens.dossier(citizen).await?;
    Ok(Json(shown(&dossier, &service)?).into_response())
}

fn shown(dossier: &Dossier, service: &ServiceId) -> Result<ServicePreference, Trouble> {
    let profile = on_board(dossier)?;
    let preference =
        dossier.preferences.get(service).filter(|it| it.generation == profile.generation);
    let mut shown = rules::preferred(profile, service, preference);
    shown.is_email_enabled &= !dossier.unsubscribed.contains(service);
    Ok(shown)
}

/// Email switched on here takes an earlier one-click unsubscription back.
#[utoipa::path(put, path = "/services/{service_id}/preferences", tag = "preferences", params(("service_id" = String, Path)), request_body = ServicePreference, responses((status = 200, description = "In force", body = ServicePreference), (status = 400, description = "not a preference", body = Refused, content_type = "application/problem+json"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 404, description = "no such service, or not on board", body = Refused, content_type = "application/problem+json"), (status = 409, description = "LEGACY, or another settings version", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn write(
    State(api): State<Arc<CitizenApi>>,
    Path(service): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    let (service, special) = known(&api, service)?;
    let body: ServicePreference = json(body).await?;
    api.change(citizen, (service, special, body), |api, turn, asked| async move {
        let (service, special, body) = &*asked;
        let dossier = turn.dossier().await?;
        let profile = on_board(&dossier)?;
        let activation = dossier.activations.get(service);
        let now = api.world.now();
        let preference = rules::prefer(profile, service, *body, *special, activation, now)?;
        let mut records = vec![put(&api.world.codec, &preference)];
        if body.is_email_enabled && dossier.unsubscribed.contains(service) {
            records.push(tombstone(Topic::Unsubscribe, turn.citizen(), service.as_str()));
        }
        turn.settle(records).await?;
        Ok(Json(ServicePreference::of(&preference)).into_response())
    })
    .await
}

fn known(api: &CitizenApi, service: String) -> Result<(ServiceId, bool), Trouble> {
    let service = ServiceId::from(service);
    let special = api.services.is_special(&service);
    let special = special.ok_or(Refusal::NotFound("There is no such service."))?;
    Ok((service, special))
}
