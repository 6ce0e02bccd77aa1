//! One connection to FCM. Google does not document the order of its checks; here: path, credential,
//! project, shape, FCM's own rules, the token's script.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::errors::{Failure, Violation, json_response};
use super::limits::{self, Android, Target};
use super::oauth::Tokens;
use super::schema;
use super::script::{Scripted, Scripts};
use crate::config::RetryAfter;
use crate::control::Controls;
use crate::http2::{Ask, Excess, Reaction, Service};
use crate::ids;
use crate::journal::{Journal, Received, shown};

/// What all connections share.
pub(super) struct Edge {
    pub(super) tokens: Tokens,
    pub(super) scripts: Scripts,
    pub(super) controls: Arc<Controls>,
    pub(super) journal: Arc<Journal>,
    pub(super) project_id: String,
    pub(super) streams: u32,
    pub(super) delay: Duration,
    pub(super) slow: Duration,
    pub(super) retry_after_seconds: u64,
    pub(super) retry_after: RetryAfter,
}

pub(super) struct Connection {
    edge: Arc<Edge>,
    number: u64,
}

/// A request that FCM would take.
struct Sound {
    body: Value,
    token: String,
    collapse_id: Option<String>,
    is_dry_run: bool,
    scripted: Scripted,
}

impl Connection {
    pub(super) fn new(edge: Arc<Edge>, number: u64) -> Connection {
        Connection { edge, number }
    }

    fn check(&self, ask: &Ask, now_ms: u64) -> Result<Sound, Failure> {
        let edge = &*self.edge;
        if let Some(code) = edge.controls.take_answer() {
            // A code that FCM does not know is the script's mistake, and must be seen.
            return Err(Failure::code(&code)
                .or_else(|| Failure::code("INTERNAL"))
                .unwrap_or_else(Failure::not_found));
        }
        let project = project(ask).ok_or_else(Failure::not_found)?;
        let authorization = ask.parts.headers.get("authorization").map(HeaderValue::as_bytes);
        edge.tokens.check(authorization, project, now_ms / 1000)?;
        if project != edge.project_id {
            return Err(Failure::not_found());
        }
        let body: Value = serde_json::from_slice(&ask.body).map_err(|_| Failure::unparsable())?;
        let read = schema::read(&body).map_err(Failure::malformed)?;
        let message = read.get("message").and_then(Value::as_object).ok_or_else(|| {
            let description = "The message is not set.".to_owned();
            Failure::rejected(Violation { field: "message".into(), description })
        })?;
        let target = limits::check(message)?;
        let scripted = match target {
            Target::Token(token) => edge.scripts.next(token),
            Target::Group(_) => Scripted::Accept,
        };
        Ok(Sound {
            token: target.name().to_owned(),
            collapse_id: Android::of(message).tag().map(str::to_owned),
            is_dry_run: read.get("validateOnly") == Some(&Value::Bool(true)),
            body,
            scripted,
        })
    }

    fn send(&self, ask: &Ask) -> Reaction {
        let now_ms = ids::now_ms();
        let sound = match self.check(ask, now_ms) {
            Ok(sound) => sound,
            Err(failure) => return self.refuse(&failure),
        };
        let after = match &sound.scripted {
            Scripted::Accept => self.edge.delay,
            Scripted::AcceptLate => self.edge.slow,
            Scripted::Refuse(failure) => return self.refuse(failure),
            Scripted::Reset => {
                self.edge.journal.answer("reset".into());
                return Reaction::Reset;
            }
            Scripted::Silence => {
                self.edge.journal.answer("silence".into());
                return Reaction::Silence;
            }
        };
        let name = if sound.is_dry_run {
            self.edge.journal.answer("200 dry run".into());
            format!("projects/{}/messages/fake_message_id", self.edge.project_id)
        } else {
            self.accept(ask, sound, now_ms)
        };
        let response = json_response(StatusCode::OK, &json!({"name": name}));
        Reaction::Answer { response, after }
    }

