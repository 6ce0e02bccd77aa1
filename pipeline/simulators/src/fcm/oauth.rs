//! Google's token endpoint: a signed assertion in, an access token out. Sources: Google, "Using
//! OAuth
//! 2.0 for Server to Server Applications"; RFC 7523; RFC 6749 §5.2 for the errors.

use std::collections::HashMap;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde::Deserialize;

use super::errors::{Credential, Failure};
use crate::ids;

/// "When making an access token request this value is always" this one. Most libraries send the
/// `token_uri` of the account instead, and Google takes that too; google-auth for Python sends this
/// whatever `token_uri` says.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
];
/// "A maximum of 1 hour after the issued time."
const ASSERTION_SECONDS: u64 = 3600;
/// How far clocks may differ.
const SKEW_SECONDS: u64 = 300;
/// Access tokens kept at once; when there are more, expired ones go, then all.
const TOKENS_MAX: usize = 10_000;

pub(super) struct Account {
    pub(super) name: &'static str,
    pub(super) email: String,
    pub(super) key_id: String,
    may_send: bool,
}

impl Account {
    pub(super) fn new(project_id: &str, name: &'static str, may_send: bool) -> Account {
        let email = format!("{name}@{project_id}.iam.gserviceaccount.com");
        Account { name, email, key_id: hex::encode(ids::random::<20>()), may_send }
    }
}

#[derive(Clone, Copy)]
struct Grant {
    expires_at: u64,
    may_send: bool,
    is_scoped: bool,
}

pub(super) struct Tokens {
    accounts: Vec<Account>,
    /// PKCS#1 `RSAPublicKey`.
    public: Vec<u8>,
    audience: String,
    life_seconds: u64,
    given: Mutex<HashMap<String, Grant>>,
}

pub(super) struct AccessToken {
    pub(super) token: String,
    pub(super) expires_in: u64,
}

/// Why no token is given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OauthError {
    pub(super) error: &'static str,
    pub(super) description: &'static str,
}

const fn invalid(description: &'static str) -> OauthError {
    OauthError { error: "invalid_grant", description }
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
    #[serde(default)]
    scope: Option<String>,
}

impl Tokens {
    pub(super) fn new(
        accounts: Vec<Account>,
        public: Vec<u8>,
        audience: String,
        life_seconds: u64,
    ) -> Tokens {
        Tokens { accounts, public, audience, life_seconds, given: Mutex::default() }
    }

    /// Exchanges the form of a token request. Precedence: grant type, shape, account, signature,
    /// audience, times, scope.
    pub(super) fn exchange(&self, form: &[u8], now: u64) -> Result<AccessToken, OauthError> {
        let mut grant_type = None;
        let mut assertion = None;
        for (name, value) in form_pairs(form) {
            match name.as_str() {
                "grant_type" => grant_type = Some(value),
                "assertion" => assertion = Some(value),
                _ => {}
            }
        }
        match grant_type.as_deref() {
            Some(GRANT) => {}
            Some(_) => {
                let description = "Invalid grant_type.";
                return Err(OauthError { error: "unsupported_grant_type", description });
            }
            None => {
                let description = "Missing required parameter: grant_type";
                return Err(OauthError { error: "invalid_request", description });
            }
        }
        let assertion = assertion.ok_or(OauthError {
            error: "invalid_request",
            description: "Missing required parameter: assertion",
        })?;
        let (account, claims) = self.verify(&assertion)?;
        check_times(&claims, now)?;
        let scope = claims.scope.as_deref().unwrap_or_default();
        if scope.split_whitespace().next().is_none() {
            let description = "Invalid OAuth scope or ID token audience provided.";
            return Err(OauthError { error: "invalid_scope", description });
        }
        let is_scoped = scope.split_whitespace().any(|scope| SCOPES.contains(&scope));
        Ok(self.give(
            Grant { expires_at: now + self.life_seconds, may_send: account.may_send, is_scoped },
            now,
        ))
    }

