//! `PUT` and `DELETE /installations/{installation_id}`: the devices of a citizen. The id goes no further
//! than this door: behind it stands a keyed hash, for no answer ever gives the id back.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use hyper::HeaderMap;
use schemas::ids::Timestamp;
use schemas::records::{Device, Platform, Sealed};
use schemas::topics::Topic;
use sealing::Field;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Refused, Trouble};
use super::api::{Answer, CitizenApi, json, on_board};
use super::ports::Dossier;
use super::records::{put, tombstone};
use super::rules::{Refusal, fits};

/// A device's address at its provider.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Installation {
    platform: PlatformWord,
    push_channel: String,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum PlatformWord {
    Apns,
    /// IO's older word for FCM.
    Gcm,
    Fcm,
    Fcmv1,
}

/// IO's answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    message: &'static str,
}

const DONE: Done = Done { message: "ok" };

/// Tokens are opaque and their length is not promised; these are bounds, not checks of shape.
const TOKEN: std::ops::RangeInclusive<usize> = 8..=4_096;

#[utoipa::path(put, path = "/installations/{installation_id}", tag = "devices", params(("installation_id" = String, Path)), request_body = Installation, responses((status = 200, description = "In force", body = Done), (status = 400, description = "not a device", body = Refused, content_type = "application/problem+json"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 404, description = "not on board", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn register(
    State(api): State<Arc<CitizenApi>>,
    Path(installation): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    let body: Installation = json(body).await?;
    check(&installation)?;
    let installation = api.keyring.hashes().installation(citizen, &installation);
    let token = body.push_channel.as_str();
    if !TOKEN.contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::Bad("`pushChannel` must be a device token.").into());
    }
    api.change(citizen, (installation, body), |api, turn, asked| async move {
        let (citizen, (installation, body)) = (turn.citizen(), &*asked);
        let dossier = turn.dossier().await?;
        let profile = on_board(&dossier)?;
        let key = api.key(&dossier, profile.generation)?;
        let field = Field::DeviceToken { installation };
        let device = Device {
            citizen,
            generation: profile.generation,
            platform: match body.platform {
                PlatformWord::Apns => Platform::Apns,
                PlatformWord::Gcm | PlatformWord::Fcm | PlatformWord::Fcmv1 => Platform::Fcm,
            },
            token: Sealed(key.seal_field(&*api.entropy, field, &body.push_channel)?),
            registered_at: registered_at(&dossier, installation, api.world.now()),
            installation: installation.clone(),
        };
        let mut records = vec![put(&api.world.codec, &device)];
        for oldest in surplus(&dossier, &device, api.config.most_devices) {
            records.push(tombstone(Topic::Device, citizen, oldest));
            records.push(tombstone(Topic::DeviceDeath, citizen, oldest));
        }
        turn.settle(records).await?;
        Ok(Json(DONE).into_response())
    })
    .await
}

/// Now; after the death of an earlier registration in any case, whosever clock is ahead.
fn registered_at(dossier: &Dossier, installation: &str, now: Timestamp) -> Timestamp {
    let death = dossier.deaths.get(installation);
    death.map_or(now, |since| now.max(Timestamp(since.0.saturating_add(1))))
}

/// The longest registered devices that leave so that the new one fits: phones come and go, and an
/// installation that was never taken back must not bar the phone in hand.
fn surplus<'a>(dossier: &'a Dossier, new: &Device, most: usize) -> Vec<&'a str> {
    let mut others: Vec<_> =
        dossier.devices.values().filter(|it| it.installation != new.installation).collect();
    others.sort_by_key(|it| it.registered_at);
    let surplus = (others.len() + 1).saturating_sub(most.max(1));
    others.into_iter().take(surplus).map(|it| it.installation.as_str()).collect()
}

/// Answers alike whether the device was known or not.
#[utoipa::path(delete, path = "/installations/{installation_id}", tag = "devices", params(("installation_id" = String, Path)), responses((status = 200, description = "In force", body = Done), (status = 400, description = "path or query cannot be read", body = Refused, content_type = "application/problem+json"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn remove(
    State(api): State<Arc<CitizenApi>>,
    Path(installation): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    check(&installation)?;
    let installation = api.keyring.hashes().installation(citizen, &installation);
    api.change(citizen, installation, |_, turn, installation| async move {
        let (citizen, installation) = (turn.citizen(), installation.as_str());
        let dossier = turn.dossier().await?;
        let mut records = Vec::new();
        if dossier.devices.contains_key(installation) {
            records.push(tombstone(Topic::Device, citizen, installation));
        }
        if dossier.deaths.contains_key(installation) {
            records.push(tombstone(Topic::DeviceDeath, citizen, installation));
        }
        turn.settle(records).await?;
        Ok(Json(DONE).into_response())
    })
    .await
}

fn check(installation: &str) -> Result<(), Trouble> {
    if fits(installation) {
        return Ok(());
    }
    Err(Refusal::Bad("An installation id has 1 to 64 printable ASCII characters.").into())
}
