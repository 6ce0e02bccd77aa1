//! `GET` and `PUT /profile`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use hyper::{HeaderMap, StatusCode};
use runtime::log::Outgoing;
use schemas::ids::{Generation, Pseudonym};
use schemas::records::{CitizenKeyRecord, CitizenProfile, Sealed};
use schemas::topics::Topic;
use sealing::{CitizenKey, Field, draw};

use super::answers::{Refused, Trouble};
use super::api::{Answer, CitizenApi, change, json, on_board};
use super::desk::Turn;
use super::login::Caller;
use super::ports::Dossier;
use super::records::{put, tombstone};
use super::rules::{self, Address, Mailbox, Refusal, Updated};
use super::{leave, shape};

#[utoipa::path(get, path = "/profile", tag = "profile", responses((status = 200, description = "The profile", body = shape::Profile), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 404, description = "not on board", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn read(State(api): State<Arc<CitizenApi>>, headers: HeaderMap) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    let dossier = api.citizens.dossier(citizen).await?;
    let profile = on_board(&dossier)?;
    let email = api.address(profile, &api.key(&dossier, profile.generation)?)?;
    Ok(Json(shape::Profile::of(profile, email)).into_response())
}

/// Creates the first profile, or updates the present one under its version.
#[utoipa::path(put, path = "/profile", tag = "profile", request_body = shape::Profile, responses((status = 200, description = "In force", body = shape::Profile), (status = 400, description = "not a profile", body = Refused, content_type = "application/problem+json"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 409, description = "another version, or a mode that cannot be", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn write(
    State(api): State<Arc<CitizenApi>>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (caller, citizen) = api.who(&headers).await?;
    let body: shape::Profile = json(body).await?;
    change(async move {
        let turn = api.desk.turn(citizen).await?;
        let dossier = turn.dossier().await?;
        match &dossier.profile {
            None => register(&api, turn, citizen, &dossier, &body, &caller).await,
            Some(current) => update(&api, turn, current, &dossier, &body, &caller).await,
        }
    })
    .await
}

async fn register(
    api: &Arc<CitizenApi>,
    turn: Turn<'_>,
    citizen: Pseudonym,
    dossier: &Dossier,
    body: &shape::Profile,
    caller: &Caller,
) -> Answer {
    let generation = Generation(draw(&*api.entropy));
    let mailbox = Mailbox { current: None, vouched: caller.email.as_deref() };
    let updated = rules::create(citizen, generation, body, mailbox, api.world.now())?;
    // A former registration whose leaving was cut short is ended first.
    turn.write(leave::erasure(api, citizen, dossier, None)).await?;
    let key = CitizenKey::draw(&*api.entropy, citizen, generation);
    let wrapped = api.keyring.masters().wrap_citizen(&*api.entropy, &key)?;
    let record = CitizenKeyRecord {
        citizen,
        generation,
        wrapped: Sealed(wrapped.to_vec()),
        created_at: api.world.now(),
    };
    let records = vec![put(&api.world.codec, &record)];
    finish(api, turn, updated, None, &key, records).await
}

async fn update(
    api: &Arc<CitizenApi>,
    turn: Turn<'_>,
    current: &CitizenProfile,
    dossier: &Dossier,
    body: &shape::Profile,
    caller: &Caller,
) -> Answer {
    let key = api.key(dossier, current.generation)?;
    let address = api.address(current, &key)?;
    let mailbox = Mailbox { current: address.as_deref(), vouched: caller.email.as_deref() };
    let updated = rules::update(current, body, mailbox, api.world.now())?;
    let preferences = preferences_of_the_new_mode(api, dossier, &updated);
    // The view takes topic after topic: the preferences must be there before the mode that reads them,
    // or a blocked sender could write in between. Until the profile follows, nobody obeys them.
    turn.write(preferences.clone()).await?;
    finish(api, turn, updated, address, &key, preferences).await
}

/// After a change of mode: the migrated preferences; and tombstones of those that an unfinished earlier
/// change may have left under the settings version that comes into force now.
fn preferences_of_the_new_mode(
    api: &CitizenApi,
    dossier: &Dossier,
    updated: &Updated,
) -> Vec<Outgoing> {
    if !updated.mode_changed {
        return Vec::new();
    }
    let version = updated.profile.settings_version;
    let stale = dossier.preferences.values().filter(|it| {
        let written_anew = updated.migrated.iter().any(|new| new.service_id == it.service_id);
        it.settings_version >= version && !written_anew
    });
    let citizen = updated.profile.citizen;
    stale
        .map(|it| tombstone(Topic::Preference, citizen, it.service_id.as_str()))
        .chain(updated.migrated.iter().map(|it| put(&api.world.codec, it)))
        .collect()
}

async fn finish(
    api: &Arc<CitizenApi>,
    turn: Turn<'_>,
    updated: Updated,
    address: Option<String>,
    key: &CitizenKey,
    mut records: Vec<Outgoing>,
) -> Answer {
    let Updated { mut profile, address: changed, .. } = updated;
    let address = match changed {
        Address::Kept => address,
        Address::New(new) => {
            let sealed = key.seal_field(&*api.entropy, Field::EmailAddress, &new)?;
            profile.email = Some(Sealed(sealed));
            if !profile.email_validated {
                api.mail_validation(&profile, new.clone());
            }
            Some(new)
        }
    };
    records.push(put(&api.world.codec, &profile));
    turn.settle(records).await?;
    Ok(Json(shape::Profile::of(&profile, address)).into_response())
}

/// `POST /profile/validation`: mails the link once more.
#[utoipa::path(post, path = "/profile/validation", tag = "profile", responses((status = 202, description = "The link is on its way"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 404, description = "not on board", body = Refused, content_type = "application/problem+json"), (status = 409, description = "nothing to validate", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn validate_again(
    State(api): State<Arc<CitizenApi>>,
    headers: HeaderMap,
) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    let dossier = api.citizens.dossier(citizen).await?;
    let profile = on_board(&dossier)?;
    let address = api.address(profile, &api.key(&dossier, profile.generation)?)?;
    let address = address.ok_or(Refusal::Conflict("The profile has no address."))?;
    if profile.email_validated {
        return Err(Trouble::Refused(Refusal::Conflict("The address is validated already.")));
    }
    api.mail_validation(profile, address);
    Ok(StatusCode::ACCEPTED.into_response())
}
