//! What a double has seen: every accepted item, and counts of all answers. Bounded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One accepted push or mail, one line of `GET /received`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Received {
    /// When the double decided, Unix milliseconds.
    pub at_ms: u64,
    /// Number of the connection, from 1; the stream on it (HTTP/2) or 0.
    pub connection: u64,
    pub stream: u32,
    /// The device token, of a push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The first recipient, of a mail; all of them in `recipients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// The envelope's sender, of a mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_from: Option<String>,
    /// The parameters of MAIL and RCPT, of a mail: `MAIL RET=HDRS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// `apns-id`, FCM's name of the message, or `Message-ID`.
    pub id: String,
    /// `apns-collapse-id` or `android.notification.tag`.
    pub collapse_id: Option<String>,
    /// Request or message headers by lower-case name; repeated ones are joined by a line feed.
    /// `authorization` is withheld.
    pub headers: BTreeMap<String, String>,
    /// The JSON of a push; the raw text of a mail, headers included.
    pub payload: Value,
}

impl fmt::Debug for Received {
    /// Withholds everything that could name a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The body of `GET /counts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub accepted: u64,
    pub requests: u64,
    /// For APNs and FCM the status with its reason (`410 Unregistered`, `404 UNREGISTERED`), or
    /// what happened instead (`reset`, `silence`, `REFUSED_STREAM`); for SMTP code and enhanced
    /// code.
    pub by_answer: BTreeMap<String, u64>,
    /// Connections accepted since the start or the last reset, and those open now.
    pub connections: u64,
    pub open_connections: u64,
    /// Accepted items that `/received` does not show, because its limit was reached.
    pub received_dropped: u64,
}

pub(crate) struct Journal {
    inner: Mutex<Inner>,
    max: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Inner {
    /// Lines of JSON: a tree of values would take several times the room.
    lines: Vec<Arc<str>>,
    bytes: usize,
    accepted: u64,
    requests: u64,
    answers: BTreeMap<Cow<'static, str>, u64>,
    connections: u64,
    open: u64,
    dropped: u64,
}

impl Journal {
    pub(crate) fn new(max: usize, max_bytes: usize) -> Arc<Journal> {
        Arc::new(Journal { inner: Mutex::default(), max, max_bytes })
    }

    /// A request and what it was answered.
    pub(crate) fn answer(&self, label: Cow<'static, str>) {
        let mut inner = self.inner.lock();
        inner.requests += 1;
        *inner.answers.entry(label).or_default() += 1;
    }

    /// Something answered that is no request of its own (OAuth2 tokens, RCPT refused).
    pub(crate) fn note(&self, label: Cow<'static, str>) {
        *self.inner.lock().answers.entry(label).or_default() += 1;
    }

    pub(crate) fn accept(&self, label: Cow<'static, str>, received: &Received) {
        // Every field is JSON already, so this cannot fail.
        let line = serde_json::to_string(received).unwrap_or_default();
        let mut inner = self.inner.lock();
        inner.requests += 1;
        inner.accepted += 1;
        *inner.answers.entry(label).or_default() += 1;
        if inner.lines.len() >= self.max || inner.bytes + line.len() > self.max_bytes {
            inner.dropped += 1;
        } else {
            inner.bytes += line.len();
            inner.lines.push(line.into());
        }
    }

    /// Counts a connection; it is open until the guard is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> OpenConnection {
        let mut inner = self.inner.lock();
        inner.connections += 1;
        inner.open += 1;
        OpenConnection(self.clone())
    }

    pub(crate) fn counts(&self) -> Counts {
        let inner = self.inner.lock();
        Counts {
            accepted: inner.accepted,
            requests: inner.requests,
            by_answer: inner
                .answers
                .iter()
                .map(|(label, count)| (label.to_string(), *count))
                .collect(),
            connections: inner.connections,
            open_connections: inner.open,
            received_dropped: inner.dropped,
        }
    }

    /// At most `max` lines of JSON from position `from` on.
    pub(crate) fn lines(&self, from: usize, max: usize) -> Vec<Arc<str>> {
        self.inner.lock().lines.iter().skip(from).take(max).cloned().collect()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        let lines = self.lines(0, usize::MAX);
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(crate) fn reset(&self) {
        let mut inner = self.inner.lock();
        *inner = Inner { open: inner.open, ..Inner::default() };
    }
}

pub(crate) struct OpenConnection(Arc<Journal>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.inner.lock().open -= 1;
    }
}

/// Header fields as `Received` shows them.
pub(crate) fn shown(headers: &http::HeaderMap) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = match name.as_str() {
            "authorization" => "[withheld]".into(),
            _ => String::from_utf8_lossy(value.as_bytes()),
        };
        shown
            .entry(name.as_str().to_owned())
            .and_modify(|joined| {
                joined.push('\n');
                joined.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(id: &str) -> Received {
        Received {
            at_ms: 0,
            connection: 1,
            stream: 1,
            token: Some("00ff".into()),
            address: None,
            recipients: Vec::new(),
            envelope_from: None,
            parameters: Vec::new(),
            id: id.into(),
            collapse_id: None,
            headers: BTreeMap::new(),
            payload: Value::Null,
        }
    }

    #[test]
    fn what_exceeds_the_limit_is_counted_and_not_kept() {
        let journal = Journal::new(1, usize::MAX);
        journal.accept("200".into(), &received("a"));
        journal.accept("200".into(), &received("b"));
        assert_eq!(journal.received().len(), 1);
        assert_eq!(journal.counts().accepted, 2);
        assert_eq!(journal.counts().received_dropped, 1);
    }

    #[test]
    fn a_debug_print_names_no_address() {
        assert!(!format!("{:?}", received("a")).contains("00ff"));
    }
}
