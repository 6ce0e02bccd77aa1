//! One connection to APNs: provider token, request, script, in this order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::provider_token::{Keys, Pinned};
use super::reason::Reason;
use super::request;
use super::script::{Scripted, Scripts};
use crate::control::Controls;
use crate::http2::{Ask, Excess, Reaction, Service};
use crate::ids;
use crate::journal::{Journal, Received, shown};

pub(super) const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

/// What all connections share.
pub(super) struct Edge {
    pub(super) keys: Keys,
    pub(super) scripts: Scripts,
    pub(super) controls: Arc<Controls>,
    pub(super) journal: Arc<Journal>,
    pub(super) topic: String,
    pub(super) streams: u32,
    pub(super) one_stream_after_refusal: bool,
    pub(super) delay: Duration,
    pub(super) slow: Duration,
}

pub(super) struct Connection {
    edge: Arc<Edge>,
    number: u64,
    pinned: Pinned,
    /// One stream "until you send a push with a valid token" (Apple, "Communicating with APNs").
    streams: u32,
    was_lowered: bool,
}

struct Refusal {
    reason: Reason,
    timestamp: Option<u64>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal { reason, timestamp: None }
    }
}

impl Connection {
    pub(super) fn new(edge: Arc<Edge>, number: u64) -> Connection {
        Connection { edge, number, pinned: Pinned::default(), streams: 1, was_lowered: false }
    }

    fn check<'a>(
        &mut self,
        ask: &'a Ask,
        now_ms: u64,
    ) -> Result<(&'a str, Value, Scripted), Refusal> {
        if let Some(name) = self.edge.controls.take_answer() {
            // A name that Apple does not know is the script's mistake, and must be seen.
            return Err(Reason::parse(&name).unwrap_or(Reason::InternalServerError).into());
        }
        let token = request::token(&ask.parts)?;
        let authorization = ask.parts.headers.get("authorization").map(HeaderValue::as_bytes);
        self.pinned.judge(&self.edge.keys, authorization, now_ms / 1000)?;
        // The connection is trusted once a token was accepted, whatever becomes of the
        // notification.
        self.streams = self.edge.streams;
        let payload = request::check(ask, &self.edge.topic)?;
        Ok((token, payload, self.edge.scripts.next(token)))
    }

    fn refuse(&mut self, id: &HeaderValue, refusal: &Refusal) -> Reaction {
        let Refusal { reason, timestamp } = refusal;
        self.edge.journal.answer(reason.label());
        if self.edge.one_stream_after_refusal {
            self.streams = 1;
            self.was_lowered = true;
        }
        let body = match timestamp {
            Some(timestamp) => json!({"reason": reason.name(), "timestamp": timestamp}),
            None => json!({"reason": reason.name()}),
        };
        let mut response = respond(id, reason.status(), Bytes::from(body.to_string()));
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        Reaction::Answer { response, after: self.edge.delay }
    }

    fn accept(&self, ask: &Ask, id: &HeaderValue, token: &str, payload: Value, now_ms: u64) {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let received = Received {
            at_ms: now_ms,
            connection: self.number,
            stream: ask.stream,
            token: Some(token.to_owned()),
            address: None,
            recipients: Vec::new(),
            envelope_from: None,
            parameters: Vec::new(),
            id: text(id),
            collapse_id: ask.parts.headers.get("apns-collapse-id").map(text),
            headers: shown(&ask.parts.headers),
            payload,
        };
        self.edge.journal.accept("200".into(), &received);
    }
}

impl Service for Connection {
    fn judge(&mut self, ask: &Ask) -> Reaction {
        let now_ms = ids::now_ms();
        let checked = self.check(ask, now_ms);
        let is_bad_id = matches!(&checked, Err(Refusal { reason: Reason::BadMessageId, .. }));
        let id = ask.parts.headers.get("apns-id").filter(|_| !is_bad_id).cloned();
        let id = id.unwrap_or_else(|| {
            HeaderValue::try_from(ids::uuid()).unwrap_or(HeaderValue::from_static(NO_ID))
        });
        let (token, payload, scripted) = match checked {
            Ok(checked) => checked,
            Err(refusal) => return self.refuse(&id, &refusal),
        };
        let after = match scripted {
            Scripted::Accept => self.edge.delay,
            Scripted::AcceptLate => self.edge.slow,
            Scripted::Reset => {
                self.edge.journal.answer("reset".into());
                return Reaction::Reset;
            }
            Scripted::Silence => {
                self.edge.journal.answer("silence".into());
                return Reaction::Silence;
            }
            Scripted::Refuse { reason, timestamp } => {
                return self.refuse(&id, &Refusal { reason, timestamp });
            }
        };
        self.accept(ask, &id, token, payload, now_ms);
        Reaction::Answer { response: respond(&id, StatusCode::OK, Bytes::new()), after }
    }

    fn streams(&self) -> u32 {
        self.streams
    }

    fn excess(&self) -> Excess {
        if self.streams == 1 || self.was_lowered {
            return Excess::Refuse;
        }
        // The words are Apple's (jchambers/pushy#356); the code that goes with them was not
        // reported.
        Excess::GoAway {
            code: h2::Reason::ENHANCE_YOUR_CALM,
            debug: "Maximum active streams violated for this endpoint.",
        }
    }
}

fn respond(id: &HeaderValue, status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("apns-id", id.clone());
    response
}
