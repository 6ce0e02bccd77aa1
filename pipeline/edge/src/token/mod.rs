//! The credentials that open a provider: a provider token that we sign ourselves
//! ([`ProviderToken`]) and an access token that an authorization server gives us
//! ([`AccessToken`]). The pool sees only a ready header value.

mod access;
mod account;
mod jwt;
mod provider;

use async_trait::async_trait;
use http::HeaderValue;

pub use access::{AccessToken, FetchError, TokenHealth, token_client};
pub use account::ServiceAccount;
pub use provider::{ProviderToken, ProviderTokenConfig, ProviderTokens};

/// What an edge shows to be let in. Two kinds exist, as providers do it.
#[async_trait]
pub trait Credential: Send + Sync {
    /// The value of `authorization`, built beforehand and marked sensitive. `None` while there is
    /// no valid one. Never waits for a network.
    fn header(&self) -> Option<HeaderValue>;

    /// The provider refused `refused` as a credential. True once [`header`](Self::header) gives
    /// another value, so that sending again makes sense; false if there is none, or if asking for
    /// one now would break the provider's rules.
    async fn renew(&self, refused: &HeaderValue) -> bool;

    /// Whether a connection on which a credential was refused must be closed, because the
    /// provider ties one to the other.
    fn is_tied_to_connection(&self) -> bool;
}

/// Why a key or an account is unusable: always a matter of configuration. Says nothing of the
/// key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the key file is not a PEM file with a PKCS#8 private key (BEGIN PRIVATE KEY)")]
    NotPkcs8Pem,
    #[error("the key is not an EC key on curve P-256")]
    NotP256,
    #[error("the key is not an RSA key of 2048 bits or more")]
    NotRsa,
    #[error("the service account is not a JSON file with {0}")]
    BadAccount(&'static str),
    #[error("the token, or a part of it, holds characters that no HTTP header may carry")]
    NotAHeader,
    #[error("signing failed")]
    Signing,
    #[error("no HTTP client for the token endpoint could be made")]
    Client,
}

/// `<scheme> <token>` as a header value that HPACK never indexes and `Debug` never prints.
fn sensitive(scheme: &str, token: &str) -> Result<HeaderValue, TokenError> {
    let mut value =
        HeaderValue::try_from(format!("{scheme} {token}")).map_err(|_| TokenError::NotAHeader)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_header_is_sensitive_and_does_not_print_its_token() {
        let value = sensitive("bearer", "secret.token").unwrap();
        assert!(value.is_sensitive());
        assert!(!format!("{value:?}").contains("secret"));
        assert_eq!(sensitive("bearer", "a\nb"), Err(TokenError::NotAHeader));
    }
}
