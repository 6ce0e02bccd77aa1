//! An APNs client that can be as wrong as a test wants.

use bytes::Bytes;
use http::Request;
use serde_json::json;
use simulators::Apns;

use super::http::{Answer, H2};
use super::jwt::{Form, es256};
use super::{connect, now};

pub const TOKEN: &str = "9b8ea2d1eadb658f714ad6cee15753abf680caba1b732a19dfbdb917cc69b49a";
pub const ID: &str = "8d3f1c1e-5a2b-4c6d-9e7f-0123456789ab";

/// A request to APNs; sound until it is changed.
#[derive(Clone)]
pub struct Push {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Push {
    pub fn sound(apns: &Apns) -> Push {
        let authorization = format!("bearer {}", provider_token(apns));
        let headers = [
            ("authorization", authorization.as_str()),
            ("apns-topic", &apns.topic),
            ("apns-push-type", "alert"),
            ("apns-priority", "10"),
            ("apns-expiration", "1900000000"),
            ("apns-id", ID),
            ("apns-collapse-id", "c0llapse"),
        ];
        Push {
            method: "POST",
            path: format!("/3/device/{TOKEN}"),
            headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
            body: json!({"aps": {"alert": {"title": "t", "body": "b"}}}).to_string().into(),
        }
    }

    pub fn method(mut self, method: &'static str) -> Push {
        self.method = method;
        self
    }

    pub fn path(mut self, path: &str) -> Push {
        self.path = path.into();
        self
    }

    pub fn token(self, token: &str) -> Push {
        self.path(&format!("/3/device/{token}"))
    }

    /// `token` with zeros behind it, 64 digits in all.
    pub fn marked(self, mark: &str) -> Push {
        self.token(&format!("{mark:0<64}"))
    }

    pub fn without(mut self, name: &str) -> Push {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub fn with(self, name: &str, value: &str) -> Push {
        self.without(name).adding(name, value)
    }

    pub fn adding(mut self, name: &str, value: &str) -> Push {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Push {
        self.body = body.into();
        self
    }

    /// A payload of exactly `size` bytes.
    pub fn sized(self, size: usize) -> Push {
        let frame = json!({"aps": {"alert": ""}}).to_string().len();
        let alert = "x".repeat(size - frame);
        self.body(json!({"aps": {"alert": alert}}).to_string())
    }

    pub fn request(self) -> Request<Bytes> {
        let uri = format!("https://localhost{}", self.path);
        let mut request = Request::builder().method(self.method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.body.into()).unwrap()
    }
}

pub fn provider_token(apns: &Apns) -> String {
    provider_token_of(apns, now())
}

/// A token of the first key, issued at `issued_at`.
pub fn provider_token_of(apns: &Apns, issued_at: u64) -> String {
    let head = json!({"alg": "ES256", "kid": apns.key_id});
    let claims = json!({"iss": apns.team_id, "iat": issued_at});
    es256(&apns.key, Form::Raw, &head, &claims)
}

pub async fn client(apns: &Apns) -> H2 {
    H2::over(connect(apns.address, &apns.ca, &[b"h2"]).await.unwrap()).await
}

/// Status and reason, as Apple's table has them.
pub fn reason(answer: &Answer) -> String {
    match answer.json()["reason"].as_str() {
        Some(reason) => format!("{} {reason}", answer.status.as_u16()),
        None => answer.status.as_u16().to_string(),
    }
}
