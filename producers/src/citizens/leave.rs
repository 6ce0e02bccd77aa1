//! `DELETE /profile`: leaving, which is erasure.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use hyper::{HeaderMap, StatusCode};
use runtime::log::Outgoing;
use schemas::ids::{Generation, Pseudonym};
use schemas::records::CitizenErased;
use schemas::topics::Topic;

use super::answers::Refused;
use super::api::{Answer, CitizenApi};
use super::ports::Dossier;
use super::records::{put, tombstone, unstore};

/// Two steps. First the profile goes: from then on nobody is on board, whatever of the rest a view has
/// already taken away (without its preferences a profile would permit what was refused). Then one
/// transaction ends everything, key first. Cut short in between, what is left is found by a repeat or by
/// the next registration and ended there. Answers 204 also when there is nothing to erase.
#[utoipa::path(delete, path = "/profile", tag = "profile", responses((status = 204, description = "Erased"), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn leave(State(api): State<Arc<CitizenApi>>, headers: HeaderMap) -> Answer {
    let (_, citizen) = api.who(&headers).await?;
    api.change(citizen, (), |api, turn, _| async move {
        let citizen = turn.citizen();
        let generation = turn.dossier().await?.generation();
        if generation.is_some() {
            turn.write(vec![tombstone(Topic::Profile, citizen, "")]).await?;
        }
        // Read again: what was stored or registered meanwhile goes too.
        let dossier = turn.dossier().await?;
        turn.settle(erasure(&api, citizen, &dossier, generation)).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// Everything that ends what a dossier holds, key first; nothing where it is empty. Unsubscriptions
/// stay: they are refusals, and erasing a refusal would be permission.
pub(super) fn erasure(
    api: &CitizenApi,
    citizen: Pseudonym,
    dossier: &Dossier,
    left: Option<Generation>,
) -> Vec<Outgoing> {
    let ended: BTreeSet<Generation> = [left, dossier.generation()]
        .into_iter()
        .flatten()
        .chain(dossier.keys.keys().copied())
        .chain(dossier.preferences.values().map(|it| it.generation))
        .chain(dossier.devices.values().map(|it| it.generation))
        .collect();
    let key =
        |generation: &Generation| tombstone(Topic::CitizenKey, citizen, &generation.to_string());
    let mut records: Vec<_> = ended.iter().map(key).collect();
    let now = api.world.now();
    records.extend(ended.iter().map(|generation| {
        let erased = CitizenErased { citizen, generation: *generation, at: now };
        put(&api.world.codec, &erased)
    }));
    if !ended.is_empty() {
        records.push(tombstone(Topic::Profile, citizen, ""));
    }
    let of = |topic, rest: &str| tombstone(topic, citizen, rest);
    records.extend(dossier.preferences.keys().map(|it| of(Topic::Preference, it.as_str())));
    records.extend(dossier.activations.keys().map(|it| of(Topic::Activation, it.as_str())));
    records.extend(dossier.devices.keys().map(|it| of(Topic::Device, it)));
    records.extend(dossier.deaths.keys().map(|it| of(Topic::DeviceDeath, it)));
    records.extend(dossier.stored.iter().map(|message| unstore(citizen, *message)));
    records
}
