//! Provider tokens.

use std::path::Path;

use serde_json::{Value, json};
use simulators::Apns;

use crate::support::apns::{Push, client, provider_token, provider_token_of, reason};
use crate::support::http::H2;
use crate::support::jwt::{Form, es256};
use crate::support::{doubles, now};

const MINUTE: u64 = 60;

fn bearing(apns: &Apns, token: &str) -> Push {
    Push::sound(apns).with("authorization", &format!("bearer {token}"))
}

async fn answer(connection: &mut H2, push: Push) -> String {
    reason(&connection.ask(push.request()).await.unwrap())
}

/// Sends with `authorization` on a new connection.
async fn check(apns: &Apns, authorization: &str, expected: &str) {
    let push = Push::sound(apns).with("authorization", authorization);
    assert_eq!(answer(&mut client(apns).await, push).await, expected, "{authorization}");
}

fn signed(key: &Path, head: Value, claims: Value) -> String {
    es256(key, Form::Raw, &head, &claims)
}

#[tokio::test]
async fn both_forms_of_the_signature_are_taken() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let head = json!({"alg": "ES256", "kid": apns.key_id});
    let claims = json!({"iss": apns.team_id, "iat": now()});
    for form in [Form::Raw, Form::Der] {
        let token = es256(&apns.key, form, &head, &claims);
        check(apns, &format!("bearer {token}"), "200").await;
    }
}

#[tokio::test]
async fn without_a_token_the_token_is_missing() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let token = provider_token(apns);
    for (authorization, expected) in [
        ("bearer ".to_owned(), "403 MissingProviderToken"),
        (format!("basic {token}"), "403 MissingProviderToken"),
        (token.clone(), "403 MissingProviderToken"),
        (format!("Bearer {token}"), "200"),
    ] {
        check(apns, &authorization, expected).await;
    }
}

#[tokio::test]
async fn a_token_that_is_wrong_in_any_part_is_invalid() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let head = || json!({"alg": "ES256", "kid": apns.key_id});
    let claims = || json!({"iss": apns.team_id, "iat": now()});
    let right = signed(&apns.key, head(), claims());
    let (content, signature) = right.rsplit_once('.').unwrap();
    let other_claims = signed(&apns.key, head(), json!({"iss": apns.team_id, "iat": now() - 1}));
    let other_content = other_claims.rsplit_once('.').unwrap().0;
    let wrong = [
        "a.b.c".to_owned(),
        content.to_owned(),
        format!("{other_content}.{signature}"),
        signed(&apns.other_key.path, head(), claims()),
        signed(&apns.key, json!({"alg": "ES256"}), claims()),
        signed(&apns.key, json!({"alg": "ES256", "kid": "AAAAAAAAAA"}), claims()),
        signed(&apns.key, json!({"alg": "none", "kid": apns.key_id}), claims()),
        signed(&apns.key, head(), json!({"iss": "AAAAAAAAAA", "iat": now()})),
        signed(&apns.key, head(), json!({"iss": apns.team_id})),
        signed(&apns.key, head(), json!({"iss": apns.team_id, "iat": now() + 10 * MINUTE})),
        signed(&apns.key, head(), json!({"iss": apns.team_id, "iat": now() * 1000})),
    ];
    for token in wrong {
        check(apns, &format!("bearer {token}"), "403 InvalidProviderToken").await;
    }
}

#[tokio::test]
async fn a_token_lives_for_an_hour_and_takes_its_connection_with_it() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let mut connection = client(apns).await;
    let young = bearing(apns, &provider_token_of(apns, now() - 59 * MINUTE));
    assert_eq!(answer(&mut connection, young).await, "200");
    let old = bearing(apns, &provider_token_of(apns, now() - 61 * MINUTE));
    assert_eq!(answer(&mut connection, old).await, "403 ExpiredProviderToken");
    let fresh = Push::sound(apns);
    assert_eq!(answer(&mut connection, fresh.clone()).await, "403 ExpiredProviderToken");
    assert_eq!(answer(&mut client(apns).await, fresh).await, "200");
}

#[tokio::test]
async fn a_key_of_the_other_environment_is_refused() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let head = json!({"alg": "ES256", "kid": apns.sandbox_key.id});
    let token = signed(&apns.sandbox_key.path, head, json!({"iss": apns.team_id, "iat": now()}));
    check(apns, &format!("bearer {token}"), "403 BadEnvironmentKeyInToken").await;
}

#[tokio::test]
async fn a_connection_keeps_to_its_first_key() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let head = json!({"alg": "ES256", "kid": apns.other_key.id});
    let token = signed(&apns.other_key.path, head, json!({"iss": apns.team_id, "iat": now()}));
    let other = bearing(apns, &token);
    let mut connection = client(apns).await;
    assert_eq!(answer(&mut connection, Push::sound(apns)).await, "200");
    assert_eq!(answer(&mut connection, other.clone()).await, "403 UnrelatedKeyIdInToken");
    assert_eq!(answer(&mut client(apns).await, other).await, "200");
}

#[tokio::test]
async fn a_token_is_renewed_after_twenty_minutes_and_no_sooner() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let at = |minutes: u64| bearing(apns, &provider_token_of(apns, now() - minutes * MINUTE));
    let (first, too_soon, second) = (at(50), at(31), at(30));
    let mut connection = client(apns).await;
    assert_eq!(answer(&mut connection, first.clone()).await, "200");
    assert_eq!(answer(&mut connection, first.clone()).await, "200");
    let refused = answer(&mut connection, too_soon).await;
    assert_eq!(refused, "429 TooManyProviderTokenUpdates");
    // The old one stays good.
    assert_eq!(answer(&mut connection, first).await, "200");
    assert_eq!(answer(&mut connection, second).await, "200");
}
