//! The identity provider of a run: a key made now, the key set it is published in, and tokens.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

pub const ISSUER: &str = "https://identity.chaos.example";
pub const AUDIENCE: &str = "staffetta-chaos";

pub struct Identity {
    key: EncodingKey,
    /// The published key set.
    pub key_set: PathBuf,
}

impl Identity {
    pub fn create(folder: &Path) -> Result<Self> {
        let pair = rcgen::KeyPair::generate()?;
        let point = pair.public_key_raw();
        ensure!(point.len() == 65, "the key is no point of P-256");
        let keys = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "chaos",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        }] });
        let key_set = folder.join("jwks.json");
        std::fs::write(&key_set, serde_json::to_vec(&keys)?)?;
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())?;
        Ok(Self { key, key_set })
    }

    /// What the app of this citizen would send; valid for a day.
    pub fn token(&self, fiscal_code: &str) -> Result<String> {
        let now = super::now() / 1_000;
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "nbf": now - 60, "iat": now, "exp": now + 86_400,
            "sub": "chaos", "fiscal_code": format!("TINIT-{fiscal_code}"),
        });
        let header = Header { kid: Some("chaos".to_owned()), ..Header::new(Algorithm::ES256) };
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}
