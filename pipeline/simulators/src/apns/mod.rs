//! The APNs double: HTTP/2 over TLS, provider tokens, the reason table, scripts by token prefix.
//! Source: Apple, "Sending notification requests to APNs" and "Handling notification responses from
//! APNs"; what Apple leaves open is said where it is decided.

mod judge;
mod provider_token;
mod reason;
mod request;
mod script;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use bytes::Bytes;
use http::{HeaderValue, Response};
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::config::{Config, Mode};
use crate::control::{Controls, Script};
use crate::http2::{self, Limits};
use crate::journal::{Counts, Journal, Received};
use crate::listen::{self, Life};
use crate::{StartError, admin, ids};
use judge::{Connection, Edge};
use provider_token::{Environment, Key, Keys};
use script::Scripts;

/// A running APNs double and what a client needs to reach it.
pub struct Apns {
    pub address: SocketAddr,
    /// PEM file of the certificate authority to trust; server names `localhost` and `127.0.0.1`.
    pub ca: PathBuf,
    /// The ES256 signing key, PKCS#8 PEM, as Apple's `AuthKey_<id>.p8`.
    pub key: PathBuf,
    pub key_id: String,
    pub team_id: String,
    pub topic: String,
    pub admin: SocketAddr,
    /// A second key of the same team: on a connection of the first it is an unrelated one.
    pub other_key: ApnsKey,
    /// A key of the same team that is restricted to the other environment.
    pub sandbox_key: ApnsKey,
    controls: Arc<Controls>,
    journal: Arc<Journal>,
}

/// A signing key beside the first.
pub struct ApnsKey {
    pub path: PathBuf,
    pub id: String,
}

impl Apns {
    pub fn counts(&self) -> Counts {
        self.journal.counts()
    }

    pub fn received(&self) -> Vec<Received> {
        self.journal.received()
    }

    /// Errors: what is wrong with the script.
    pub fn script(&self, script: Script) -> Result<(), &'static str> {
        self.controls.apply(script)
    }
}

pub(crate) async fn start(
    config: &Config,
    authority: &Authority,
    life: &Life,
) -> Result<Apns, StartError> {
    let team_id = ids::capitals::<10>();
    let (first, key) = make_key(authority, Environment::This)?;
    let (second, other) = make_key(authority, Environment::This)?;
    let (third, sandbox) = make_key(authority, Environment::Other)?;
    let controls = Arc::new(Controls::new());
    let journal = Journal::new(config.received_max, config.received_max_bytes);
    let edge = Arc::new(Edge {
        keys: Keys::new(team_id.clone(), vec![key, other, sandbox]),
        scripts: Scripts::default(),
        controls: controls.clone(),
        journal: journal.clone(),
        topic: config.apns_topic.clone(),
        streams: config.apns_streams,
        one_stream_after_refusal: config.apns_one_stream_after_refusal,
        delay: config.answer_delay,
        slow: config.scaled(script::SLOW),
    });
    let forget = edge.clone();
    let admin =
        admin::start(journal.clone(), controls.clone(), move || forget.scripts.forget(), life)
            .await?;
    let (listener, address) = listen::bind().await?;
    let tls = TlsAcceptor::from(authority.tls(&[b"h2"])?);
    match config.mode {
        Mode::Validating => validating(listener, tls, edge, config, life),
        Mode::Null => null(listener, tls, edge, life),
    }
    Ok(Apns {
        address,
        ca: authority.ca.clone(),
        key: first.path,
        key_id: first.id,
        team_id,
        topic: config.apns_topic.clone(),
        admin,
        other_key: second,
        sandbox_key: third,
        controls,
        journal,
    })
}

fn make_key(authority: &Authority, environment: Environment) -> Result<(ApnsKey, Key), StartError> {
    let id = ids::capitals::<10>();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::generate(algorithm).map_err(|_| StartError::Key)?;
    let der = pair.to_pkcs8v1().map_err(|_| StartError::Key)?;
    let text = ids::pem("PRIVATE KEY", der.as_ref());
    let path = authority.write_secret(&format!("AuthKey_{id}.p8"), "an APNs key", &text)?;
    let public = pair.public_key().as_ref().to_vec();
    Ok((ApnsKey { path, id: id.clone() }, Key { id, public, environment }))
}

fn validating(
    listener: tokio::net::TcpListener,
    tls: TlsAcceptor,
    edge: Arc<Edge>,
    config: &Config,
    life: &Life,
) {
    let limits = Limits {
        streams_max: config.apns_streams,
        goaway_after: config.apns_goaway_after,
        idle_timeout: config.apns_idle_timeout,
    };
    let (controls, journal) = (edge.controls.clone(), edge.journal.clone());
    listen::accept(listener, controls, journal, life, move |socket, number| {
        let (tls, edge, limits) = (tls.clone(), edge.clone(), limits.clone());
        async move {
            let Some(io) = listen::handshake(&tls, socket).await else { return };
            let (controls, journal) = (edge.controls.clone(), edge.journal.clone());
            http2::serve(io, Connection::new(edge, number), &limits, controls, journal).await;
        }
    });
}

fn null(listener: tokio::net::TcpListener, tls: TlsAcceptor, edge: Arc<Edge>, life: &Life) {
    let (controls, journal) = (edge.controls.clone(), edge.journal.clone());
    listen::accept(listener, controls, journal, life, move |socket, _| {
        let (tls, edge) = (tls.clone(), edge.clone());
        async move {
            let Some(io) = listen::handshake(&tls, socket).await else { return };
            http2::serve_null(io, edge.streams, edge.delay, |request| {
                let mut response = Response::new(Bytes::new());
                let id = request.headers().get("apns-id").cloned();
                let id = id.unwrap_or_else(|| HeaderValue::from_static(judge::NO_ID));
                response.headers_mut().insert("apns-id", id);
                response
            })
            .await;
        }
    });
}
