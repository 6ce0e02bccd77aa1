//! Profiles and preferences.

use hyper::StatusCode;
use schemas::records::Mode;
use schemas::topics::Topic;
use serde_json::{Value, json};

use super::rig::{ADDRESS, CODE, PLAIN, Rig, SPECIAL};

fn settings(mode: &str) -> Value {
    json!({"mode": mode})
}

fn preference(inbox: bool, email: bool, version: i64) -> Value {
    json!({"is_inbox_enabled": inbox, "is_email_enabled": email, "is_webhook_enabled": true,
        "settings_version": version})
}

fn path(service: &str) -> String {
    format!("/services/{service}/preferences")
}

#[tokio::test]
async fn a_first_profile_is_read_back_as_it_was_written() {
    let rig = Rig::new().await;
    assert_eq!(rig.register("AUTO").await, 0);
    let profile = rig.must("GET", "/profile", None, 200).await;
    for (member, value) in [
        ("is_inbox_enabled", json!(true)),
        ("email", json!(ADDRESS)),
        ("is_email_validated", json!(false)),
        ("service_preferences_settings", json!({"mode": "AUTO", "version": 0})),
        ("push_notifications_content_type", json!("FULL")),
        ("reminder_status", json!("DISABLED")),
        ("last_app_version", json!("UNKNOWN")),
        ("preferred_languages", json!(["it_IT"])),
    ] {
        assert_eq!(profile[member], value, "{member}");
    }
    assert!(profile.get("blocked_inbox_or_channels").is_none());
}

#[tokio::test]
async fn an_update_on_another_version_changes_nothing() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let body = |version: Value| {
        json!({"is_inbox_enabled": false, "version": version,
        "service_preferences_settings": settings("AUTO")})
    };
    rig.must("PUT", "/profile", Some(body(json!(1))), 409).await;
    rig.must("PUT", "/profile", Some(body(Value::Null)), 400).await;
    assert_eq!(rig.must("GET", "/profile", None, 200).await["is_inbox_enabled"], true);
    let answer = rig.must("PUT", "/profile", Some(body(json!(0))), 200).await;
    assert_eq!((answer["version"].as_i64(), &answer["is_inbox_enabled"]), (Some(1), &json!(false)));
    rig.must("PUT", "/profile", Some(body(json!(0))), 409).await;
}

#[tokio::test]
async fn of_two_updates_on_one_version_one_wins() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let body = json!({"version": 0, "service_preferences_settings": settings("AUTO")});
    let update = || rig.ask("PUT", "/profile", Some(body.clone()));
    let (one, two) = tokio::join!(update(), update());
    let mut answers = [one.0, two.0];
    answers.sort();
    assert_eq!(answers, [StatusCode::OK, StatusCode::CONFLICT]);
}

#[tokio::test]
async fn returning_to_legacy_and_silence_about_the_mode_are_conflicts() {
    let rig = Rig::new().await;
    rig.register("MANUAL").await;
    for body in [
        json!({"version": 0}),
        json!({"version": 0, "service_preferences_settings": settings("LEGACY")}),
    ] {
        let answer = rig.must("PUT", "/profile", Some(body), 409).await;
        assert_eq!(answer["detail"], "Mode LEGACY is not valid.");
    }
}

#[tokio::test]
async fn leaving_legacy_for_auto_keeps_every_refusal_at_every_moment() {
    let rig = Rig::new().await;
    rig.register("LEGACY").await;
    let blocked = json!({PLAIN: ["INBOX", "EMAIL"], "02B": ["WEBHOOK"], "03C": []});
    let body = json!({"version": 0, "blocked_inbox_or_channels": blocked});
    rig.must("PUT", "/profile", Some(body), 200).await;
    let before = rig.view.mirror.lock().applied.len();
    let body = json!({"version": 1, "service_preferences_settings": settings("AUTO")});
    rig.must("PUT", "/profile", Some(body), 200).await;
    // A view saw the preferences before it saw the mode that reads them.
    let applied = rig.view.mirror.lock().applied[before..].to_vec();
    let profile = applied.iter().position(|it| *it == Topic::Profile).expect("applied");
    let preferences = applied[..profile].iter().filter(|it| **it == Topic::Preference);
    assert!(preferences.count() >= 2, "{applied:?}");
    let dossier = rig.dossier();
    let flags = |service: &str| {
        let it = &dossier.preferences[&service.into()];
        (it.inbox_enabled, it.email_enabled, it.push_enabled, it.settings_version)
    };
    assert_eq!(flags(PLAIN), (false, false, true, 0));
    assert_eq!(flags("02B"), (true, true, false, 0));
    assert_eq!(dossier.preferences.len(), 2);
    let profile = dossier.profile.expect("on board");
    assert_eq!((profile.mode, profile.blocked.len()), (Mode::Auto, 0));
}

