//! Provider authentication tokens: Apple, "Establishing a token-based connection to APNs".

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use parking_lot::Mutex;
use serde::Deserialize;

use super::reason::Reason;
use crate::ids;

/// "A provider token whose timestamp is more than one hour old is rejected."
const LIFE_SECONDS: u64 = 60 * 60;
/// "Don't refresh more than once every 20 minutes."
const REFRESH_SECONDS: u64 = 20 * 60;
/// How far the issuer's clock may be ahead of ours. Apple's own tolerance is not documented.
const AHEAD_SECONDS: u64 = 60;
/// Verdicts kept; a client makes one token an hour, so more means that nothing is worth keeping.
const VERDICTS_MAX: usize = 10_000;

pub(crate) struct Key {
    pub(crate) id: String,
    /// Uncompressed point, 65 bytes.
    pub(crate) public: Vec<u8>,
    pub(crate) environment: Environment,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    This,
    Other,
}

/// A token whose signature was found right. Whether it is fresh depends on when one asks.
#[derive(Debug)]
pub(crate) struct Verified {
    key_id: String,
    issued_at: u64,
}

type Verdict = Result<Arc<Verified>, Reason>;

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: u64,
}

pub(crate) struct Keys {
    team_id: String,
    keys: Vec<Key>,
    /// Each distinct token is verified once: a verification costs more than all else together.
    verdicts: Mutex<HashMap<Box<[u8]>, Verdict>>,
}

impl Keys {
    pub(crate) fn new(team_id: String, keys: Vec<Key>) -> Keys {
        Keys { team_id, keys, verdicts: Mutex::default() }
    }

    fn verdict(&self, token: &[u8]) -> Verdict {
        if let Some(verdict) = self.verdicts.lock().get(token) {
            return verdict.clone();
        }
        let verdict = self.verify(token).map(Arc::new);
        let mut verdicts = self.verdicts.lock();
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.clear();
        }
        verdicts.insert(token.into(), verdict.clone());
        verdict
    }

    fn verify(&self, token: &[u8]) -> Result<Verified, Reason> {
        const INVALID: Reason = Reason::InvalidProviderToken;
        let token = std::str::from_utf8(token).map_err(|_| INVALID)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(INVALID)?;
        let (head, claims) = signed.split_once('.').ok_or(INVALID)?;
        let head: Head = ids::jwt_object(head).ok_or(INVALID)?;
        let claims: Claims = ids::jwt_object(claims).ok_or(INVALID)?;
        if head.alg != "ES256" || claims.iss != self.team_id {
            return Err(INVALID);
        }
        let key = self.keys.iter().find(|key| key.id == head.kid).ok_or(INVALID)?;
        let signature = ids::jwt_bytes(signature).ok_or(INVALID)?;
        // RFC 7518 §3.4 wants R and S side by side; clients in wide use send ASN.1 DER, and Apple
        // takes both (jchambers/pushy and a2 with OpenSSL send DER).
        let verifies = |algorithm| {
            let key = UnparsedPublicKey::new(algorithm, &key.public);
            key.verify(signed.as_bytes(), &signature).is_ok()
        };
        if !verifies(&ECDSA_P256_SHA256_FIXED) && !verifies(&ECDSA_P256_SHA256_ASN1) {
            return Err(INVALID);
        }
        if key.environment == Environment::Other {
            return Err(Reason::BadEnvironmentKeyInToken);
        }
        Ok(Verified { key_id: head.kid, issued_at: claims.iat })
    }
}

/// What a connection remembers of the tokens it has seen.
#[derive(Default)]
pub(crate) struct Pinned {
    present: Option<(Box<[u8]>, Arc<Verified>)>,
    is_expired: bool,
}

impl Pinned {
    /// Judges the value of `authorization`. Precedence: missing, invalid, expired, unrelated key,
    /// too many updates.
    pub(crate) fn judge(
        &mut self,
        keys: &Keys,
        authorization: Option<&[u8]>,
        now_seconds: u64,
    ) -> Result<(), Reason> {
        let token = bearer(authorization).ok_or(Reason::MissingProviderToken)?;
        if let Some((present, verified)) = &self.present
            && **present == *token
        {
            return self.check_age(verified.issued_at, now_seconds);
        }
        let verified = keys.verdict(token)?;
        self.check_age(verified.issued_at, now_seconds)?;
        if let Some((_, present)) = &self.present {
            // "The key ID isn't related to the key ID of the first push of this connection."
            if present.key_id != verified.key_id {
                return Err(Reason::UnrelatedKeyIdInToken);
            }
            // Judged by the times of issue, so that going back to an older token counts as well.
            if verified.issued_at < present.issued_at.saturating_add(REFRESH_SECONDS) {
                return Err(Reason::TooManyProviderTokenUpdates);
            }
        }
        self.present = Some((token.into(), verified));
        Ok(())
    }

    fn check_age(&mut self, issued_at: u64, now_seconds: u64) -> Result<(), Reason> {
        if issued_at > now_seconds.saturating_add(AHEAD_SECONDS) {
            return Err(Reason::InvalidProviderToken);
        }
        // A connection on which a token expired never recovers: jchambers/pushy closes it for that
        // reason (`TokenAuthenticationApnsClientHandler`).
        self.is_expired |= issued_at.saturating_add(LIFE_SECONDS) < now_seconds;
        if self.is_expired { Err(Reason::ExpiredProviderToken) } else { Ok(()) }
    }
}

/// The token after the scheme, which is not case-sensitive (RFC 9110 §11.1).
fn bearer(authorization: Option<&[u8]>) -> Option<&[u8]> {
    let (scheme, token) = authorization?.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}
