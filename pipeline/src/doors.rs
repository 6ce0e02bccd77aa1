//! The listeners: sender API, citizen API, and a third of their own for metrics and probes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use consumers::directory::Directory;
use producers::http::{ServeLimits, TlsFiles, serve, server_config};
use producers::ingest::{
    Ingest, IngestMetrics, Limiter, RedisDemands, Sealer, router, share_quotas,
};
use prometheus::{Encoder, TextEncoder};
use redis::aio::ConnectionManager;
use sealing::KeyUse;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;

use crate::accepted::AcceptedContents;
use crate::batches;
use crate::citizens;
use crate::config::DirectoryKind;
use crate::plant::{Addresses, Site};
use crate::ports::{
    DirectoryProfiles, LogAccept, SentContents, StoredContents, ViewClaims, ViewStatuses,
};

/// Metrics, liveness and readiness, for which `directory` is asked where a stage of this process uses it.
///
/// # Errors
/// The address is taken.
pub async fn operations(
    site: &Arc<Site>,
    directory: Option<Arc<dyn Directory>>,
    closed: &Receiver<bool>,
    addresses: &mut Addresses,
) -> anyhow::Result<JoinHandle<()>> {
    let ready = move |State(site): State<Arc<Site>>| ready(site, directory.clone());
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(Arc::clone(site));
    let listener = bind("operations.listen", &site.settings.operations.listen).await?;
    addresses.operations = Some(listener.local_addr()?);
    Ok(open(listener, router, None, closed))
}

