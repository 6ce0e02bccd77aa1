//! The FCM double: the HTTP v1 API and Google's OAuth2 token endpoint on one TLS listener, over
//! HTTP/2 and HTTP/1.1. Sources: Firebase, "FCM HTTP v1 API" (`projects.messages`), "ErrorCode";
//! Google, "Using OAuth 2.0 for Server to Server Applications"; bodies as recorded in the threads
//! named beside them.

mod errors;
mod http1;
mod judge;
mod limits;
mod message;
mod oauth;
mod schema;
mod script;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use bytes::Bytes;
use http::{HeaderValue, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::config::{Config, Mode};
use crate::control::{Controls, Script};
use crate::http2::{self, Limits};
use crate::journal::{Counts, Journal, Received};
use crate::listen::{self, Life};
use crate::{StartError, admin, ids};
use judge::{Connection, Edge};
use oauth::{Account, Tokens};
use script::Scripts;

/// A running FCM double and what a client needs to reach it.
pub struct Fcm {
    pub address: SocketAddr,
    /// PEM file of the certificate authority to trust; server names `localhost` and `127.0.0.1`.
    pub ca: PathBuf,
    /// Service account JSON as Google issues it, `token_uri` pointing here.
    pub service_account: PathBuf,
    /// An account of the same project that lacks the right to send.
    pub powerless_account: PathBuf,
    pub token_uri: String,
    pub project_id: String,
    pub admin: SocketAddr,
    controls: Arc<Controls>,
    journal: Arc<Journal>,
}

impl Fcm {
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
) -> Result<Fcm, StartError> {
    let (listener, address) = listen::bind().await?;
    let token_uri = format!("https://{address}/token");
    let key = make_key()?;
    let project = &config.fcm_project_id;
    let sender = Account::new(project, "sender", true);
    let powerless = Account::new(project, "powerless", false);
    let service_account = write(authority, config, &sender, &key.private_pem, &token_uri)?;
    let powerless_account = write(authority, config, &powerless, &key.private_pem, &token_uri)?;
    let controls = Arc::new(Controls::new());
    let journal = Journal::new(config.received_max, config.received_max_bytes);
    let edge = Arc::new(Edge {
        tokens: Tokens::new(
            vec![sender, powerless],
            key.public.clone(),
            token_uri.clone(),
            config.access_token_seconds,
        ),
        scripts: Scripts::default(),
        controls: controls.clone(),
        journal: journal.clone(),
        project_id: project.clone(),
        streams: config.fcm_streams,
        delay: config.answer_delay,
        slow: config.scaled(script::SLOW),
        retry_after_seconds: config.retry_after_seconds,
        retry_after: config.retry_after,
    });
    let forget = edge.clone();
    let admin =
        admin::start(journal.clone(), controls.clone(), move || forget.scripts.forget(), life)
            .await?;
    let tls = TlsAcceptor::from(authority.tls(&[b"h2", b"http/1.1"])?);
    listen(listener, tls, edge, config, life);
    Ok(Fcm {
        address,
        ca: authority.ca.clone(),
        service_account,
        powerless_account,
        token_uri,
        project_id: project.clone(),
        admin,
        controls,
        journal,
    })
}

struct Key {
    private_pem: String,
    /// PKCS#1 `RSAPublicKey`.
    public: Vec<u8>,
}

/// The accounts' key. One for the process, because making an RSA key takes long.
fn make_key() -> Result<&'static Key, StartError> {
    static KEY: OnceLock<Key> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key);
    }
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| StartError::Key)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| StartError::Key)?;
    let private_pem = ids::pem("PRIVATE KEY", der.as_ref());
    let public = pair.public_key().as_ref().to_vec();
    Ok(KEY.get_or_init(|| Key { private_pem, public }))
}

/// Writes the file that Google's console offers for download.
fn write(
    authority: &Authority,
    config: &Config,
    account: &Account,
    private_pem: &str,
    token_uri: &str,
) -> Result<PathBuf, StartError> {
    let text = json!({
        "type": "service_account",
        "project_id": config.fcm_project_id,
        "private_key_id": account.key_id,
        "private_key": private_pem,
        "client_email": account.email,
        "client_id": "100000000000000000000",
        "auth_uri": token_uri.replace("/token", "/auth"),
        "token_uri": token_uri,
    });
    let name = format!("service-account-{}.json", account.name);
    authority.write_secret(&name, "a service account", &format!("{text:#}\n"))
}

fn listen(listener: TcpListener, tls: TlsAcceptor, edge: Arc<Edge>, config: &Config, life: &Life) {
    let limits = Limits {
        streams_max: config.fcm_streams,
        goaway_after: config.fcm_goaway_after,
        idle_timeout: None,
    };
    let mode = config.mode;
    let (controls, journal) = (edge.controls.clone(), edge.journal.clone());
    listen::accept(listener, controls, journal, life, move |socket, number| {
        let (tls, edge, limits) = (tls.clone(), edge.clone(), limits.clone());
        async move {
            let Some(io) = listen::handshake(&tls, socket).await else { return };
            let is_http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
            let connection = Connection::new(edge.clone(), number);
            match (is_http2, mode) {
                (false, Mode::Validating | Mode::Null) => http1::serve(io, connection).await,
                (true, Mode::Null) => null(io, &edge).await,
                (true, Mode::Validating) => {
                    let (controls, journal) = (edge.controls.clone(), edge.journal.clone());
                    http2::serve(io, connection, &limits, controls, journal).await;
                }
            }
        }
    });
}

/// Every send is answered 200. Tokens are still given: a client cannot do without, and over HTTP/2
/// it may ask for them on the same connection.
async fn null<T>(io: T, edge: &Edge)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let name = json!({"name": format!("projects/{}/messages/0", edge.project_id)}).to_string();
    let sent = Bytes::from(name);
    let token = Bytes::from(
        json!({"access_token": "ya29.null", "expires_in": 3599, "token_type": "Bearer"})
            .to_string(),
    );
    http2::serve_null(io, edge.streams, edge.delay, |request| {
        let is_token = request.uri().path() == "/token";
        let mut response = Response::new(if is_token { token.clone() } else { sent.clone() });
        let kind = HeaderValue::from_static("application/json; charset=UTF-8");
        response.headers_mut().insert("content-type", kind);
        response
    })
    .await;
}
