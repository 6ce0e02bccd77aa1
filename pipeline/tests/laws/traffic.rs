//! What senders and citizens do with an installation, and what they do wrong.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::installation::{Doors, Installation, until};
use crate::planted::{Planted, letters};

const KEY: &str = "Ocp-Apim-Subscription-Key";
/// A service of the sample with every usual right.
const PLAIN: &str = "01JNDKQJM0THQ3F7T59F27VNZ4";

/// A sender: `Client` and the doors it knocks at.
pub struct Traffic<'a> {
    pub installation: &'a Installation,
    pub doors: &'a Doors,
    client: Client,
}

impl<'a> Traffic<'a> {
    pub fn new(installation: &'a Installation, doors: &'a Doors) -> Self {
        Self { installation, doors, client: Client::new() }
    }

    /// Sends every message; gives the ids, in the messages' order.
    pub async fn send(&self, planted: &Planted) -> Vec<String> {
        let requests = planted.messages.iter().map(async |message| {
            let key = &planted.keys[message["service_id"].as_str().unwrap()];
            let url = format!("{}/api/v1/messages", self.doors.sender);
            let mut id = None;
            until("the message is taken", async || {
                let post = self.client.post(&url).header(KEY, key).json(&message["body"]);
                let answer = post.send().await.unwrap();
                if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                    return false;
                }
                assert_eq!(answer.status(), StatusCode::CREATED);
                id = answer.json::<Value>().await.unwrap()["id"].as_str().map(str::to_owned);
                true
            })
            .await;
            id.unwrap()
        });
        futures::stream::iter(requests).buffered(16).collect().await
    }

    /// Reads every message's status, by the path that names its recipient.
    pub async fn ask(&self, planted: &Planted, ids: &[String]) {
        for (message, id) in planted.messages.iter().zip(ids) {
            let key = &planted.keys[message["service_id"].as_str().unwrap()];
            let code = message["body"]["fiscal_code"].as_str().unwrap();
            let url = format!("{}/api/v1/messages/{code}/{id}", self.doors.sender);
            let answer = self.client.get(url).header(KEY, key).send().await.unwrap();
            assert!(answer.status().as_u16() < 500, "{}", answer.status());
        }
    }

    /// Requests that must be refused, each holding something that belongs nowhere else.
    pub async fn misbehave(&self, planted: &mut Planted) {
        let key = planted.keys[PLAIN].clone();
        let wrong_key = planted.plant("a wrong API key", &letters(32));
        let code = planted.fiscal_code("AAAAAA00A00A000A");
        let mailbox = planted.mailbox("casella.test");
        let word = planted.plant("a word of a refused message", &letters(16));
        let content = json!({"subject": format!("Avviso {word}"), "markdown": word.repeat(6)});
        let good = json!({"fiscal_code": code, "content": content});
        let misspelt = json!({"fiscal_code": code.to_lowercase(), "content": content});
        let no_mailbox = json!({
            "fiscal_code": code, "content": content, "default_addresses": {"email": [mailbox]},
        });
        let cut = good.to_string();
        let cut = cut[..cut.len() - 2].to_owned();
        let url = format!("{}/api/v1", self.doors.sender);
        for (key, path, body) in [
            (&wrong_key, "messages", good.to_string()),
            (&key, "messages", misspelt.to_string()),
            (&key, "messages", no_mailbox.to_string()),
            (&key, "messages", cut),
            (&key, "messages", word.repeat(20_000)),
            (&key, "profiles", misspelt.to_string()),
            (&key, &format!("messages/{}", code.to_lowercase()), good.to_string()),
            (&key, &format!("unknown/{code}"), good.to_string()),
        ] {
            let post = self.client.post(format!("{url}/{path}")).header(KEY, key).body(body);
            let answer = post.header("content-type", "application/json").send().await.unwrap();
            assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
        }
        for path in [format!("profiles/{code}"), format!("messages/{code}/{word}")] {
            let answer = self.client.get(format!("{url}/{path}")).header(KEY, &key).send().await;
            assert!(answer.unwrap().status().as_u16() < 500);
        }
        let forged = format!("{}x", self.token(planted, &code));
        let answer = self.citizen(Method::GET, "profile", &forged, &Value::Null).await;
        assert_eq!(answer.0, 401);
    }

    /// A citizen comes on board through the app, changes everything, reads the inbox and leaves.
    pub async fn live(&self, planted: &mut Planted) {
        let code = planted.fiscal_code("AAAAAA00A00A000A");
        let token = self.token(planted, &code);
        let profile = json!({
            "is_inbox_enabled": true, "is_webhook_enabled": true, "is_email_enabled": true,
            "email": planted.mailbox("casella.test"), "version": 0, "accepted_tos_version": 1.0,
            "service_preferences_settings": {"mode": "AUTO"},
        });
        let device = json!({
            "platform": "apns",
            "pushChannel": planted.plant("a device token", &letters(64)),
        });
        let installation = planted.plant("an installation id", &letters(32));
        let preference = json!({
            "is_inbox_enabled": true, "is_email_enabled": false, "is_webhook_enabled": true,
            "settings_version": 0,
        });
        for (method, path, body) in [
            (Method::PUT, "profile", &profile),
            (Method::GET, "profile", &Value::Null),
            (Method::PUT, &format!("installations/{installation}"), &device),
            (Method::PUT, &format!("services/{PLAIN}/preferences"), &preference),
            (Method::GET, "inbox", &Value::Null),
            (Method::DELETE, "profile", &Value::Null),
        ] {
            let (status, _) = self.citizen(method.clone(), path, &token, body).await;
            assert!(matches!(status, 200 | 204), "{method} {path}: {status}");
        }
    }

    /// Everybody who is on board opens the inbox and everything in it; how many messages that were.
    pub async fn read_inboxes(&self, planted: &mut Planted) -> usize {
        let mut opened = 0;
        let people: Vec<_> = planted.citizens.iter().map(|it| it["fiscal_code"].clone()).collect();
        for code in people {
            let token = self.token(planted, code.as_str().unwrap());
            let (_, inbox) = self.citizen(Method::GET, "inbox", &token, &Value::Null).await;
            for item in inbox["items"].as_array().into_iter().flatten() {
                let path = format!("inbox/{}", item["id"].as_str().unwrap());
                let (status, _) = self.citizen(Method::GET, &path, &token, &Value::Null).await;
                opened += usize::from(status == 200);
            }
        }
        opened
    }

    /// Follows the link in every mail that the simulated relay took; how many there were.
    pub async fn unsubscribe(&self, planted: &mut Planted) -> usize {
        let admin = self.installation.simulators["smtp"]["admin"].as_str().unwrap();
        let received = self.client.get(format!("{admin}/received")).send().await.unwrap();
        let mut followed = 0;
        for line in received.text().await.unwrap().lines() {
            let mail: Value = serde_json::from_str(line).unwrap();
            let Some(link) = mail["headers"]["list-unsubscribe"].as_str() else { continue };
            let token = link.rsplit_once('/').unwrap().1.trim_end_matches('>').to_owned();
            planted.plant("the token of a link in a mail", &token);
            let url = format!("{}/api/v1/unsubscribe/{token}", self.doors.citizen);
            assert_eq!(self.client.post(url).send().await.unwrap().status(), 200);
            followed += 1;
        }
        followed
    }

    /// What an operator's collector fetches.
    pub async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.doors.operations);
        self.client.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Waits until no stage has ended a record for two seconds.
    pub async fn quiet(&self) {
        let (mut last, mut since) = (String::new(), Instant::now());
        until("nothing moves any more", async || {
            let metrics = self.metrics().await;
            let ended = |line: &&str| line.starts_with("stage_records_out_total");
            let now: String = metrics.lines().filter(ended).collect();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() > Duration::from_secs(2)
        })
        .await;
    }

    fn token(&self, planted: &mut Planted, code: &str) -> String {
        let token = self.installation.token(code);
        let (_, signature) = token.rsplit_once('.').unwrap();
        planted.plant("the signature of a bearer token", signature);
        token
    }

    async fn citizen(&self, method: Method, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/v1/{path}", self.doors.citizen);
        let mut request = self.client.request(method, url).bearer_auth(token);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}
