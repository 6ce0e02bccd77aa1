//! What the handlers share, and the paths.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post, put};
use hyper::HeaderMap;
use runtime::world::World;
use schemas::ids::{Generation, Pseudonym};
use schemas::records::CitizenProfile;
use sealing::{CitizenKey, Entropy, Field, Keyring};
use serde::de::DeserializeOwned;

use super::answers::{Trouble, unknown_path, wrong_method};
use super::config::CitizensConfig;
use super::desk::Desk;
use super::login::{Caller, Login};
use super::ports::{Citizens, Contents, Dossier, Services, Validation};
use super::rules::Refusal;
use super::{inbox, installations, leave, links, openapi, preferences, profile};
use crate::http::{BodyLimits, Door, Read, read_body, secured};

/// Everything the citizen API is made of.
pub struct CitizenApi {
    pub world: World,
    pub config: CitizensConfig,
    pub keyring: Arc<Keyring>,
    pub entropy: Arc<dyn Entropy>,
    pub login: Login,
    pub desk: Desk,
    pub citizens: Arc<dyn Citizens>,
    pub contents: Arc<dyn Contents>,
    pub services: Arc<dyn Services>,
    pub validation: Arc<dyn Validation>,
}

type Api = Arc<CitizenApi>;

/// The whole API under `/api/v1`, and the links of our mails also without that prefix.
pub fn router(api: Arc<CitizenApi>) -> Router {
    let only = |routes: MethodRouter<Api>| routes.fallback(wrong_method);
    let links = || {
        Router::new()
            .route(
                "/unsubscribe/{token}",
                only(get(links::unsubscribe_page).post(links::unsubscribe)),
            )
            .route("/mailbox/{token}", only(get(links::mailbox_page).post(links::mailbox)))
    };
    let paths = links()
        .route("/profile", only(get(profile::read).put(profile::write).delete(leave::leave)))
        .route(
            "/services/{service_id}/preferences",
            only(get(preferences::read).put(preferences::write)),
        )
        .route(
            "/installations/{installation_id}",
            only(put(installations::register).delete(installations::remove)),
        )
        .route("/inbox", only(get(inbox::list)))
        .route("/inbox/{id}", only(get(inbox::open)))
        .route("/profile/validation", only(post(profile::validate_again)))
        .route("/openapi.json", only(get(openapi::serve)));
    let whole = Router::new().merge(links()).nest("/api/v1", paths).fallback(unknown_path);
    secured(whole.with_state(api), Door::SameOrigin)
}

/// Most bytes of a request's body.
const MOST_BYTES: usize = 64 * 1024;

impl CitizenApi {
    /// Who calls, and the name the pipeline knows them by.
    pub(super) async fn who(&self, headers: &HeaderMap) -> Result<(Caller, Pseudonym), Trouble> {
        let caller = self.login.who(headers).await?;
        let citizen = self.keyring.pepper().pseudonym(&caller.code);
        Ok((caller, citizen))
    }

    /// The key of the profile's registration.
    pub(super) fn key(
        &self,
        dossier: &Dossier,
        generation: Generation,
    ) -> Result<CitizenKey, Trouble> {
        let record = dossier.keys.get(&generation);
        // A profile whose key has not arrived (yet): nothing can be sealed or opened for it.
        let record = record.ok_or(Trouble::NotReady)?;
        let masters = self.keyring.masters();
        Ok(masters.unwrap_citizen(record.citizen, record.generation, &record.wrapped.0)?)
    }

    pub(super) fn address(
        &self,
        profile: &CitizenProfile,
        key: &CitizenKey,
    ) -> Result<Option<String>, Trouble> {
        let open =
            |sealed: &schemas::records::Sealed| key.open_field(Field::EmailAddress, &sealed.0);
        Ok(profile.email.as_ref().map(open).transpose()?)
    }

    /// Mails the validation link; whoever asked does not wait for it.
    pub(super) fn mail_validation(self: &Arc<Self>, profile: &CitizenProfile, address: String) {
        let until = self.world.now().plus(self.config.validation_life);
        let tokens = self.keyring.tokens();
        let token = tokens.mailbox(profile.citizen, profile.generation, &address, until);
        let api = Arc::clone(self);
        tokio::spawn(async move { api.validation.mail(&address, &token).await });
    }
}

/// The profile in a dossier.
pub(super) fn on_board(dossier: &Dossier) -> Result<&CitizenProfile, Trouble> {
    let nobody = Refusal::NotFound("There is no profile: put one first.");
    Ok(dossier.profile.as_ref().ok_or(nobody)?)
}

/// Runs a change to its end, also when its caller hangs up.
pub(super) async fn change<T: Send + 'static>(
    work: impl Future<Output = Result<T, Trouble>> + Send + 'static,
) -> Result<T, Trouble> {
    tokio::spawn(work).await.unwrap_or(Err(Trouble::Unknown))
}

/// A JSON body of the wanted shape.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Trouble> {
    let limits = BodyLimits { bytes: MOST_BYTES, ..BodyLimits::default() };
    let why = match read_body(body, limits).await {
        Read::Whole(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => return Ok(value),
            // serde's own words may repeat what was sent, so they go nowhere.
            Err(_) => "The body is not JSON of the documented shape.",
        },
        Read::TooLong => "The body is longer than 64 KiB.",
        Read::TooSlow | Read::Cut => "The body did not arrive whole.",
    };
    Err(Refusal::Bad(why).into())
}

/// What a handler gives.
pub(super) type Answer = Result<Response, Trouble>;
