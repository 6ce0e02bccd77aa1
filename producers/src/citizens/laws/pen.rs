//! Several processes, one pen.

use runtime::embedded::{Call, Fault};
use serde_json::{Value, json};

use super::rig::Rig;

fn update(version: i64, inbox: bool) -> Option<Value> {
    let mode = json!({"mode": "AUTO"});
    Some(
        json!({"version": version, "is_inbox_enabled": inbox, "service_preferences_settings": mode}),
    )
}

/// Two processes that ask one view.
async fn pair() -> (Rig, Rig) {
    let one = Rig::new().await;
    let two = one.beside().await;
    (one, two)
}

#[tokio::test]
async fn either_process_may_write_and_no_change_is_lost() {
    let (one, two) = pair().await;
    one.register("AUTO").await;
    for version in 0..6 {
        let process = if version % 2 == 0 { &two } else { &one };
        process.must("PUT", "/profile", update(version, version % 3 == 0), 200).await;
    }
    assert_eq!(one.dossier().profile.expect("on board").version, 6);
}

#[tokio::test]
async fn who_takes_the_pen_decides_on_what_the_other_wrote() {
    let one = Rig::new().await;
    let two = one.apart().await;
    one.register("AUTO").await;
    two.must("PUT", "/profile", update(0, false), 200).await;
    // Its own view has not seen that yet; what it holds of the pen is gone.
    assert_eq!(one.dossier().profile.expect("on board").version, 0);
    one.must("PUT", "/profile", update(0, true), 409).await;
    assert!(!one.dossier().profile.expect("on board").inbox_enabled);
    one.must("PUT", "/profile", update(1, true), 200).await;
}

#[tokio::test]
async fn of_two_updates_on_one_version_one_wins_whichever_process_they_reach() {
    let (one, two) = pair().await;
    one.register("AUTO").await;
    for version in 0..20 {
        let (a, b) = tokio::join!(
            one.ask("PUT", "/profile", update(version, true)),
            two.ask("PUT", "/profile", update(version, false)),
        );
        let mut answers = [a.0.as_u16(), b.0.as_u16()];
        answers.sort_unstable();
        assert_eq!(answers, [200, 409], "{a:?} {b:?}");
    }
}

#[tokio::test]
async fn a_process_that_only_stands_by_takes_nothing() {
    let (one, two) = pair().await;
    one.register("AUTO").await;
    two.must("GET", "/profile", None, 200).await;
    one.must("PUT", "/profile", update(0, false), 200).await;
    assert_eq!((one.metrics.pen_takings.get(), two.metrics.pen_takings.get()), (1, 0));
}

/// The change may be there or not; the next one decides on which it is, though its view lagged.
#[tokio::test]
async fn after_an_unknown_outcome_the_next_change_decides_on_what_became_of_it() {
    for (fault, status) in [(Fault::AppliedButUnknown, 409), (Fault::NotAppliedUnknown, 200)] {
        let rig = Rig::new().await;
        rig.register("AUTO").await;
        rig.log.inject_at(Call::Write, fault);
        let answer = rig.must("PUT", "/profile", update(0, false), 500).await;
        assert_eq!(answer["title"], "Outcome unknown");
        assert_eq!(rig.dossier().profile.expect("on board").version, 0, "the view lags");
        rig.must("PUT", "/profile", update(0, true), status).await;
    }
}

#[tokio::test]
async fn a_view_that_has_not_come_as_far_as_the_pen_decides_nothing() {
    let one = Rig::new().await;
    let two = one.apart().await;
    one.register("AUTO").await;
    two.view.stuck.store(true, std::sync::atomic::Ordering::Relaxed);
    let answer = two.must("PUT", "/profile", update(0, false), 503).await;
    assert_eq!(answer["title"], "Not ready");
    // What it took it gives back to whoever writes.
    one.must("PUT", "/profile", update(0, false), 200).await;
}
