//! What an answer says.

use std::time::Duration;

use schemas::ids::{Pseudonym, ServiceId};
use schemas::topics::Topic;

use super::rig::{
    FIRST, ME, citizen_key, death, device, preference, profile, rubbish, service, tombstone,
    unsubscribe,
};
use super::{Rig, check_found};
use crate::view::ViewError;

pub async fn a_view_that_has_not_reached_the_end_answers_nothing(mut rig: Rig) {
    rig.write((0..30).map(|n| device(FIRST, &format!("phone-{n:02}"), 5)).collect());
    let asks = [(ME, service())];
    assert_eq!(rig.directory.read(&asks).await.err(), Some(ViewError::NotReady));
    rig.projector.step().await.expect("the log holds");
    assert_eq!(rig.directory.read(&asks).await.err(), Some(ViewError::NotReady));
    assert_eq!(rig.directory.dossier(ME).await.err(), Some(ViewError::NotReady));
    rig.settle().await;
    assert!(rig.directory.read(&asks).await.is_ok());
}

pub async fn nobody_is_found_where_nothing_was_written(mut rig: Rig) {
    rig.settle().await;
    check_found(&rig, (None, false, false, &[], false)).await;
}

pub async fn answers_come_in_the_order_of_the_asks(mut rig: Rig) {
    rig.tell(vec![profile(FIRST, 1), preference(FIRST, &service())]).await;
    let other = ServiceId::from("02OTHER");
    let stranger = Pseudonym([0x77; 16]);
    let asks = [(stranger, service()), (ME, other), (ME, service())];
    let before = rig.world.now();
    let (found, read_at) = rig.directory.read(&asks).await.expect("ready");
    let seen: Vec<_> = found
        .iter()
        .map(|it| (it.citizen.profile.is_some(), it.citizen.preference.is_some()))
        .collect();
    assert_eq!(seen, [(false, false), (true, false), (true, true)]);
    assert!(read_at >= before && read_at <= rig.world.now());
}

pub async fn the_newest_record_of_a_part_counts_and_a_tombstone_removes_it(mut rig: Rig) {
    rig.tell(vec![profile(FIRST, 1), citizen_key(FIRST), profile(FIRST, 2)]).await;
    let found = rig.find(&service()).await;
    assert_eq!(found.citizen.profile.expect("on board").version, 2);
    rig.tell(vec![tombstone(Topic::Profile, "")]).await;
    check_found(&rig, (None, false, false, &[], false)).await;
}

pub async fn an_unsubscribed_service_is_one_service_also_for_a_stranger(mut rig: Rig) {
    rig.tell(vec![unsubscribe(&service())]).await;
    assert!(rig.find(&service()).await.citizen.unsubscribed);
    assert!(!rig.find(&ServiceId::from("02OTHER")).await.citizen.unsubscribed);
}

pub async fn a_death_ends_registrations_up_to_its_moment_and_a_later_one_lives(mut rig: Rig) {
    rig.tell(vec![
        profile(FIRST, 1),
        device(FIRST, "a", 50),
        device(FIRST, "b", 51),
        death("a", 50),
        death("b", 50),
    ])
    .await;
    check_found(&rig, (Some(FIRST), false, false, &["b"], false)).await;
    rig.tell(vec![device(FIRST, "a", 60)]).await;
    check_found(&rig, (Some(FIRST), false, false, &["a", "b"], false)).await;
}

pub async fn an_undecodable_record_holds_its_citizen_until_it_is_written_anew(mut rig: Rig) {
    rig.tell(vec![profile(FIRST, 1), rubbish(Topic::Preference, "02OTHER")]).await;
    check_found(&rig, (Some(FIRST), false, false, &[], true)).await;
    rig.tell(vec![preference(FIRST, &service())]).await;
    check_found(&rig, (Some(FIRST), false, true, &[], true)).await;
    rig.tell(vec![tombstone(Topic::Preference, "02OTHER")]).await;
    check_found(&rig, (Some(FIRST), false, true, &[], false)).await;
}

pub async fn a_record_under_a_key_that_is_not_its_own_holds_the_keys_citizen(mut rig: Rig) {
    let mut astray = preference(FIRST, &service());
    astray.key = format!("{ME}+02OTHER").into_bytes();
    rig.tell(vec![profile(FIRST, 1), astray]).await;
    check_found(&rig, (Some(FIRST), false, false, &[], true)).await;
}

pub async fn a_key_that_names_nobody_stops_nobody(mut rig: Rig) {
    let mut nameless = profile(FIRST, 1);
    nameless.key = b"nobody".to_vec();
    rig.tell(vec![nameless, citizen_key(FIRST), profile(FIRST, 1)]).await;
    check_found(&rig, (Some(FIRST), true, false, &[], false)).await;
}

pub async fn whoever_waits_for_a_write_is_answered_once_it_is_applied(mut rig: Rig) {
    rig.settle().await;
    let positions = rig.write(vec![profile(FIRST, 1), citizen_key(FIRST)]);
    let soon = rig.world.now().plus(Duration::from_millis(1));
    assert_eq!(rig.directory.wait_applied(ME, &positions, soon).await, Ok(false));
    let directory = rig.directory.clone();
    let late = rig.world.now().plus(Duration::from_secs(60));
    let waits = directory.wait_applied(ME, &positions, late);
    let (applied, ()) = tokio::join!(waits, rig.settle());
    assert_eq!(applied, Ok(true));
    check_found(&rig, (Some(FIRST), true, false, &[], false)).await;
}
