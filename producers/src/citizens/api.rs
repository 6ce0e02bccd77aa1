//! What the handlers share, and the paths.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
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
use super::desk::{Desk, Turn};
use super::door::door;
use super::login::{Caller, Login};
use super::metrics::CitizenMetrics;
use super::ports::{Citizens, Contents, Dossier, Services};
use super::rates::Rates;
use super::rules::Refusal;
use super::{inbox, installations, leave, links, mailbox, openapi, preferences, profile};
use crate::http::{BodyLimits, Door, Read, read_body, secured};

/// Everything the citizen API is made of.
pub struct CitizenApi {
    pub world: World,
    pub config: CitizensConfig,
    pub keyring: Arc<Keyring>,
    pub entropy: Arc<dyn Entropy>,
    pub login: Login,
    pub rates: Rates,
    pub metrics: CitizenMetrics,
    pub desk: Arc<Desk>,
    pub citizens: Arc<dyn Citizens>,
    pub contents: Arc<dyn Contents>,
    pub services: Arc<dyn Services>,
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
        .route("/profile/validation", only(post(mailbox::ask_again)))
        .route("/openapi.json", only(get(openapi::serve)));
    let whole = Router::new().merge(links()).nest("/api/v1", paths).fallback(unknown_path);
    let whole = whole.with_state(Arc::clone(&api)).layer(from_fn_with_state(api, door));
    secured(whole, Door::SameOrigin)
}

/// Most bytes of a request's body.
const MOST_BYTES: usize = 64 * 1024;

impl CitizenApi {
    /// Who calls, and the name the pipeline knows them by. Counts the call.
    pub(super) async fn who(&self, headers: &HeaderMap) -> Result<(Caller, Pseudonym), Trouble> {
        let caller = self.login.who(headers).await?;
        let citizen = self.keyring.pepper().pseudonym(&caller.code);
        self.count(citizen)?;
        Ok((caller, citizen))
    }

    /// Counts a call of somebody who has shown who they are.
    pub(super) fn count(&self, citizen: Pseudonym) -> Result<(), Trouble> {
        Ok(self.rates.citizens.take(citizen, self.world.now())?)
    }

    /// Runs `work` with the right to change `citizen`'s records, as [`Desk::change`] does. What was
    /// asked is handed in again each time.
    pub(super) async fn change<A, T, F>(
        self: &Arc<Self>,
        citizen: Pseudonym,
        asked: A,
        work: impl Fn(Arc<Self>, Turn, Arc<A>) -> F + Send + 'static,
    ) -> Result<T, Trouble>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: Future<Output = Result<T, Trouble>> + Send,
    {
        let (api, asked) = (Arc::clone(self), Arc::new(asked));
        let again = move |turn| work(Arc::clone(&api), turn, Arc::clone(&asked));
        self.desk.change(citizen, again).await
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
}

/// The profile in a dossier; of a held citizen nobody knows it.
pub(super) fn on_board(dossier: &Dossier) -> Result<&CitizenProfile, Trouble> {
    if dossier.held {
        return Err(Trouble::Held);
    }
    let nobody = Refusal::NotFound("There is no profile: put one first.");
    Ok(dossier.profile.as_ref().ok_or(nobody)?)
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
