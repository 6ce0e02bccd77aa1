//! Who is calling: bearer tokens (RFC 6750) of one issuer, checked against its published keys.

use std::fmt;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use parking_lot::RwLock;
use runtime::world::World;
use schemas::ids::Timestamp;
use sealing::FiscalCode;
use serde_json::Value;
use tokio::sync::Mutex;

use super::answers::Trouble;
use super::config::{EmailClaim, KeySource, LoginConfig};

/// Signatures that are believed. No shared secrets, no `none`, nothing a token could choose itself.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA];

/// No honest token is as long.
const MAX_TOKEN: usize = 8 * 1024;

/// A key set file is looked at again no more often than this.
const FILE_REFRESH: Duration = Duration::from_secs(10);

/// Until a key set has been read at all it is asked for this often.
const FIRST_REFRESH: Duration = Duration::from_secs(5);

/// No key set is as long.
const MAX_KEYS: usize = 64;
const MAX_SET: usize = 256 * 1024;

/// A person who has logged in.
pub(super) struct Caller {
    pub code: FiscalCode,
    /// A mailbox that the issuer vouches for.
    pub email: Option<String>,
}

/// Why a token opens no door. Deliberately few words: the token's bearer learns no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("Send a bearer token in the Authorization header.")]
    NoToken,
    #[error("The token is not valid here, or not any more.")]
    BadToken,
    #[error("The token names no person with an Italian fiscal code.")]
    NoPerson,
}

/// Why the issuer's keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("the key set of the identity provider cannot be read: {0}")]
    Unreadable(String),
    #[error("the key set holds no key for ES256 (P-256), RS256 or EdDSA (Ed25519)")]
    NoKey,
}

pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Checks tokens.
pub struct Login {
    config: LoginConfig,
    client: reqwest::Client,
    world: World,
    keys: RwLock<Vec<Key>>,
    /// When the key set was last asked for.
    asked: Mutex<Timestamp>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.config.issuer)
    }
}

impl Login {
    /// Reads the key set once. `client` is used for a key set by URL only; give it a timeout. A provider
    /// that does not answer is asked again whenever somebody comes with a token: its outage must not
    /// keep a process down that has other work.
    ///
    /// # Errors
    /// [`LoginError`] for a key set file.
    pub async fn open(
        config: LoginConfig,
        client: reqwest::Client,
        world: World,
    ) -> Result<Self, LoginError> {
        let keys = match (read_keys(&config.keys, &client).await, &config.keys) {
            (Ok(keys), _) => keys,
            (Err(error), KeySource::File(_)) => return Err(error),
            (Err(error), KeySource::Url { .. }) => {
                tracing::error!(
                    %error,
                    "nobody can log in until the key set is read; see citizen_api.jwks and the provider"
                );
                Vec::new()
            }
        };
        let asked = Mutex::new(world.now());
        Ok(Self { config, client, world, keys: RwLock::new(keys), asked })
    }

    /// # Errors
    /// `Denied`; `NotReady` while no key set was read.
    pub(super) async fn who(&self, headers: &HeaderMap) -> Result<Caller, Trouble> {
        let token = bearer(headers).ok_or(Denied::NoToken)?;
        if token.len() > MAX_TOKEN {
            return Err(Denied::BadToken.into());
        }
        let header = decode_header(token).map_err(|_| Denied::BadToken)?;
        // RFC 7515 §4.1.11: extensions that must be understood are not understood here.
        if !ALGORITHMS.contains(&header.alg) || header.crit.is_some() {
            return Err(Denied::BadToken.into());
        }
        let kid = header.kid.as_deref();
        let mut fitting = self.fitting(header.alg, kid);
        if fitting.is_empty() {
            self.refresh().await;
            fitting = self.fitting(header.alg, kid);
            if self.keys.read().is_empty() {
                return Err(Trouble::NotReady);
            }
        }
        let validation = self.validation(header.alg);
        let mut claims =
            fitting.iter().filter_map(|key| decode::<Value>(token, key, &validation).ok());
        let claims = claims.next().ok_or(Denied::BadToken)?.claims;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let code = text(&self.config.claim).and_then(|it| FiscalCode::from_spid(it).ok());
        let email = self.config.email.as_ref().and_then(|claim| vouched(claim, &claims));
        Ok(Caller { code: code.ok_or(Denied::NoPerson)?, email })
    }

