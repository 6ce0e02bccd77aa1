//! When a choice is in force, and what leaving leaves.

use std::sync::atomic::Ordering;

use runtime::log::Log;
use schemas::codec::Codec;
use schemas::ids::MessageId;
use schemas::records::CitizenErased;
use schemas::topics::Topic;
use serde_json::json;

use super::rig::{ADDRESS, CODE, PLAIN, Rig};
use crate::citizens::CitizensConfig;

const TOKEN: &str = "a-device-token-in-clear";

fn device(token: &str) -> serde_json::Value {
    json!({"platform": "apns", "pushChannel": token})
}

#[tokio::test]
async fn an_answer_comes_only_after_the_view_and_the_age_that_facts_may_have() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let seen = *rig.view.seen_at.lock().last().expect("waited for");
    assert!(rig.world.now().since(seen) >= CitizensConfig::default().consent_max_age);
}

#[tokio::test]
async fn a_change_that_the_view_does_not_show_is_not_answered_with_success() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    rig.view.stuck.store(true, Ordering::Relaxed);
    let body = json!({"is_inbox_enabled": false, "version": 0,
        "service_preferences_settings": {"mode": "AUTO"}});
    let answer = rig.must("PUT", "/profile", Some(body.clone()), 503).await;
    assert_eq!(answer["title"], "Not in force yet");
    // Nor does anybody decide on what it shows meanwhile: that is the past.
    let answer = rig.must("PUT", "/profile", Some(body.clone()), 503).await;
    assert_eq!(answer["title"], "Not ready");
    rig.view.stuck.store(false, Ordering::Relaxed);
    rig.must("PUT", "/profile", Some(body), 409).await;
    assert_eq!(rig.must("GET", "/profile", None, 200).await["is_inbox_enabled"], false);
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_a_whole_change() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let body = json!({"is_inbox_enabled": false, "version": 0,
        "service_preferences_settings": {"mode": "AUTO"}});
    {
        let mut asking = Box::pin(rig.ask("PUT", "/profile", Some(body.clone())));
        let once = std::future::poll_fn(|cx| {
            let _ = asking.as_mut().poll(cx);
            std::task::Poll::Ready(())
        });
        once.await;
    }
    // The next one waits its turn behind the change that goes on alone.
    rig.must("PUT", "/profile", Some(body), 409).await;
}

#[tokio::test]
async fn more_changes_than_may_be_in_hand_are_refused_at_once_and_change_nothing() {
    let config = CitizensConfig { changes: 1, ..CitizensConfig::default() };
    let rig = Rig::with(config).await;
    let shut = rig.view.shut.write().await;
    let body = json!({"version": 0, "service_preferences_settings": {"mode": "AUTO"}});
    let mut first = Box::pin(rig.ask("PUT", "/profile", Some(body.clone())));
    let once = std::future::poll_fn(|cx| {
        assert!(first.as_mut().poll(cx).is_pending(), "nothing is seen of it yet");
        std::task::Poll::Ready(())
    });
    once.await;
    let stranger = rig.sign(&Rig::claims("BBBBBB00A00A000B"));
    let path = "/api/v1/profile";
    let refused = rig.ask_as(&stranger, "PUT", path, Some(body.clone()));
    let refused = tokio::time::timeout(std::time::Duration::from_secs(20), refused).await;
    let (status, answer) = refused.expect("it waits for nobody");
    assert_eq!((status.as_u16(), &answer["title"]), (503, &json!("Not written")));
    drop(shut);
    assert_eq!(first.await.0.as_u16(), 200);
    assert_eq!(rig.ask_as(&stranger, "PUT", path, Some(body)).await.0.as_u16(), 200);
}

#[tokio::test]
async fn several_devices_are_registered_sealed_and_taken_back() {
    let rig = Rig::new().await;
    rig.must("PUT", "/installations/CNRCNR00A00A000C", Some(device(TOKEN)), 404).await;
    rig.register("AUTO").await;
    rig.must("PUT", "/installations/CNRCNR00A00A000C", Some(device(TOKEN)), 200).await;
    let old = json!({"platform": "gcm", "pushChannel": TOKEN});
    let answer = rig.must("PUT", "/installations/my-tablet", Some(old), 200).await;
    assert_eq!(answer, json!({"message": "ok"}));
    assert_eq!(rig.dossier().devices.len(), 2);
    for _ in 0..2 {
        rig.must("DELETE", "/installations/CNRCNR00A00A000C", None, 200).await;
    }
    assert_eq!(rig.devices(), [rig.installation("my-tablet")]);
    let long = "x".repeat(65);
    rig.must("PUT", &format!("/installations/{long}"), Some(device(TOKEN)), 400).await;
    rig.must("PUT", "/installations/CNRCNR00A00A000C", Some(device("a b")), 400).await;
    for record in rig.everything() {
        let bytes = [record.key, record.value.unwrap_or_default()].concat();
        for canary in [TOKEN, ADDRESS, CODE, "CNRCNR00A00A000C", "my-tablet"] {
            assert!(!bytes.windows(canary.len()).any(|it| it == canary.as_bytes()));
        }
    }
}

