//! Asking for the mail that validates an address, and `POST /profile/validation`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use hyper::{HeaderMap, StatusCode};
use runtime::log::Outgoing;
use schemas::ids::MessageId;
use schemas::records::{CitizenProfile, MailboxValidation};

use super::answers::{Refused, Trouble};
use super::api::{Answer, CitizenApi, on_board};
use super::desk::Turn;
use super::records::put;
use super::rules::{Refusal, is_same};
use super::shape;

impl CitizenApi {
    /// The record that asks for the mail; `None` where the profile waits for none.
    ///
    /// # Errors
    /// `TooMany`: this citizen has asked for as many as an hour allows.
    pub(super) fn asking(&self, profile: &CitizenProfile) -> Result<Option<Outgoing>, Trouble> {
        let email = profile.email.clone().filter(|_| !profile.email_validated);
        let Some(email) = email else { return Ok(None) };
        let now = self.world.now();
        self.rates.validations.look(&profile.citizen, now)?;
        let random = u128::from(self.world.random()) << 64 | u128::from(self.world.random());
        let asked = MailboxValidation {
            id: MessageId::from_parts(now.0.unsigned_abs(), random),
            citizen: profile.citizen,
            generation: profile.generation,
            email,
            asked_at: now,
            until: now.plus(self.world.scaled(self.config.validation_patience)),
            tries: 0,
        };
        let mut record = put(&self.world.codec, &asked);
        record.headers.accepted_at = Some(now);
        Ok(Some(record))
    }

    /// Writes what was decided together with what asks for a mail, and counts the mail unless nothing
    /// was written for certain.
    pub(super) async fn settle_asking(
        &self,
        turn: Turn,
        mut records: Vec<Outgoing>,
        asking: Option<Outgoing>,
    ) -> Result<(), Trouble> {
        let (citizen, asks) = (turn.citizen(), asking.is_some());
        records.extend(asking);
        let settled = turn.settle(records).await;
        let certainly_not = matches!(settled, Err(Trouble::NotTaken | Trouble::PenTaken));
        if asks && !certainly_not {
            // It was looked at before; two changes of one citizen never overlap.
            let _ = self.rates.validations.take(citizen, self.world.now());
        }
        settled
    }
}

/// Mails the link once more; an address that the login vouches for needs none and is validated at once.
#[utoipa::path(post, path = "/profile/validation", tag = "profile", responses((status = 202, description = "The link is on its way"), (status = 200, description = "Validated: the login vouches for the address", body = shape::Profile), (status = 401, description = "not logged in", body = Refused, content_type = "application/problem+json"), (status = 404, description = "not on board", body = Refused, content_type = "application/problem+json"), (status = 409, description = "nothing to validate", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")), security(("login" = [])))]
pub(super) async fn ask_again(State(api): State<Arc<CitizenApi>>, headers: HeaderMap) -> Answer {
    let (caller, citizen) = api.who(&headers).await?;
    api.change(citizen, caller.email, |api, turn, vouched| async move {
        let dossier = turn.dossier().await?;
        let mut profile = on_board(&dossier)?.clone();
        let address = api.address(&profile, &api.key(&dossier, profile.generation)?)?;
        let address = address.ok_or(Refusal::Conflict("The profile has no address."))?;
        if profile.email_validated {
            return Err(Refusal::Conflict("The address is validated already.").into());
        }
        if vouched.as_deref().is_some_and(|vouched| is_same(vouched, &address)) {
            validate(&api, &mut profile);
            turn.settle(vec![put(&api.world.codec, &profile)]).await?;
            return Ok(Json(shape::Profile::of(&profile, Some(address))).into_response());
        }
        let asking = api.asking(&profile)?;
        api.settle_asking(turn, Vec::new(), asking).await?;
        Ok(StatusCode::ACCEPTED.into_response())
    })
    .await
}

/// The profile with its address validated, as a change like any other.
pub(super) fn validate(api: &CitizenApi, profile: &mut CitizenProfile) {
    profile.email_validated = true;
    profile.version += 1;
    profile.updated_at = api.world.now();
}
