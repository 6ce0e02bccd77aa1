//! Links in mails, and when an address counts as validated.

use runtime::embedded::{Call, Fault};
use schemas::ids::ServiceId;
use serde_json::json;

use super::rig::{ADDRESS, CODE, PLAIN, Rig};

const OTHER: &str = "altrove@example.com";

async fn validated(rig: &Rig) -> bool {
    rig.must("GET", "/profile", None, 200).await["is_email_validated"] == true
}

/// The link that was asked for last.
fn mailed(rig: &Rig) -> (String, String) {
    rig.mailed(rig.asked().last().expect("a mail was asked for"))
}

fn new_address(version: i64, address: &str) -> serde_json::Value {
    json!({"version": version, "email": address, "is_email_validated": true,
        "service_preferences_settings": {"mode": "AUTO"}})
}

#[tokio::test]
async fn an_address_is_validated_by_the_mailed_link_and_by_nothing_said() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let (address, token) = mailed(&rig);
    assert_eq!(address, ADDRESS);
    assert!(!validated(&rig).await);
    rig.must("GET", &format!("/mailbox/{token}"), None, 200).await;
    assert!(!validated(&rig).await, "opening a link changes nothing");
    rig.must("POST", &format!("/mailbox/{token}"), None, 200).await;
    assert!(validated(&rig).await);
    // A second press of the button changes no version.
    let version = rig.must("GET", "/profile", None, 200).await["version"].clone();
    rig.must("POST", &format!("/mailbox/{token}"), None, 200).await;
    assert_eq!(rig.must("GET", "/profile", None, 200).await["version"], version);
}

#[tokio::test]
async fn another_address_must_be_validated_anew_and_the_old_link_is_dead() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let (_, token) = mailed(&rig);
    rig.must("POST", &format!("/mailbox/{token}"), None, 200).await;
    rig.must("PUT", "/profile", Some(new_address(1, OTHER)), 200).await;
    assert!(!validated(&rig).await);
    rig.must("POST", &format!("/mailbox/{token}"), None, 404).await;
    assert!(!validated(&rig).await);
    let (address, token) = mailed(&rig);
    assert_eq!(address, OTHER);
    rig.must("POST", &format!("/mailbox/{token}"), None, 200).await;
    assert!(validated(&rig).await);
}

#[tokio::test]
async fn an_address_that_the_login_vouches_for_is_validated_at_once() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let token = vouching(&rig, json!(true));
    let body = Some(new_address(0, "terzo@example.com"));
    let (_, answer) = rig.ask_as(&token, "PUT", "/api/v1/profile", body).await;
    assert_eq!(answer["is_email_validated"], false, "it vouches for another address");
    let asked = rig.asked().len();
    let body = Some(new_address(1, "altrove@EXAMPLE.com"));
    let (_, answer) = rig.ask_as(&token, "PUT", "/api/v1/profile", body).await;
    assert_eq!(answer["is_email_validated"], true);
    assert_eq!(rig.asked().len(), asked, "and no mail is needed");
}

/// A token whose login speaks of the address.
fn vouching(rig: &Rig, verified: serde_json::Value) -> String {
    let mut claims = Rig::claims(CODE);
    claims["email"] = json!(OTHER);
    claims["email_verified"] = verified;
    rig.sign(&claims)
}

#[tokio::test]
async fn a_login_that_does_not_say_that_the_address_is_proven_vouches_for_nothing() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let words = [json!(false), json!("true"), json!(1), json!(null)];
    for (version, verified) in (0..).zip(words) {
        let token = vouching(&rig, verified.clone());
        let body = Some(new_address(version, OTHER));
        let (_, answer) = rig.ask_as(&token, "PUT", "/api/v1/profile", body).await;
        assert_eq!(answer["is_email_validated"], false, "{verified}");
    }
}

#[tokio::test]
async fn a_mail_is_asked_for_in_the_transaction_that_writes_the_address_down() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let asked = rig.asked();
    assert_eq!(asked.len(), 1);
    let profile = rig.dossier().profile.expect("on board");
    assert_eq!(
        (asked[0].generation, Some(&asked[0].email)),
        (profile.generation, profile.email.as_ref())
    );
    // An address that stays asks for nothing, and neither does a change that is refused.
    rig.must("PUT", "/profile", Some(new_address(0, ADDRESS)), 200).await;
    rig.must("PUT", "/profile", Some(new_address(0, OTHER)), 409).await;
    assert_eq!(rig.asked().len(), 1);
    rig.log.inject_at(Call::Write, Fault::RefuseBefore);
    rig.must("PUT", "/profile", Some(new_address(1, OTHER)), 503).await;
    assert_eq!(rig.asked().len(), 1, "all of it, or nothing");
}

