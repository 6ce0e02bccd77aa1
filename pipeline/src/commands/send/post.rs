//! The endpoint: one request at a time, and what its answer holds. Decides nothing.
//!
//! A path may hold a fiscal code: no URL reaches a text that leaves this file.

use std::error::Error as _;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use serde_json::Value;

use super::judge::{Answer, Reply};

/// For the whole of a request; a server that is slower is taken for one that does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Of an answer no more is read.
const LONGEST_ANSWER: usize = 1 << 18;

const KEY_HEADER: &str = "ocp-apim-subscription-key";

/// A sender API and the key that opens it.
pub struct Endpoint {
    client: Client,
    base: Url,
    key: HeaderValue,
}

/// What a look at a message showed.
pub enum Look {
    Seen(Value),
    /// Told to slow down.
    Later(Option<Duration>),
    /// Not known there, not readable, no answer.
    Nothing,
}

impl Endpoint {
    /// `ca` replaces this machine's authorities. Redirects are not followed: they would carry the key
    /// elsewhere.
    ///
    /// # Errors
    /// The authorities; a machine without any.
    pub fn open(base: Url, key: HeaderValue, ca: Option<&[u8]>) -> anyhow::Result<Self> {
        let tls = edge::tls::client_config(ca, &[b"h2", b"http/1.1"]).context("TLS")?;
        let client = Client::builder()
            .use_preconfigured_tls(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .user_agent(concat!("staffetta/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("no HTTP client could be made")?;
        Ok(Self { client, base, key })
    }

    /// Sends a row. Beside the answer, where there is none, what was in the way.
    pub async fn submit(&self, key: &str, body: String, now_ms: i64) -> (Answer, String) {
        let request = self
            .client
            .post(self.at(&["messages"]))
            .header(KEY_HEADER, self.key.clone())
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(body);
        match request.send().await {
            Ok(response) => match read(response).await {
                Ok((status, headers, body)) => {
                    (Answer::Reply(reply(status, &headers, &body, now_ms)), String::new())
                }
                Err(error) => (Answer::Lost, cause(error)),
            },
            Err(error) => (Answer::Lost, cause(error)),
        }
    }

    /// Looks at a message.
    pub async fn look(&self, code: &str, id: &str, now_ms: i64) -> Look {
        let url = self.at(&["messages", code, id]);
        let request = self.client.get(url).header(KEY_HEADER, self.key.clone());
        let Ok(response) = request.send().await else { return Look::Nothing };
        match read(response).await {
            Ok((200, _, body)) => serde_json::from_slice(&body).map_or(Look::Nothing, Look::Seen),
            Ok((429, headers, _)) => Look::Later(wait(&headers, now_ms)),
            Ok(_) | Err(_) => Look::Nothing,
        }
    }

    fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // An http URL has segments, and each is encoded here.
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        url
    }
}

async fn read(mut response: Response) -> reqwest::Result<(u16, HeaderMap, Vec<u8>)> {
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            body.clear();
            break;
        }
    }
    Ok((status, headers, body))
}

fn reply(status: u16, headers: &HeaderMap, body: &[u8], now_ms: i64) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    Reply {
        status,
        wait: wait(headers, now_ms),
        id: text("id").filter(|id| is_plain(id)),
        title: text("title"),
        detail: text("detail"),
    }
}

/// An id goes into a file and into paths.
fn is_plain(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `Retry-After` in both forms; IO's gateway sends a header of its own instead.
fn wait(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let names = ["retry-after", "x-rate-limit-retry-after"];
    let values = names.into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    values.into_iter().find_map(|value| edge::retry_after(value, now_ms))
}

/// The innermost reason: the outer ones name the URL.
fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut inner = error.source();
    while let Some(deeper) = inner.and_then(std::error::Error::source) {
        inner = Some(deeper);
    }
    inner.map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const THEN_MS: i64 = 784_111_777_000;

    fn check(headers: &[(&'static str, &'static str)], expected_s: Option<u64>) {
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let found = wait(&pairs.collect::<HeaderMap>(), THEN_MS);
        assert_eq!(found, expected_s.map(Duration::from_secs), "{headers:?}");
    }

    #[test]
    fn a_wait_is_read_in_both_forms_and_from_ios_own_header() {
        check(&[("retry-after", "7")], Some(7));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30));
        check(&[("x-rate-limit-retry-after", "4")], Some(4));
        check(&[("retry-after", "7"), ("x-rate-limit-retry-after", "4")], Some(7));
        check(&[("retry-after", "soon")], None);
        check(&[], None);
    }

    #[test]
    fn an_answer_is_read_as_far_as_it_can_be() {
        let read = |body: &str| reply(400, &HeaderMap::new(), body.as_bytes(), 0);
        assert_eq!(read("{\"id\":\"01J-a\"}").id.as_deref(), Some("01J-a"));
        assert_eq!(read("{\"id\":\"../x\"}").id, None);
        assert_eq!(read("{\"title\":\"T\",\"detail\":1}").title.as_deref(), Some("T"));
        assert_eq!(read("<html>").title, None);
    }

    #[test]
    fn a_message_is_looked_at_under_its_own_path() {
        let base = Url::parse("https://api.example/io/api/v1").unwrap();
        let endpoint = Endpoint::open(base, HeaderValue::from_static("k"), None).unwrap();
        let url = endpoint.at(&["messages", "A/../B", "01J"]);
        assert_eq!(url.path(), "/io/api/v1/messages/A%2F..%2FB/01J");
    }
}
