//! `GET` and `PUT /profile`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use hyper::HeaderMap;
use runtime::log::Outgoing;
use schemas::ids::Generation;
use schemas::records::{CitizenKeyRecord, CitizenProfile, Sealed};
use schemas::topics::Topic;
use sealing::{CitizenKey, Field, draw};

use super::answers::{Refused, Trouble};
use super::api::{Answer, CitizenApi, json, on_board};
use super::desk::Turn;
use super::ports::Dossier;
use super::records::{put, tombstone};
use super::rules::{self, Address, Mailbox, Updated};
use super::{leave, shape};

#[utoipa::path(get, path = "/profile", tag = "profile", responses((status = 200, description = "The profile", body = shape::Profile), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 404, description = "not on board", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn read(State(api): State<Arc<CitizenApi>>, headers: HeaderMap) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    let dossier = api.citizens.dossier(citizen).await?;
    let profile = on_board(&dossier)?;
    let email = api.address(profile, &api.key(&dossier, profile.generation)?)?;
    Ok(Json(shape::Profile::of(profile, email)).into_response())
}

/// Creates the first profile, or updates the present one under its version.
#[utoipa::path(put, path = "/profile", tag = "profile", request_body = shape::Profile, responses((status = 200, description = "In force", body = shape::Profile), (status = 400, description = "not a profile", body = Refused, content_type = "application/problem+json"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 409, description = "another version, or a mode that cannot be", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn write(
    State(api): State<Arc<CitizenApi>>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (caller, citizen) = api.who(&headers).await?;
    let body: shape::Profile = json(body).await?;
    api.change(citizen, (body, caller.email), |api, turn, asked| async move {
        let (body, vouched) = (&asked.0, asked.1.as_deref());
        let dossier = turn.dossier().await?;
        match &dossier.profile {
            None => register(&api, turn, &dossier, body, vouched).await,
            Some(current) => update(&api, turn, current, &dossier, body, vouched).await,
        }
    })
    .await
}

async fn register(
    api: &CitizenApi,
    turn: Turn,
    dossier: &Dossier,
    body: &shape::Profile,
    vouched: Option<&str>,
) -> Answer {
    let citizen = turn.citizen();
    let generation = Generation(draw(&*api.entropy));
    let mailbox = Mailbox { current: None, vouched };
    let updated = rules::create(citizen, generation, body, mailbox, api.world.now())?;
    let key = CitizenKey::draw(&*api.entropy, citizen, generation);
    let wrapped = api.keyring.masters().wrap_citizen(&*api.entropy, &key)?;
    let record = CitizenKeyRecord {
        citizen,
        generation,
        wrapped: Sealed(wrapped.to_vec()),
        created_at: api.world.now(),
    };
    let written = written(api, updated, None, &key)?;
    // A former registration whose leaving was cut short is ended first.
    turn.write(leave::erasure(api, citizen, dossier, None)).await?;
    finish(api, turn, vec![put(&api.world.codec, &record)], written).await
}

async fn update(
    api: &CitizenApi,
    turn: Turn,
    current: &CitizenProfile,
    dossier: &Dossier,
    body: &shape::Profile,
    vouched: Option<&str>,
) -> Answer {
    let key = api.key(dossier, current.generation)?;
    let address = api.address(current, &key)?;
    let mailbox = Mailbox { current: address.as_deref(), vouched };
    let updated = rules::update(current, body, mailbox, api.world.now())?;
    let preferences = preferences_of_the_new_mode(api, dossier, &updated);
    let written = written(api, updated, address, &key)?;
    // The view takes topic after topic: the preferences must be there before the mode that reads them,
    // or a blocked sender could write in between. Until the profile follows, nobody obeys them.
    turn.write(preferences.clone()).await?;
    finish(api, turn, preferences, written).await
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

/// A profile ready to be written, with its address in clear and the mail that a new one asks for.
struct Written {
    profile: CitizenProfile,
    address: Option<String>,
    asking: Option<Outgoing>,
}

fn written(
    api: &CitizenApi,
    updated: Updated,
    address: Option<String>,
    key: &CitizenKey,
) -> Result<Written, Trouble> {
    let Updated { mut profile, address: changed, .. } = updated;
    match changed {
        Address::Kept => Ok(Written { profile, address, asking: None }),
        Address::New(new) => {
            let sealed = key.seal_field(&*api.entropy, Field::EmailAddress, &new)?;
            profile.email = Some(Sealed(sealed));
            let asking = api.asking(&profile)?;
            Ok(Written { profile, address: Some(new), asking })
        }
    }
}

/// One transaction: the profile, what must stand beside it, and the mail that it asks for.
async fn finish(
    api: &CitizenApi,
    turn: Turn,
    mut records: Vec<Outgoing>,
    written: Written,
) -> Answer {
    let Written { profile, address, asking } = written;
    records.push(put(&api.world.codec, &profile));
    api.settle_asking(turn, records, asking).await?;
    Ok(Json(shape::Profile::of(&profile, address)).into_response())
}
