//! Links in mails, and when an address counts as validated.

use schemas::ids::ServiceId;
use serde_json::json;

use super::rig::{ADDRESS, CODE, PLAIN, Rig};

const OTHER: &str = "altrove@example.com";

async fn validated(rig: &Rig) -> bool {
    rig.must("GET", "/profile", None, 200).await["is_email_validated"] == true
}

/// The last link mailed; mails leave in the background.
async fn mailed(rig: &Rig) -> (String, String) {
    loop {
        if let Some(mail) = rig.mails.0.lock().pop() {
            return mail;
        }
        tokio::task::yield_now().await;
    }
}

fn new_address(version: i64, address: &str) -> serde_json::Value {
    json!({"version": version, "email": address, "is_email_validated": true,
        "service_preferences_settings": {"mode": "AUTO"}})
}

#[tokio::test]
async fn an_address_is_validated_by_the_mailed_link_and_by_nothing_said() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let (address, token) = mailed(&rig).await;
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
    let (_, token) = mailed(&rig).await;
    rig.must("POST", &format!("/mailbox/{token}"), None, 200).await;
    rig.must("PUT", "/profile", Some(new_address(1, OTHER)), 200).await;
    assert!(!validated(&rig).await);
    rig.must("POST", &format!("/mailbox/{token}"), None, 404).await;
    assert!(!validated(&rig).await);
    let (address, token) = mailed(&rig).await;
    assert_eq!(address, OTHER);
    rig.must("POST", &format!("/mailbox/{token}"), None, 200).await;
    assert!(validated(&rig).await);
}

#[tokio::test]
async fn an_address_that_the_login_vouches_for_is_validated_at_once() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let mut claims = Rig::claims(CODE);
    claims["email"] = json!(OTHER);
    let token = rig.sign(&claims);
    let body = Some(new_address(0, "terzo@example.com"));
    let (_, answer) = rig.ask_as(&token, "PUT", "/api/v1/profile", body).await;
    assert_eq!(answer["is_email_validated"], false, "it vouches for another address");
    let body = Some(new_address(1, OTHER));
    let (_, answer) = rig.ask_as(&token, "PUT", "/api/v1/profile", body).await;
    assert_eq!(answer["is_email_validated"], true);
}

#[tokio::test]
async fn a_link_of_a_former_registration_validates_nothing() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let (_, token) = mailed(&rig).await;
    rig.must("DELETE", "/profile", None, 204).await;
    rig.register("AUTO").await;
    rig.must("POST", &format!("/mailbox/{token}"), None, 404).await;
    assert!(!validated(&rig).await);
}

#[tokio::test]
async fn a_link_that_is_too_old_or_forged_is_no_longer_valid() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let (_, token) = mailed(&rig).await;
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
