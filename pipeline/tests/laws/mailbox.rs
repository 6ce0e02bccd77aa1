//! An address on its way: written down, mailed to, confirmed, written to.

use std::collections::BTreeMap;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::canary::onboarded;
use crate::installation::{Doors, Installation, until};
use crate::planted::Planted;
use crate::search::{Needle, Search};

/// A service of the sample with every usual right.
const PLAIN: &str = "01JNDKQJM0THQ3F7T59F27VNZ4";

struct Citizen<'a> {
    installation: &'a Installation,
    doors: &'a Doors,
    client: Client,
    token: String,
    address: String,
}

impl Citizen<'_> {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/v1/{path}", self.doors.citizen);
        let request = self.client.request(method.clone(), url).bearer_auth(&self.token);
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        answer.json().await.unwrap_or_default()
    }

    async fn is_validated(&self) -> bool {
        self.ask(Method::GET, "profile", &Value::Null).await["is_email_validated"] == true
    }

    /// Every mail that the simulated relay took for this address, oldest first.
    async fn mails(&self) -> Vec<Value> {
        let admin = self.installation.simulators["smtp"]["admin"].as_str().unwrap();
        let received = self.client.get(format!("{admin}/received")).send().await.unwrap();
        let lines = received.text().await.unwrap();
        let mails = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        mails.filter(|mail| mail["address"] == self.address.as_str()).collect()
    }

    async fn mail(&self, number: usize) -> Value {
        until("the mail arrives", async || self.mails().await.len() >= number).await;
        self.mails().await.swap_remove(number - 1)
    }
}

/// The link's token, out of the plain part of a mail.
fn token(mail: &Value) -> String {
    let text = mail["payload"].as_str().unwrap().replace("=\r\n", "");
    let (_, rest) = text.split_once("https://cittadini.staffetta.example/mailbox/").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_confirmed_by_its_mail_and_then_written_to() {
    let mut planted = Planted::sample(1);
    let mut installation = Installation::prepare(&[]).await;
    let doors = onboarded(&mut installation, &planted).await;
    let code = planted.fiscal_code("AAAAAA00A00A000A");
    let citizen = Citizen {
        installation: &installation,
        doors: &doors,
        client: Client::new(),
        token: installation.token(&code),
        // The relay says "later" to its first mail.
        address: planted.mailbox("grey.example"),
    };
    let profile = json!({
        "is_inbox_enabled": true, "is_email_enabled": true, "email": citizen.address,
        "version": 0, "accepted_tos_version": 1.0, "preferred_languages": ["de_DE"],
        "service_preferences_settings": {"mode": "AUTO"},
    });
    let answer = citizen.ask(Method::PUT, "profile", &profile).await;
    assert_eq!(answer["is_email_validated"], false);

    let mail = citizen.mail(1).await;
    let headers: BTreeMap<String, String> =
        serde_json::from_value(mail["headers"].clone()).unwrap();
    assert_eq!(headers["content-language"], "de");
    assert!(!headers.contains_key("list-unsubscribe"));
    let token = token(&mail);
    let link = format!("{}/mailbox/{token}", doors.citizen);
    assert_eq!(citizen.client.get(&link).send().await.unwrap().status(), 200);
    assert!(!citizen.is_validated().await, "a scanner that opens links confirms nothing");
    assert_eq!(citizen.client.post(&link).send().await.unwrap().status(), 200);
    assert!(citizen.is_validated().await);

    let content = json!({"subject": "Un avviso di prova", "markdown": "Testo. ".repeat(20)});
    let message = json!({"fiscal_code": code, "content": content});
    let post = citizen.client.post(format!("{}/api/v1/messages", doors.sender));
    let post = post.header("Ocp-Apim-Subscription-Key", &planted.keys[PLAIN]).json(&message);
    assert_eq!(post.send().await.unwrap().status(), 201);
    let notice = citizen.mail(2).await;
    assert!(notice["headers"]["list-unsubscribe"].is_string(), "a notice, not a validation");

    let metrics = format!("{}/metrics", doors.operations);
    let metrics = citizen.client.get(metrics).send().await.unwrap().text().await.unwrap();
    for outcome in
        ["outcome=\"postpone\",reason=\"greylisted\"", "outcome=\"done\",reason=\"taken\""]
    {
        let counted = |line: &&str| line.contains("stage=\"validation\"") && line.contains(outcome);
        assert_eq!(metrics.lines().filter(counted).count(), 1, "{outcome}");
    }
    let secrets = [("the address", citizen.address.clone()), ("the link's token", token)];
    let secrets = secrets.map(|(what, text)| Needle { what: what.into(), text });
    installation.end();
    tokio::task::block_in_place(|| {
        let search = Search::new(&secrets);
        for place in [installation.said(), installation.data()] {
            let (found, bytes) = search.folder(&place);
            assert!(found.is_empty() && bytes > 0, "{}", place.display());
        }
    });
}