#[tokio::test]
async fn beyond_the_bound_the_longest_registered_device_leaves() {
    let config = CitizensConfig { most_devices: 2, ..CitizensConfig::default() };
    let rig = Rig::with(config).await;
    rig.register("AUTO").await;
    for name in ["a", "b", "a", "c"] {
        rig.must("PUT", &format!("/installations/{name}"), Some(device(TOKEN)), 200).await;
    }
    let mut left = ["a", "c"].map(|name| rig.installation(name));
    left.sort_unstable();
    assert_eq!(rig.devices(), left);
}

#[tokio::test]
async fn an_inbox_is_read_page_by_page_and_opened_by_its_owner_alone() {
    let rig = Rig::new().await;
    rig.must("GET", "/inbox", None, 404).await;
    rig.register("AUTO").await;
    let id = |n: u64| MessageId::from_parts(n, 1);
    (1..=3).for_each(|n| rig.store(id(n), i64::MAX));
    rig.store(id(4), 0);
    let first = rig.must("GET", "/inbox?page_size=3", None, 200).await;
    let ids = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items");
        items.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
    };
    // What is kept no longer is not shown, though it counts towards the page.
    assert_eq!(ids(&first), [id(3).to_string(), id(2).to_string()]);
    let next = first["next"].as_str().expect("more");
    let second = rig.must("GET", &format!("/inbox?before={next}"), None, 200).await;
    assert_eq!((ids(&second), second.get("next")), (vec![id(1).to_string()], None));
    let opened = rig.must("GET", &format!("/inbox/{}", id(2)), None, 200).await;
    assert_eq!(opened["content"]["subject"], format!("of {}", id(2)));
    let stranger = rig.sign(&Rig::claims("BBBBBB00A00A000B"));
    let path = format!("/api/v1/inbox/{}", id(2));
    assert_eq!(rig.ask_as(&stranger, "GET", &path, None).await.0.as_u16(), 404);
    rig.must("GET", &format!("/inbox/{}", id(4)), None, 404).await;
    rig.must("GET", "/inbox/nonsense", None, 404).await;
    rig.must("GET", "/inbox?before=nonsense", None, 400).await;
}

#[tokio::test]
async fn leaving_ends_every_record_key_first_and_coming_back_is_a_new_beginning() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let former = rig.dossier().generation().expect("on board");
    rig.must("PUT", "/installations/CNRCNR00A00A000C", Some(device(TOKEN)), 200).await;
    let choice = json!({"is_inbox_enabled": false, "is_email_enabled": true,
        "is_webhook_enabled": true, "settings_version": 0});
    rig.must("PUT", &format!("/services/{PLAIN}/preferences"), Some(choice), 200).await;
    rig.store(MessageId::from_parts(1, 1), i64::MAX);
    let before = rig.view.mirror.lock().applied.len();
    rig.must("DELETE", "/profile", None, 204).await;
    rig.must("GET", "/profile", None, 404).await;
    let dossier = rig.dossier();
    assert!(dossier.profile.is_none() && dossier.keys.is_empty() && dossier.devices.is_empty());
    assert!(dossier.preferences.is_empty() && dossier.stored.is_empty());
    assert!(rig.view.mirror.lock().erased.contains(&former));
    // Nobody was on board any more before the first of the rest was taken away.
    assert_eq!(rig.view.mirror.lock().applied[before], Topic::Profile);
    let everything = rig.everything();
    let erased = everything.iter().find(|it| it.position.at.topic == Topic::Erased);
    let erased = erased.and_then(|it| it.value.as_ref()).expect("an erasure");
    let erased: CitizenErased = Codec::default().decode(erased).expect("a record");
    assert_eq!((erased.citizen, erased.generation), (rig.me(), former));
    rig.must("DELETE", "/profile", None, 204).await;
    rig.register("AUTO").await;
    assert_ne!(rig.dossier().generation(), Some(former));
}

#[tokio::test]
async fn a_leaving_that_was_cut_short_is_ended_by_the_next_registration() {
    let rig = Rig::new().await;
    rig.register("AUTO").await;
    let former = rig.dossier().generation().expect("on board");
    rig.must("PUT", "/installations/CNRCNR00A00A000C", Some(device(TOKEN)), 200).await;
    let end = crate::citizens::records::tombstone(Topic::Profile, rig.me(), "");
    rig.log.writer("crashed").expect("a writer").write(vec![end]).expect("written");
    rig.view.follow();
    rig.register("AUTO").await;
    assert!(rig.view.mirror.lock().erased.contains(&former));
    assert!(rig.dossier().devices.is_empty());
    assert_ne!(rig.dossier().generation(), Some(former));
}