#[tokio::test]
async fn a_mail_may_be_asked_for_again_within_the_rate() {
    let rig = Rig::new().await;
    let again = async |status| rig.must("POST", "/profile/validation", None, status).await;
    again(404).await;
    rig.register("AUTO").await;
    for _ in 0..4 {
        again(202).await;
    }
    again(429).await;
    let answer = rig.must("PUT", "/profile", Some(new_address(0, OTHER)), 429).await;
    assert_eq!(answer["title"], "Too many requests");
    assert_eq!(rig.asked().len(), 5, "one for the address, four more");
    let (address, _) = mailed(&rig);
    assert_eq!(address, ADDRESS, "a change that was refused changed nothing");
    let later = rig.world.now().plus(std::time::Duration::from_secs(3_600));
    rig.world.sleep_until(later).await;
    again(202).await;
    let (_, token) = mailed(&rig);
    rig.must("POST", &format!("/mailbox/{token}"), None, 200).await;
    again(409).await;
}

#[tokio::test]
async fn asking_again_with_a_login_that_vouches_validates_at_once() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    rig.must("PUT", "/profile", Some(new_address(0, OTHER)), 200).await;
    let token = vouching(&rig, json!(true));
    let asked = rig.ask_as(&token, "POST", "/api/v1/profile/validation", None).await;
    assert_eq!((asked.0.as_u16(), &asked.1["is_email_validated"]), (200, &json!(true)));
    assert!(validated(&rig).await);
}

#[tokio::test]
async fn a_link_of_a_former_registration_validates_nothing() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let (_, token) = mailed(&rig);
    rig.must("DELETE", "/profile", None, 204).await;
    rig.register("AUTO").await;
    rig.must("POST", &format!("/mailbox/{token}"), None, 404).await;
    assert!(!validated(&rig).await);
}

#[tokio::test]
async fn a_link_that_is_too_old_or_forged_is_no_longer_valid() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let (_, token) = mailed(&rig);
    rig.must("POST", "/mailbox/forged", None, 404).await;
    let later = rig.world.now().plus(std::time::Duration::from_secs(86_400 * 2));
    rig.world.sleep_until(later).await;
    rig.must("POST", &format!("/mailbox/{token}"), None, 404).await;
    assert!(!validated(&rig).await);
}

#[tokio::test]
async fn unsubscribing_needs_a_post_and_no_profile() {
    let rig = Rig::new().await;
    let service = ServiceId::from(PLAIN);
    let token = rig.keyring.tokens().unsubscribe(rig.me(), &service);
    for prefix in ["", "/api/v1"] {
        let path = format!("{prefix}/unsubscribe/{token}");
        assert_eq!(rig.ask_as("", "GET", &path, None).await.0.as_u16(), 200);
    }
    assert!(rig.everything().is_empty(), "opening a link changes nothing");
    let path = format!("/unsubscribe/{token}");
    assert_eq!(rig.ask_as("", "POST", &path, None).await.0.as_u16(), 200);
    assert!(rig.dossier().unsubscribed.contains(&service));
    assert_eq!(rig.ask_as("", "POST", "/unsubscribe/forged", None).await.0.as_u16(), 404);
}

#[tokio::test]
async fn an_unsubscription_outlives_leaving_and_ends_by_an_explicit_yes() {
    let rig = Rig::new().await;
    let service = ServiceId::from(PLAIN);
    let token = rig.keyring.tokens().unsubscribe(rig.me(), &service);
    rig.register("AUTO").await;
    rig.must("POST", &format!("/unsubscribe/{token}"), None, 200).await;
    rig.must("DELETE", "/profile", None, 204).await;
    rig.register("AUTO").await;
    let path = format!("/services/{PLAIN}/preferences");
    let shown = rig.must("GET", &path, None, 200).await;
    assert_eq!(shown["is_email_enabled"], false);
    rig.must("PUT", &path, Some(shown), 200).await;
    assert!(rig.dossier().unsubscribed.contains(&service), "what was read says no");
    let yes = json!({"is_inbox_enabled": true, "is_email_enabled": true,
        "is_webhook_enabled": true, "settings_version": 0});
    rig.must("PUT", &path, Some(yes), 200).await;
    assert!(!rig.dossier().unsubscribed.contains(&service));
}
