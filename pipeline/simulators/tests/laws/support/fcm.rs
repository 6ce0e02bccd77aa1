//! An FCM client that can be as wrong as a test wants.

use std::path::Path;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use simulators::Fcm;

use super::http::{Answer, H2};
use super::jwt::rs256;
use super::{connect, now};

pub const TOKEN: &str = "akm5B8wGV6WL473ESXHls-:APA91bwQsLF9SAacw-RMFmP4THcAX98jryDdy2qRzEGxC5F";
pub const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A service account file, read.
pub struct Account(pub Value);

impl Account {
    pub fn read(path: &Path) -> Account {
        Account(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    pub fn head(&self) -> Value {
        json!({"alg": "RS256", "typ": "JWT", "kid": self.text("private_key_id")})
    }

    pub fn claims(&self) -> Value {
        json!({
            "iss": self.text("client_email"),
            "scope": SCOPE,
            "aud": self.text("token_uri"),
            "iat": now(),
            "exp": now() + 3600,
        })
    }

    pub fn assertion(&self, head: &Value, claims: &Value) -> String {
        rs256(self.text("private_key"), head, claims)
    }

    /// The request that exchanges `assertion`.
    pub fn exchange(&self, assertion: &str) -> Request<Bytes> {
        form(self.text("token_uri"), &format!("grant_type={GRANT}&assertion={assertion}"))
    }
}

pub fn form(uri: &str, form: &str) -> Request<Bytes> {
    Request::post(uri)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::copy_from_slice(form.as_bytes()))
        .unwrap()
}

pub async fn client(fcm: &Fcm) -> H2 {
    H2::over(connect(fcm.address, &fcm.ca, &[b"h2"]).await.unwrap()).await
}

/// A connection with an access token.
pub struct Sender {
    pub connection: H2,
    pub access_token: String,
    uri: String,
}

impl Sender {
    pub async fn of(fcm: &Fcm) -> Sender {
        Sender::with(fcm, &fcm.service_account).await
    }

    pub async fn with(fcm: &Fcm, account: &Path) -> Sender {
        let account = Account::read(account);
        let mut connection = client(fcm).await;
        let assertion = account.assertion(&account.head(), &account.claims());
        let answer = connection.ask(account.exchange(&assertion)).await.unwrap();
        let access_token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let uri = format!("https://localhost/v1/projects/{}/messages:send", fcm.project_id);
        Sender { connection, access_token, uri }
    }

    pub fn request(&self, body: &Value) -> Request<Bytes> {
        let authorization = format!("Bearer {}", self.access_token);
        send(&self.uri, Some(&authorization), &body.to_string())
    }

    pub async fn send(&mut self, body: &Value) -> Answer {
        let request = self.request(body);
        self.connection.ask(request).await.unwrap()
    }

    /// Sends a sound message to `token`.
    pub async fn send_to(&mut self, token: &str) -> Answer {
        self.send(&sound(token)).await
    }
}

pub fn send(uri: &str, authorization: Option<&str>, body: &str) -> Request<Bytes> {
    let mut request = Request::post(uri).header("content-type", "application/json");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

pub fn sound(token: &str) -> Value {
    json!({"message": {
        "token": token,
        "notification": {"title": "t", "body": "b"},
        "data": {"mid": "1"},
        "android": {"priority": "HIGH", "ttl": "86400s", "notification": {"tag": "c0llapse"}},
    }})
}

/// Status, canonical code and FCM error code of an answer: `404 NOT_FOUND UNREGISTERED`.
pub fn failure(answer: &Answer) -> String {
    let body = answer.json();
    let mut parts = vec![answer.status.as_u16().to_string()];
    parts.extend(body["error"]["status"].as_str().map(str::to_owned));
    parts.extend(detail(&body, "FcmError")["errorCode"].as_str().map(str::to_owned));
    parts.join(" ")
}

/// The entry of `error.details` of this type, or null.
pub fn detail(body: &Value, kind: &str) -> Value {
    let details = body["error"]["details"].as_array().cloned().unwrap_or_default();
    let found = details.into_iter().find(|detail| {
        let name = detail["@type"].as_str().unwrap_or_default();
        name.ends_with(&format!(".{kind}"))
    });
    found.unwrap_or_default()
}
