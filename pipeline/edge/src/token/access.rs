//! An access token: asked for with a signed assertion (RFC 7523), kept fresh in the background.
//!
//! The send path only ever reads the present value. One task asks, so there is never more than
//! one request under way; a failure keeps the old token until it expires.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::{Credential, ServiceAccount, TokenError, sensitive};
use crate::{Clock, Random};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// A refused token younger than this is not replaced: a new one would fare no better, and every
/// refused send would ask for one.
const LEAST_AGE_MS: i64 = 30_000;
/// How long a refused send waits for a new token.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(5);
/// Waits between failed requests: full jitter under a doubling bound.
const FIRST_RETRY_MS: i64 = 1_000;
const LONGEST_RETRY_MS: i64 = 60_000;
/// The wall clock is looked at this often at least, for it may be set while we wait.
const LONGEST_SLEEP_MS: i64 = 30_000;
/// Answers of an authorization server are small.
const MOST_ANSWER_BYTES: usize = 64 * 1024;
/// No token is believed to live longer.
const LONGEST_LIFE_S: i64 = 24 * 60 * 60;

/// Why a request for a token failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The server said no. A 400 or 401 is a matter of configuration: key, account or clock.
    /// `code` is its error code (RFC 6749 §5.2), empty if it gave none.
    #[error("the token endpoint answered {status} {code}")]
    Refused { status: u16, code: String },
    #[error("the token endpoint cannot be reached")]
    Unreachable,
    #[error("the token endpoint's answer holds no usable token")]
    Unusable,
    #[error("the assertion could not be signed")]
    Signing,
}

/// How the token does, for metrics and for telling a wrong configuration from an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHealth {
    /// When the present token is no longer used, a second before it expires, Unix milliseconds; `None` if there is none.
    pub expires_ms: Option<i64>,
    /// When it was asked for, Unix milliseconds.
    pub fetched_ms: Option<i64>,
    pub fetches: u64,
    pub failures: u64,
    /// Why the last request failed; `None` if it did not.
    pub last_failure: Option<FetchError>,
}

/// Keeps an access token fresh from [`start`](Self::start) until it is dropped.
pub struct AccessToken {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    account: ServiceAccount,
    scope: String,
    client: reqwest::Client,
    clock: Clock,
    random: Random,
    current: watch::Sender<Option<Granted>>,
    /// A send was refused with the present token.
    wanted: AtomicBool,
    wake: Notify,
    fetches: AtomicU64,
    failures: AtomicU64,
    last_failure: Mutex<Option<FetchError>>,
}

#[derive(Clone)]
struct Granted {
    header: HeaderValue,
    fetched_ms: i64,
    refresh_ms: i64,
    expires_ms: i64,
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    expires_in: i64,
}

/// The `error` of a refusal; its description may quote the account and is not read.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// An HTTP client for token endpoints: with `tls`, no proxy, no redirects (an assertion goes to
/// the named server only), 10 s for the whole exchange.
pub fn token_client(tls: rustls::ClientConfig) -> Result<reqwest::Client, TokenError> {
    reqwest::Client::builder()
        .use_preconfigured_tls(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|_| TokenError::Client)
}

impl AccessToken {
    /// Starts asking for tokens of `scope`, at once. Needs a tokio runtime.
    pub fn start(
        account: ServiceAccount,
        scope: impl Into<String>,
        client: reqwest::Client,
        clock: Clock,
        random: Random,
    ) -> Self {
        let shared = Arc::new(Shared {
            account,
            scope: scope.into(),
            client,
            clock,
            random,
            current: watch::Sender::new(None),
            wanted: AtomicBool::new(false),
            wake: Notify::new(),
            fetches: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            last_failure: Mutex::new(None),
        });
        let task = tokio::spawn(keep_fresh(shared.clone())).abort_handle();
        Self { shared, task }
    }

    /// Waits until there is a token; returns at once if there is one.
    pub async fn ready(&self) {
        let mut current = self.shared.current.subscribe();
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = current.wait_for(Option::is_some).await;
    }

    pub fn health(&self) -> TokenHealth {
        let current = self.shared.current.borrow();
        TokenHealth {
            expires_ms: current.as_ref().map(|granted| granted.expires_ms),
            fetched_ms: current.as_ref().map(|granted| granted.fetched_ms),
            fetches: self.shared.fetches.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
            last_failure: self.shared.last_failure.lock().clone(),
        }
    }
}

#[async_trait]
impl Credential for AccessToken {
    fn header(&self) -> Option<HeaderValue> {
        let now_ms = (self.shared.clock)();
        let current = self.shared.current.borrow();
        current.as_ref().filter(|held| now_ms < held.expires_ms).map(|held| held.header.clone())
    }