#[tokio::test]
async fn leaving_legacy_for_manual_lets_nobody_in() {
    let rig = Rig::new().await;
    rig.register("LEGACY").await;
    let body = json!({"version": 0, "blocked_inbox_or_channels": {PLAIN: ["EMAIL"]}});
    rig.must("PUT", "/profile", Some(body), 200).await;
    let body = json!({"version": 1, "service_preferences_settings": settings("MANUAL")});
    rig.must("PUT", "/profile", Some(body), 200).await;
    assert!(rig.dossier().preferences.is_empty());
    let shown = rig.must("GET", &path(PLAIN), None, 200).await;
    assert_eq!(
        shown,
        json!({"is_inbox_enabled": false, "is_email_enabled": false,
        "is_webhook_enabled": false, "settings_version": 0})
    );
}

#[tokio::test]
async fn a_change_of_mode_outdates_every_preference() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    rig.must("PUT", &path(PLAIN), Some(preference(false, true, 0)), 200).await;
    let body = json!({"version": 0, "service_preferences_settings": settings("MANUAL")});
    rig.must("PUT", "/profile", Some(body), 200).await;
    let body = json!({"version": 1, "service_preferences_settings": settings("AUTO")});
    let profile = rig.must("PUT", "/profile", Some(body), 200).await;
    assert_eq!(profile["service_preferences_settings"]["version"], 2);
    assert_eq!(rig.must("GET", &path(PLAIN), None, 200).await["is_inbox_enabled"], true);
}

#[tokio::test]
async fn a_preference_is_taken_only_under_the_present_settings() {
    let rig = Rig::new().await;
    rig.must("PUT", &path(PLAIN), Some(preference(true, true, 0)), 404).await;
    rig.register("AUTO").await;
    rig.must("PUT", &path(PLAIN), Some(preference(true, true, 1)), 409).await;
    rig.must("PUT", &path("01NOBODY"), Some(preference(true, true, 0)), 404).await;
    let mut reads = preference(false, true, 0);
    reads["can_access_message_read_status"] = json!(true);
    rig.must("PUT", &path(PLAIN), Some(reads), 400).await;
    let written = rig.must("PUT", &path(PLAIN), Some(preference(false, true, 0)), 200).await;
    assert_eq!(rig.must("GET", &path(PLAIN), None, 200).await, written);
}

#[tokio::test]
async fn legacy_profiles_have_no_preferences() {
    let rig = Rig::new().await;
    rig.register("LEGACY").await;
    rig.must("PUT", &path(PLAIN), Some(preference(true, true, -1)), 409).await;
}

#[tokio::test]
async fn a_special_services_inbox_flag_follows_its_activation() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    rig.must("PUT", &path(SPECIAL), Some(preference(true, true, 0)), 409).await;
    rig.must("PUT", &path(SPECIAL), Some(preference(false, true, 0)), 200).await;
}

#[tokio::test]
async fn accepting_the_terms_switches_inbox_and_push_on_unless_told_otherwise() {
    let rig = Rig::new().await;
    let body = json!({"version": 0, "service_preferences_settings": settings("AUTO")});
    let profile = rig.must("PUT", "/profile", Some(body), 200).await;
    assert_eq!(profile["is_inbox_enabled"], false);
    assert!(profile.get("accepted_tos_version").is_none());
    let body = json!({"version": 0, "service_preferences_settings": settings("AUTO"),
        "accepted_tos_version": 3.2, "is_webhook_enabled": false});
    let profile = rig.must("PUT", "/profile", Some(body), 200).await;
    assert_eq!(
        (&profile["is_inbox_enabled"], &profile["is_webhook_enabled"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn a_body_that_is_no_profile_is_refused_and_not_repeated() {
    let rig = Rig::new().await;
    for body in [
        json!({"email": format!("{CODE} at example"), "version": 0}),
        json!({"accepted_tos_version": 0.5, "version": 0}),
        json!({"preferred_languages": ["kl_GL"], "version": 0}),
        json!({"service_preferences_settings": {"mode": CODE}, "version": 0}),
        json!([CODE]),
    ] {
        let answer = rig.must("PUT", "/profile", Some(body), 400).await;
        assert!(!answer.to_string().contains(CODE));
    }
    assert!(rig.everything().is_empty());
}
