//! The token endpoint.

use serde_json::{Value, json};
use simulators::{Fcm, Script};

use crate::support::fcm::{Account, GRANT, Sender, TOKEN, client, failure, form};
use crate::support::{doubles, now};

/// Exchanges an assertion with these claims changed; null takes one away.
async fn check(fcm: &Fcm, changes: Value, expected: &str) {
    let account = Account::read(&fcm.service_account);
    let mut claims = account.claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let assertion = account.assertion(&account.head(), &claims);
    let answer = client(fcm).await.ask(account.exchange(&assertion)).await.unwrap();
    let body = answer.json();
    let found = body["error"].as_str().unwrap_or("given");
    assert_eq!(found, expected, "{changes}");
    assert_eq!(answer.status == 200, expected == "given");
}

#[tokio::test]
async fn a_signed_assertion_is_exchanged_for_a_token_of_an_hour() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let account = Account::read(&fcm.service_account);
    let assertion = account.assertion(&account.head(), &account.claims());
    let answer = client(fcm).await.ask(account.exchange(&assertion)).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["token_type"], "Bearer");
    assert_eq!(answer.json()["expires_in"], 3599);
}

#[tokio::test]
async fn issuer_audience_times_and_scope_are_checked() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let cases = [
        (json!({}), "given"),
        (json!({"scope": "https://www.googleapis.com/auth/cloud-platform"}), "given"),
        (json!({"iss": "nobody@example.com"}), "invalid_grant"),
        (json!({"aud": "https://oauth2.googleapis.com/token"}), "given"),
        (json!({"aud": "https://example.com/token"}), "invalid_grant"),
        (json!({"exp": now() + 7200}), "invalid_grant"),
        (json!({"iat": now() - 7200, "exp": now() - 3600}), "invalid_grant"),
        (json!({"iat": now() + 1800, "exp": now() + 3600}), "invalid_grant"),
        (json!({"exp": null}), "invalid_grant"),
        (json!({"scope": null}), "invalid_scope"),
        (json!({"scope": ""}), "invalid_scope"),
    ];
    for (changes, expected) in cases {
        check(fcm, changes, expected).await;
    }
}

#[tokio::test]
async fn a_signature_must_be_right() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let account = Account::read(&fcm.service_account);
    let right = account.assertion(&account.head(), &account.claims());
    let (_, signature) = right.rsplit_once('.').unwrap();
    let mut later = account.claims();
    later["iat"] = (now() - 1).into();
    let other = account.assertion(&account.head(), &later);
    let (other, _) = other.rsplit_once('.').unwrap();
    let unknown_key = json!({"alg": "RS256", "kid": "0000"});
    let other_algorithm = json!({"alg": "HS256"});
    for assertion in [
        format!("{other}.{signature}"),
        "a.b.c".to_owned(),
        String::new(),
        account.assertion(&unknown_key, &account.claims()),
        account.assertion(&other_algorithm, &account.claims()),
    ] {
        let answer = client(fcm).await.ask(account.exchange(&assertion)).await.unwrap();
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"], "invalid_grant");
    }
}

#[tokio::test]
async fn the_form_must_name_the_grant_and_hold_an_assertion() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let escaped = GRANT.replace(':', "%3A");
    for (text, expected) in [
        (String::new(), "invalid_request"),
        ("grant_type=password&assertion=x".to_owned(), "unsupported_grant_type"),
        (format!("grant_type={GRANT}"), "invalid_request"),
        (format!("grant_type={escaped}&assertion=x"), "invalid_grant"),
    ] {
        let request = form(&fcm.token_uri, &text);
        let answer = client(fcm).await.ask(request).await.unwrap();
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"], expected, "{text}");
    }
}

#[tokio::test]
async fn a_token_of_another_scope_may_not_send() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    let account = Account::read(&fcm.service_account);
    let mut claims = account.claims();
    claims["scope"] = "https://www.googleapis.com/auth/drive".into();
    let assertion = account.assertion(&account.head(), &claims);
    let mut sender = Sender::of(fcm).await;
    let answer = sender.connection.ask(account.exchange(&assertion)).await.unwrap();
    sender.access_token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(failure(&sender.send_to(TOKEN).await), "403 PERMISSION_DENIED");
}

#[tokio::test]
async fn the_endpoint_fails_when_it_is_told_to() {
    let doubles = doubles(|_| {}).await;
    let fcm = &doubles.running.fcm;
    for (error, status) in [("internal_failure", 500), ("invalid_grant", 400)] {
        let script = Script { token_answer: Some(error.into()), ..Script::default() };
        fcm.script(script).unwrap();
        let request = form(&fcm.token_uri, "");
        let answer = client(fcm).await.ask(request).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"], error);
    }
}