    async fn renew(&self, refused: &HeaderValue) -> bool {
        let mut current = self.shared.current.subscribe();
        {
            let now_ms = (self.shared.clock)();
            match current.borrow().as_ref() {
                Some(held) if held.header != *refused => return now_ms < held.expires_ms,
                Some(held) if now_ms - held.fetched_ms < LEAST_AGE_MS => return false,
                Some(_) | None => {}
            }
        }
        self.shared.wanted.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        let renewed =
            current.wait_for(|held| held.as_ref().is_some_and(|held| held.header != *refused));
        matches!(tokio::time::timeout(RENEWAL_PATIENCE, renewed).await, Ok(Ok(_)))
    }

    fn is_tied_to_connection(&self) -> bool {
        false
    }
}

impl Drop for AccessToken {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("account", &self.shared.account).finish_non_exhaustive()
    }
}

async fn keep_fresh(shared: Arc<Shared>) {
    let mut failed = 0_u32;
    loop {
        let asked_ms = (shared.clock)();
        let next_ms = match shared.fetch(asked_ms).await {
            Ok(granted) => {
                failed = 0;
                let refresh_ms = granted.refresh_ms;
                shared.fetches.fetch_add(1, Ordering::Relaxed);
                shared.last_failure.lock().take();
                // Before it is published: a refusal of the new token must not be forgotten.
                shared.wanted.store(false, Ordering::Release);
                shared.current.send_replace(Some(granted));
                refresh_ms
            }
            Err(error) => {
                tracing::warn!(account = ?shared.account, %error, "no new access token");
                shared.failures.fetch_add(1, Ordering::Relaxed);
                *shared.last_failure.lock() = Some(error);
                let bound = (FIRST_RETRY_MS << failed.min(10)).min(LONGEST_RETRY_MS);
                failed = failed.saturating_add(1);
                // At least a tenth, so that a zero drawn thrice is not three requests at once.
                (shared.clock)() + ((bound as f64 * (shared.random)()) as i64).max(bound / 10)
            }
        };
        shared.wait(next_ms, failed == 0).await;
    }
}

impl Shared {
    /// Until the clock shows `until_ms`, or, if `can_wake`, a send was refused.
    async fn wait(&self, until_ms: i64, can_wake: bool) {
        loop {
            let left_ms = until_ms - (self.clock)();
            if left_ms <= 0 || (can_wake && self.wanted.load(Ordering::Acquire)) {
                return;
            }
            let nap = Duration::from_millis(left_ms.min(LONGEST_SLEEP_MS) as u64);
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = self.wake.notified(), if can_wake => {}
            }
        }
    }

    async fn fetch(&self, now_ms: i64) -> Result<Granted, FetchError> {
        let assertion =
            self.account.assertion(&self.scope, now_ms).map_err(|_| FetchError::Signing)?;
        let request = self
            .client
            .post(self.account.token_uri())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            // Nothing in an assertion needs escaping; the colons of the grant type do.
            .body(format!("grant_type={}&assertion={assertion}", GRANT_TYPE.replace(':', "%3A")));
        let answer = request.send().await.map_err(|_| FetchError::Unreachable)?;
        let status = answer.status().as_u16();
        let body = bounded_body(answer).await?;
        if status != 200 {
            let code = serde_json::from_slice(&body).map(|refusal: Refusal| refusal.error);
            return Err(FetchError::Refused { status, code: code.map(plain).unwrap_or_default() });
        }
        let grant: Grant = serde_json::from_slice(&body).map_err(|_| FetchError::Unusable)?;
        granted(&grant, now_ms)
    }
}

fn granted(grant: &Grant, fetched_ms: i64) -> Result<Granted, FetchError> {
    if grant.expires_in <= 0 || grant.access_token.is_empty() {
        return Err(FetchError::Unusable);
    }
    let said_ms = grant.expires_in.min(LONGEST_LIFE_S) * 1_000;
    // Servers count whole seconds, and may end a token almost one before we would.
    let life_ms = (said_ms - 1_000).max(said_ms / 2);
    Ok(Granted {
        header: sensitive("Bearer", &grant.access_token).map_err(|_| FetchError::Unusable)?,
        fetched_ms,
        refresh_ms: fetched_ms + life_ms / 5 * 4,
        expires_ms: fetched_ms + life_ms,
    })
}

async fn bounded_body(mut answer: reqwest::Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| FetchError::Unreachable)? {
        if body.len() + chunk.len() > MOST_ANSWER_BYTES {
            return Err(FetchError::Unusable);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error code as RFC 6749 §5.2 has them, and nothing else: it goes into a log.
fn plain(code: String) -> String {
    let is_code = code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_code { code } else { String::new() }
}
