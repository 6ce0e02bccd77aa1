//! The citizen API's ports, served by the consumers' views.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use consumers::directory::{Directory, Register};
use policy::admit::service::Category;
use producers::citizens::{
    CitizenApi, CitizenMetrics, Citizens, CitizensConfig, Contents, Desk, Dossier, KeySource,
    Login, LoginConfig, NotReady, Rates, Services,
};
use producers::ingest::Registry;
use runtime::log::Position;
use schemas::content::Content;
use schemas::ids::{MessageId, Pseudonym, ServiceId, Timestamp};
use schemas::records::MessageStored;

use crate::plant::Site;
use crate::ports::StoredContents;

/// Everything the citizen API is made of.
///
/// # Errors
/// The key set file cannot be read, the log has no writer.
pub async fn api(site: &Arc<Site>) -> anyhow::Result<CitizenApi> {
    let door = &site.settings.citizen_api;
    let config = CitizensConfig {
        consent_max_age: Duration::from_millis(site.settings.consent.max_age_ms),
        rates: door.rate,
        trusted_proxies: site.settings.ingest.trusted_proxies.clone(),
        client_address_headers: site.settings.ingest.client_address_headers.clone(),
        ..CitizensConfig::default()
    };
    let keys = if door.jwks.starts_with("https://") {
        KeySource::Url { url: door.jwks.clone(), refresh: Duration::from_secs(60) }
    } else {
        KeySource::File(door.jwks.clone().into())
    };
    let login = LoginConfig {
        issuer: door.issuer.clone(),
        audience: door.audience.clone(),
        keys,
        claim: door.fiscal_code_claim.clone(),
        email: door.email(),
        leeway: Duration::from_secs(30),
    };
    let client = edge::token::token_client(edge::tls::client_config(None, &[])?)?;
    let login = Login::open(login, client, site.world.clone())
        .await
        .context("citizen_api.jwks: name the issuer's key set, a file or an https URL")?;
    let citizens: Arc<dyn Citizens> =
        Arc::new(View { directory: site.views.directory(), register: site.views.register() });
    let metrics = CitizenMetrics::new(&site.metrics.registry);
    let (desk, _thread) = Desk::open(
        Arc::clone(&site.log),
        Arc::clone(&citizens),
        site.world.clone(),
        config.clone(),
        metrics.clone(),
    )?;
    let contents = StoredContents {
        directory: site.views.directory(),
        store: Arc::clone(&site.store),
        keys: site.keys.clone(),
    };
    Ok(CitizenApi {
        world: site.world.clone(),
        rates: Rates::new(config.rates),
        config,
        keyring: Arc::clone(&site.keys.keyring),
        entropy: Arc::clone(&site.keys.entropy),
        login,
        metrics,
        desk,
        citizens,
        contents: Arc::new(Opened(contents)),
        services: Arc::new(Known(Arc::clone(&site.registry))),
    })
}

struct View {
    directory: Arc<dyn Directory>,
    register: Arc<dyn Register>,
}

#[async_trait]
impl Citizens for View {
    async fn dossier(&self, citizen: Pseudonym) -> Result<Dossier, NotReady> {
        let (found, stored) = self.register.dossier(citizen).await.map_err(|_| NotReady)?;
        Ok(Dossier {
            profile: found.profile,
            keys: found.keys,
            preferences: found.preferences,
            activations: found.activations,
            devices: found.devices,
            deaths: found.deaths,
            unsubscribed: found.unsubscribed,
            stored,
            held: !found.held.is_empty(),
        })
    }

    async fn inbox(
        &self,
        citizen: Pseudonym,
        before: Option<MessageId>,
        max: usize,
    ) -> Result<Vec<MessageStored>, NotReady> {
        self.register.inbox(citizen, before, max).await.map_err(|_| NotReady)
    }

    async fn stored(
        &self,
        citizen: Pseudonym,
        message: MessageId,
    ) -> Result<Option<MessageStored>, NotReady> {
        self.directory.stored(citizen, message).await.map_err(|_| NotReady)
    }

    async fn wait_applied(
        &self,
        citizen: Pseudonym,
        positions: &[Position],
        until: Timestamp,
    ) -> bool {
        self.register.wait_applied(citizen, positions, until).await.unwrap_or(false)
    }
}

struct Opened(StoredContents);

#[async_trait]
impl Contents for Opened {
    async fn open(&self, stored: &MessageStored) -> Result<Option<Content>, NotReady> {
        self.0.read(stored.citizen, stored).await.map_err(|_| NotReady)
    }
}

struct Known(Arc<Registry>);

impl Services for Known {
    fn is_special(&self, service: &ServiceId) -> Option<bool> {
        self.0.by_id(service).map(|service| service.category == Category::Special)
    }
}