    /// Keeps the message and gives its name, in the form that FCM's names have.
    fn accept(&self, ask: &Ask, sound: Sound, now_ms: u64) -> String {
        let unique = hex::encode(ids::random::<8>());
        let name = format!("projects/{}/messages/0:{now_ms}000%{unique}", self.edge.project_id);
        let received = Received {
            at_ms: now_ms,
            connection: self.number,
            stream: ask.stream,
            token: Some(sound.token),
            address: None,
            recipients: Vec::new(),
            envelope_from: None,
            parameters: Vec::new(),
            id: name.clone(),
            collapse_id: sound.collapse_id,
            headers: shown(&ask.parts.headers),
            payload: sound.body,
        };
        self.edge.journal.accept("200".into(), &received);
        name
    }

    fn refuse(&self, failure: &Failure) -> Reaction {
        self.edge.journal.answer(failure.label());
        let mut response = failure.response();
        if failure.has_retry_after {
            response.headers_mut().insert("retry-after", self.retry_after());
        }
        Reaction::Answer { response, after: self.edge.delay }
    }

    fn retry_after(&self) -> HeaderValue {
        let seconds = self.edge.retry_after_seconds;
        match self.edge.retry_after {
            RetryAfter::Seconds => HeaderValue::from(seconds),
            RetryAfter::Date => {
                // IMF-fixdate, RFC 9110 §5.6.7.
                let format = format_description!(
                    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
                );
                let at = OffsetDateTime::now_utc() + Duration::from_secs(seconds);
                let text = at.format(format).ok();
                let value = text.and_then(|text| HeaderValue::try_from(text).ok());
                value.unwrap_or_else(|| HeaderValue::from(seconds))
            }
        }
    }

    fn token(&self, ask: &Ask) -> Reaction {
        let scripted = self.edge.controls.take_token_answer();
        let (label, response) = match scripted.as_deref() {
            Some("internal_failure") => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let body = json!({"error": "internal_failure"});
                ("token 500 internal_failure".to_owned(), json_response(status, &body))
            }
            Some(error) => oauth_error(error, "Scripted."),
            None => match self.edge.tokens.exchange(&ask.body, ids::now_ms() / 1000) {
                Ok(given) => {
                    let body = json!({
                        "access_token": given.token,
                        "expires_in": given.expires_in,
                        "token_type": "Bearer",
                    });
                    ("token 200".to_owned(), json_response(StatusCode::OK, &body))
                }
                Err(refused) => oauth_error(refused.error, refused.description),
            },
        };
        self.edge.journal.note(label.into());
        Reaction::Answer { response, after: Duration::ZERO }
    }
}

impl Service for Connection {
    fn judge(&mut self, ask: &Ask) -> Reaction {
        let is_post = ask.parts.method == Method::POST;
        match ask.parts.uri.path() {
            "/token" if is_post => self.token(ask),
            path if is_post && path.starts_with("/v1/projects/") && path.ends_with(SEND) => {
                self.send(ask)
            }
            _ => {
                self.edge.journal.answer("404".into());
                Reaction::Answer { response: no_such_page(), after: Duration::ZERO }
            }
        }
    }

    fn streams(&self) -> u32 {
        self.edge.streams
    }

    fn excess(&self) -> Excess {
        // firebase/firebase-admin-node#2943: "GOAWAY - exceeded_max_concurrent_streams, Error code:
        // 1".
        Excess::GoAway {
            code: h2::Reason::PROTOCOL_ERROR,
            debug: "exceeded_max_concurrent_streams",
        }
    }
}

const SEND: &str = "/messages:send";

fn project(ask: &Ask) -> Option<&str> {
    let path = ask.parts.uri.path().strip_prefix("/v1/projects/")?;
    path.strip_suffix(SEND).filter(|project| !project.is_empty() && !project.contains('/'))
}

fn oauth_error(error: &str, description: &str) -> (String, Response<Bytes>) {
    let body = json!({"error": error, "error_description": description});
    (format!("token 400 {error}"), json_response(StatusCode::BAD_REQUEST, &body))
}

/// Google's front answers unknown paths with a page, not with JSON.
fn no_such_page() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(
        b"<!DOCTYPE html>\n<html lang=en><title>Error 404 (Not Found)</title></html>\n",
    ));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let kind = HeaderValue::from_static("text/html; charset=UTF-8");
    response.headers_mut().insert("content-type", kind);
    response
}