    /// Keys of that algorithm; of that id, where both token and key name one.
    fn fitting(&self, algorithm: Algorithm, kid: Option<&str>) -> Vec<DecodingKey> {
        let keys = self.keys.read();
        let fits = |key: &&Key| {
            let same = key.id.as_deref().zip(kid).is_none_or(|(ours, theirs)| ours == theirs);
            key.algorithm == algorithm && same
        };
        keys.iter().filter(fits).map(|key| key.key.clone()).collect()
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = self.config.leeway.as_secs();
        validation
    }

    /// Asks for the key set again, bounded in frequency whoever sends tokens.
    async fn refresh(&self) {
        let mut asked = self.asked.lock().await;
        let every = match &self.config.keys {
            KeySource::File(_) => FILE_REFRESH,
            KeySource::Url { refresh, .. } if self.keys.read().is_empty() => {
                FIRST_REFRESH.min(*refresh)
            }
            KeySource::Url { refresh, .. } => *refresh,
        };
        let now = self.world.now();
        if now.since(*asked) < every {
            return;
        }
        *asked = now;
        match read_keys(&self.config.keys, &self.client).await {
            Ok(keys) => *self.keys.write() = keys,
            Err(error) => tracing::warn!(%error, "going on with the keys known so far"),
        }
    }
}

/// The address, where the token says that it is proven. Only the boolean says so: a text is no proof.
fn vouched(claim: &EmailClaim, claims: &Value) -> Option<String> {
    let verified = claim.verified.as_ref();
    let is_proven = verified.is_none_or(|name| claims.get(name) == Some(&Value::Bool(true)));
    let address = claims.get(&claim.address).and_then(Value::as_str).filter(|_| is_proven);
    address.map(str::to_owned)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(super) async fn read_keys(
    source: &KeySource,
    client: &reqwest::Client,
) -> Result<Vec<Key>, LoginError> {
    let unreadable = |error: &dyn fmt::Display| LoginError::Unreadable(error.to_string());
    let bytes = match source {
        KeySource::File(path) => tokio::fs::read(path).await.map_err(|e| unreadable(&e))?,
        KeySource::Url { url, .. } => {
            let answer = client.get(url).send().await.map_err(|e| unreadable(&e.without_url()))?;
            let answer = answer.error_for_status().map_err(|e| unreadable(&e.without_url()))?;
            bounded(answer).await?
        }
    };
    if bytes.len() > MAX_SET {
        return Err(unreadable(&"longer than 256 KiB"));
    }
    let set: Value = serde_json::from_slice(&bytes).map_err(|_| unreadable(&"not JSON"))?;
    let listed = set.get("keys").and_then(Value::as_array).into_iter().flatten().take(MAX_KEYS);
    // One key of a kind we do not know must not hide the others.
    let keys: Vec<_> =
        listed.filter_map(|it| serde_json::from_value(it.clone()).ok()).filter_map(key).collect();
    if keys.is_empty() { Err(LoginError::NoKey) } else { Ok(keys) }
}

/// At most a little more than a key set may have: whoever answers decides on how much there is to read.
async fn bounded(mut answer: reqwest::Response) -> Result<Vec<u8>, LoginError> {
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| LoginError::Unreadable(error.without_url().to_string());
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_SET {
            break;
        }
    }
    Ok(body)
}

fn key(jwk: Jwk) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::OctetKeyPair(_)
        | AlgorithmParameters::OctetKey(_) => return None,
    };
    let common = &jwk.common;
    let stated = common.key_algorithm.is_none_or(|it| it.to_string() == format!("{algorithm:?}"));
    let signs = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| stated && signs)?;
    Some(Key { id: common.key_id.clone(), algorithm, key })
}
