use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde::{Deserialize, Serialize};

use super::{TokenError, jwt};

/// Life of an assertion: the most that the authorization server allows.
const ASSERTION_SECONDS: i64 = 3_600;

/// A service account: who asks for access tokens, and where. `Debug` prints neither key nor name.
pub struct ServiceAccount {
    client_email: String,
    key_id: String,
    key: RsaKeyPair,
    project_id: String,
    token_uri: String,
}

/// The key file as the console hands it out; further fields are ignored.
#[derive(Deserialize)]
struct File {
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    project_id: Option<String>,
    token_uri: Option<String>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl ServiceAccount {
    /// Reads a service-account key file (JSON). The error names the field that is missing or bad.
    pub fn from_json(json: &[u8]) -> Result<Self, TokenError> {
        // The parser's own message may quote the file, hence the key.
        let file: File =
            serde_json::from_slice(json).map_err(|_| TokenError::BadAccount("an object"))?;
        let field = |value: Option<String>, name| value.ok_or(TokenError::BadAccount(name));
        let pem = field(file.private_key, "private_key")?;
        let der = jwt::pkcs8(pem.as_bytes())?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| TokenError::NotRsa)?;
        if key.public_modulus_len() < 256 {
            return Err(TokenError::NotRsa);
        }
        Ok(Self {
            client_email: field(file.client_email, "client_email")?,
            key_id: field(file.private_key_id, "private_key_id")?,
            key,
            project_id: field(file.project_id, "project_id")?,
            token_uri: field(file.token_uri, "token_uri")?,
        })
    }

    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    pub fn token_uri(&self) -> &str {
        &self.token_uri
    }

    /// A signed request for an access token of `scope` (RFC 7523 §2.1; RS256).
    pub(super) fn assertion(&self, scope: &str, now_ms: i64) -> Result<String, TokenError> {
        let iat = now_ms.div_euclid(1_000);
        let header = Header { alg: "RS256", typ: "JWT", kid: &self.key_id };
        let claims = Claims {
            iss: &self.client_email,
            scope,
            aud: &self.token_uri,
            iat,
            exp: iat + ASSERTION_SECONDS,
        };
        jwt::compact(&header, &claims, |message| {
            let mut signature = vec![0; self.key.public_modulus_len()];
            self.key
                .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                .map_err(|_| TokenError::Signing)?;
            Ok(signature)
        })
    }

    /// The public key (DER, RFC 8017 `RSAPublicKey`), to register or to verify with.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("project_id", &self.project_id)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