/// Well below the time that whoever scrapes gives us.
const VIEW_PATIENCE: Duration = Duration::from_secs(1);

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    site.edges.report(&site.metrics);
    let directory = site.views.directory();
    let asked = tokio::time::timeout(VIEW_PATIENCE, directory.read(&[])).await;
    let ready = i64::from(matches!(asked, Ok(Ok(_))));
    site.metrics.view_ready.with_label_values(&["directory"]).set(ready);
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    if encoder.encode(&site.metrics.registry.gather(), &mut text).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    ([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()
}

/// Ready: something can be sealed, and the directory answers.
async fn ready(site: Arc<Site>, directory: Option<Arc<dyn Directory>>) -> Response {
    if !site.keys.transit.read().is_ready(KeyUse::Wire, site.world.now()) {
        return (StatusCode::SERVICE_UNAVAILABLE, "no transit key yet\n").into_response();
    }
    let Some(directory) = directory else { return "ready\n".into_response() };
    match directory.read(&[]).await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// The sender API.
///
/// # Errors
/// The address is taken, a TLS file is not what it should be, the log has no appender.
pub async fn sender_api(
    site: &Arc<Site>,
    closed: &Receiver<bool>,
    addresses: &mut Addresses,
) -> anyhow::Result<JoinHandle<()>> {
    let config = site.settings.ingest.clone();
    let log = Arc::clone(&site.log);
    let appender = tokio::task::spawn_blocking(move || log.appender()).await??;
    let stored = StoredContents {
        directory: site.views.directory(),
        store: Arc::clone(&site.store),
        keys: site.keys.clone(),
    };
    let (log, world) = (Arc::clone(&site.log), site.world.clone());
    let accepted = AcceptedContents::start(log, world.clone(), site.keys.clone())?;
    let contents = SentContents { stored, accepted, world };
    let batches = Arc::new(batches::doors(site, Arc::clone(&appender)));
    let ingest_limiter = Arc::new(Limiter::new(config.limits()));
    let ingest = Ingest {
        world: site.world.clone(),
        limiter: Arc::clone(&ingest_limiter),
        config,
        registry: Arc::clone(&site.registry),
        sealer: Sealer {
            keyring: Arc::clone(&site.keys.keyring),
            transit: Arc::clone(&site.keys.transit),
        },
        metrics: IngestMetrics::new(&site.metrics.registry),
        accept: Arc::new(LogAccept { appender, world: site.world.clone() }),
        statuses: Arc::new(ViewStatuses { view: site.views.status(), world: site.world.clone() }),
        contents: Arc::new(contents),
        profiles: Arc::new(DirectoryProfiles(site.views.directory())),
        claims: Arc::new(ViewClaims(site.views.claims())),
        batches,
    };
    share_rates(site, Arc::clone(&ingest_limiter), closed).await?;
    let door = &site.settings.sender_api;
    let tls = tls(&door.tls_certificate, &door.tls_key)?;
    let listener = bind("sender_api.listen", &door.listen).await?;
    addresses.sender_api = Some(listener.local_addr()?);
    Ok(open(listener, router(Arc::new(ingest)), tls, closed))
}

/// Settles each account's quota with the other instances, in the background, where there is a Redis.
async fn share_rates(
    site: &Arc<Site>,
    limiter: Arc<Limiter>,
    closed: &Receiver<bool>,
) -> anyhow::Result<()> {
    let Some(connection) = redis(site).await? else { return Ok(()) };
    let prefix = format!("{}:", site.settings.directory.redis_prefix);
    let instance = format!("{:016x}", site.world.random());
    let demands = RedisDemands::new(connection, prefix, instance);
    let (world, mut closed) = (site.world.clone(), closed.clone());
    tokio::spawn(async move {
        let shutdown = async move {
            let _ = closed.wait_for(|closed| *closed).await;
        };
        share_quotas(&limiter, &demands, &world, shutdown).await;
    });
    Ok(())
}

async fn redis(site: &Site) -> anyhow::Result<Option<ConnectionManager>> {
    if site.settings.directory.kind == DirectoryKind::Embedded {
        return Ok(None);
    }
    let place = &site.settings.directory;
    let authorities = place.redis_authorities()?;
    let client = consumers::view::redis_client(&place.redis_url, authorities.as_deref())
        .context("directory.redis_url")?;
    Ok(Some(client.get_connection_manager().await.context("directory.redis_url")?))
}

/// The citizen API; not served where no issuer of tokens is configured.
///
/// # Errors
/// The address is taken, the key set file cannot be read, the log has no writer.
pub async fn citizen_api(
    site: &Arc<Site>,
    closed: &Receiver<bool>,
    addresses: &mut Addresses,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let door = &site.settings.citizen_api;
    if door.issuer.is_empty() {
        tracing::warn!("citizen_api.issuer is empty: the citizen API is not served");
        return Ok(None);
    }
    let api = citizens::api(site).await?;
    let tls = tls(&door.tls_certificate, &door.tls_key)?;
    let listener = bind("citizen_api.listen", &door.listen).await?;
    addresses.citizen_api = Some(listener.local_addr()?);
    Ok(Some(open(listener, producers::citizens::router(Arc::new(api)), tls, closed)))
}

async fn bind(key: &str, address: &str) -> anyhow::Result<TcpListener> {
    let address: SocketAddr = address.parse().with_context(|| format!("{key}: {address:?}"))?;
    TcpListener::bind(address).await.with_context(|| {
        format!("{key}: cannot listen on {address}; end what listens there, or choose another port")
    })
}

fn tls(certificate: &Path, key: &Path) -> anyhow::Result<Option<Arc<rustls::ServerConfig>>> {
    if certificate.as_os_str().is_empty() {
        return Ok(None);
    }
    let files = TlsFiles {
        certificates: certificate.to_owned(),
        key: key.to_owned(),
        client_authorities: None,
    };
    Ok(Some(server_config(&files)?))
}

fn open(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<rustls::ServerConfig>>,
    closed: &Receiver<bool>,
) -> JoinHandle<()> {
    let mut closed = closed.clone();
    let limits = ServeLimits { grace: Duration::from_secs(5), ..ServeLimits::default() };
    tokio::spawn(async move {
        let shutdown = async move {
            let _ = closed.wait_for(|closed| *closed).await;
        };
        serve(listener, router, tls, limits, shutdown).await;
    })
}