    fn verify(&self, assertion: &str) -> Result<(&Account, Claims), OauthError> {
        const SHAPE: OauthError = invalid("Bad Request");
        const SIGNATURE: OauthError = invalid("Invalid JWT Signature.");
        let (signed, signature) = assertion.rsplit_once('.').ok_or(SHAPE)?;
        let (head, claims) = signed.split_once('.').ok_or(SHAPE)?;
        let head: Head = ids::jwt_object(head).ok_or(SHAPE)?;
        let claims: Claims = ids::jwt_object(claims).ok_or(SHAPE)?;
        let account = self
            .accounts
            .iter()
            .find(|account| account.email == claims.iss)
            .ok_or(invalid("Invalid grant: account not found"))?;
        // A key id is optional, but a wrong one names a key that does not exist.
        let is_our_key = head.kid.is_none_or(|kid| kid == account.key_id);
        let signature = ids::jwt_bytes(signature).ok_or(SIGNATURE)?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public);
        let is_signed = key.verify(signed.as_bytes(), &signature).is_ok();
        if head.alg != "RS256" || !is_our_key || !is_signed {
            return Err(SIGNATURE);
        }
        if claims.aud != self.audience && claims.aud != GOOGLE {
            return Err(invalid("Invalid JWT: Failed audience check."));
        }
        Ok((account, claims))
    }

    fn give(&self, grant: Grant, now: u64) -> AccessToken {
        let token = format!("ya29.{}", URL_SAFE_NO_PAD.encode(ids::random::<96>()));
        let mut given = self.given.lock();
        if given.len() >= TOKENS_MAX {
            given.retain(|_, grant| grant.expires_at > now);
        }
        if given.len() >= TOKENS_MAX {
            given.clear();
        }
        given.insert(token.clone(), grant);
        AccessToken { token, expires_in: self.life_seconds }
    }

    /// Judges the value of `authorization` of a send.
    pub(super) fn check(
        &self,
        authorization: Option<&[u8]>,
        project_id: &str,
        now: u64,
    ) -> Result<(), Failure> {
        let token =
            bearer(authorization).ok_or_else(|| Failure::unauthenticated(Credential::Missing))?;
        let grant = self.given.lock().get(token).copied();
        let grant = grant.ok_or_else(|| Failure::unauthenticated(Credential::Invalid))?;
        if grant.expires_at <= now {
            return Err(Failure::unauthenticated(Credential::Expired));
        }
        if !grant.is_scoped {
            return Err(Failure::scope_insufficient());
        }
        if grant.may_send { Ok(()) } else { Err(Failure::permission_denied(project_id)) }
    }
}

fn check_times(claims: &Claims, now: u64) -> Result<(), OauthError> {
    let is_short = claims.exp > claims.iat && claims.exp - claims.iat <= ASSERTION_SECONDS;
    let is_now = claims.iat <= now + SKEW_SECONDS && claims.exp + SKEW_SECONDS > now;
    if is_short && is_now {
        return Ok(());
    }
    Err(invalid(
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
         timeframe. Check your iat and exp values in the JWT claim.",
    ))
}

fn bearer(authorization: Option<&[u8]>) -> Option<&str> {
    let text = std::str::from_utf8(authorization?).ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// `application/x-www-form-urlencoded` (WHATWG URL §5.1).
fn form_pairs(form: &[u8]) -> impl Iterator<Item = (String, String)> {
    form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut sides = pair.splitn(2, |byte| *byte == b'=');
        let mut side = || percent_decode(sides.next().unwrap_or_default());
        (side(), side())
    })
}

fn percent_decode(text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escape = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escape
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (byte, first) {
            (Some(byte), _) => {
                decoded.push(byte);
                rest = &after[2..];
                continue;
            }
            (None, b'+') => decoded.push(b' '),
            (None, other) => decoded.push(*other),
        }
        rest = after;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_by_percent_and_plus() {
        let pairs: Vec<_> = form_pairs(b"grant_type=urn%3Aietf%3Ax&a=b+c&=&d").collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected =
            [pair("grant_type", "urn:ietf:x"), pair("a", "b c"), pair("", ""), pair("d", "")];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn an_assertion_may_live_one_hour_at_most() {
        let claims =
            |iat, exp| Claims { iss: String::new(), aud: String::new(), iat, exp, scope: None };
        assert!(check_times(&claims(1000, 4600), 1000).is_ok());
        assert!(check_times(&claims(1000, 4601), 1000).is_err());
        assert!(check_times(&claims(1000, 4600), 4600 + SKEW_SECONDS).is_err());
        assert!(check_times(&claims(1000 + SKEW_SECONDS + 1, 4000), 1000).is_err());
    }
}
