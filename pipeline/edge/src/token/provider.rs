//! A provider token: a JWT that we sign ourselves (ES256) and that lasts about an hour.
//!
//! Apple, "Establishing a token-based connection to APNs": refresh at least every 60 minutes and
//! not more often than every 20.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use http::HeaderValue;
use parking_lot::Mutex;
use serde::Serialize;

use super::{Credential, TokenError, jwt, sensitive};
use crate::{Clock, Random};

const MINUTE_MS: i64 = 60_000;
/// A token is replaced between these two ages, so that processes do not all sign at once.
const EARLIEST_REFRESH_MS: i64 = 45 * MINUTE_MS;
const LATEST_REFRESH_MS: i64 = 50 * MINUTE_MS;
/// No token replaces a younger one. The rule says 20 minutes, counted from when the provider
/// first *sees* a token; the minute above is for that delay.
const LEAST_AGE_MS: i64 = 21 * MINUTE_MS;
/// A token issued further ahead than this comes from a clock since set back.
const MOST_AHEAD_MS: i64 = MINUTE_MS;

/// Who signs. `Debug` does not print the key.
#[derive(Clone)]
pub struct ProviderTokenConfig {
    /// Issuer: the team, as the provider names it (10 characters).
    pub team_id: String,
    /// The key's name at the provider (10 characters).
    pub key_id: String,
    /// The private key: the PEM file as downloaded (`.p8`, PKCS#8, curve P-256).
    pub key_pem: Vec<u8>,
}

/// Signs provider tokens for one (team, key). Share **one** among all connections and edges that
/// use this key ([`ProviderTokens`] does): the 20-minute rule is about the key.
pub struct ProviderToken {
    team_id: String,
    key_id: String,
    key: EcdsaKeyPair,
    clock: Clock,
    random: Random,
    current: Mutex<Issued>,
}

#[derive(Clone)]
struct Issued {
    header: HeaderValue,
    issued_ms: i64,
    refresh_ms: i64,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
}

impl ProviderToken {
    /// Reads the key and signs the first token.
    pub fn new(
        config: ProviderTokenConfig,
        clock: Clock,
        random: Random,
    ) -> Result<Self, TokenError> {
        let der = jwt::pkcs8(&config.key_pem)?;
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der())
                .map_err(|_| TokenError::NotP256)?;
        let ProviderTokenConfig { team_id, key_id, .. } = config;
        let current = Mutex::new(issue(&team_id, &key_id, &key, clock(), random())?);
        Ok(Self { team_id, key_id, key, clock, random, current })
    }

    /// Age of the token in use, in milliseconds: beyond an hour, or negative, the clock is wrong.
    pub fn age_ms(&self) -> i64 {
        (self.clock)() - self.current.lock().issued_ms
    }

    /// Signs anew when `due` says so of the present token; keeps the old one if signing fails.
    fn replace_if(&self, due: impl FnOnce(&Issued, i64) -> bool) -> HeaderValue {
        let mut current = self.current.lock();
        let now_ms = (self.clock)();
        if due(&current, now_ms) {
            match issue(&self.team_id, &self.key_id, &self.key, now_ms, (self.random)()) {
                Ok(issued) => *current = issued,
                Err(error) => tracing::error!(key_id = %self.key_id, %error, "token kept"),
            }
        }
        current.header.clone()
    }
}

#[async_trait]
impl Credential for ProviderToken {
    /// Signs in place when the present token is old: tens of microseconds, once in 45 minutes.
    fn header(&self) -> Option<HeaderValue> {
        Some(self.replace_if(|current, now_ms| {
            now_ms >= current.refresh_ms || now_ms < current.issued_ms - MOST_AHEAD_MS
        }))
    }

    async fn renew(&self, refused: &HeaderValue) -> bool {
        let header = self.replace_if(|current, now_ms| {
            current.header == *refused && now_ms - current.issued_ms >= LEAST_AGE_MS
        });
        header != *refused
    }

    /// A connection on which a token expired answers nothing but refusals from then on.
    fn is_tied_to_connection(&self) -> bool {
        true
    }
}

impl fmt::Debug for ProviderTokenConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderTokenConfig").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for ProviderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderToken").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

fn issue(
    team_id: &str,
    key_id: &str,
    key: &EcdsaKeyPair,
    now_ms: i64,
    random: f64,
) -> Result<Issued, TokenError> {
    let header = Header { alg: "ES256", kid: key_id };
    let claims = Claims { iss: team_id, iat: now_ms.div_euclid(1_000) };
    // R ‖ S, 64 bytes, as RFC 7518 §3.4 wants it; not the DER that some clients send.
    let token = jwt::compact(&header, &claims, |message| {
        let signature = key.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| TokenError::Signing)?.as_ref().to_vec())
    })?;
    let spread = (LATEST_REFRESH_MS - EARLIEST_REFRESH_MS) as f64;
    Ok(Issued {
        // In lower case: at least one published double of the provider refuses `Bearer`.
        header: sensitive("bearer", &token)?,
        issued_ms: now_ms,
        refresh_ms: now_ms + EARLIEST_REFRESH_MS + (spread * random) as i64,
    })
}

/// All provider tokens of a process: one signer for each (team, key), however many edges use it.
pub struct ProviderTokens {
    clock: Clock,
    random: Random,
    signers: Mutex<HashMap<(String, String), Arc<ProviderToken>>>,
}

impl ProviderTokens {
    pub fn new(clock: Clock, random: Random) -> Self {
        Self { clock, random, signers: Mutex::default() }
    }

    /// The signer of `config`'s team and key, made at the first call; later calls do not read
    /// `key_pem`.
    pub fn signer(&self, config: ProviderTokenConfig) -> Result<Arc<ProviderToken>, TokenError> {
        let name = (config.team_id.clone(), config.key_id.clone());
        let mut signers = self.signers.lock();
        if let Some(signer) = signers.get(&name) {
            return Ok(signer.clone());
        }
        let signer = Arc::new(ProviderToken::new(config, self.clock.clone(), self.random.clone())?);
        signers.insert(name, signer.clone());
        Ok(signer)
    }
}
