//! What an ended registration leaves: nothing that is ever obeyed.

use schemas::topics::Topic;

use super::rig::{
    FIRST, ME, SECOND, citizen_key, device, erased, message, preference, profile, service, stored,
    tombstone, unstored,
};
use super::{Rig, check_found};

pub async fn facts_of_another_registration_do_not_count(mut rig: Rig) {
    rig.tell(vec![
        citizen_key(FIRST),
        device(FIRST, "phone", 5),
        preference(FIRST, &service()),
        profile(SECOND, 1),
    ])
    .await;
    check_found(&rig, (Some(SECOND), false, false, &[], false)).await;
}

pub async fn an_erasure_undoes_what_came_before_it(mut rig: Rig) {
    rig.tell(vec![
        citizen_key(FIRST),
        profile(FIRST, 1),
        device(FIRST, "phone", 5),
        preference(FIRST, &service()),
        stored(FIRST, message(1)),
    ])
    .await;
    check_found(&rig, (Some(FIRST), true, true, &["phone"], false)).await;
    rig.tell(vec![erased(FIRST)]).await;
    check_found(&rig, (None, false, false, &[], false)).await;
    let (dossier, messages) = rig.directory.dossier(ME).await.expect("ready");
    assert!(dossier.devices.is_empty() && dossier.preferences.is_empty() && messages.is_empty());
}

pub async fn an_erased_registration_never_returns(mut rig: Rig) {
    rig.tell(vec![erased(FIRST)]).await;
    rig.tell(vec![
        citizen_key(FIRST),
        profile(FIRST, 9),
        device(FIRST, "phone", 5),
        preference(FIRST, &service()),
        stored(FIRST, message(1)),
    ])
    .await;
    check_found(&rig, (None, false, false, &[], false)).await;
    assert_eq!(rig.directory.dossier(ME).await.expect("ready").1, Vec::new());
    rig.tell(vec![citizen_key(SECOND), profile(SECOND, 1)]).await;
    check_found(&rig, (Some(SECOND), true, false, &[], false)).await;
    // A rotation that raced the erasure comes late: the view keeps what lives.
    rig.tell(vec![citizen_key(FIRST)]).await;
    check_found(&rig, (Some(SECOND), true, false, &[], false)).await;
    assert_eq!(rig.directory.inbox(ME, None, 10).await, Ok(Vec::new()));
}

pub async fn the_inbox_is_the_present_registrations_newest_first_and_bounded(mut rig: Rig) {
    let mut records: Vec<_> = (1..=5).map(|n| stored(SECOND, message(n))).collect();
    records.extend([stored(FIRST, message(9)), profile(SECOND, 1)]);
    rig.tell(records).await;
    let inbox = rig.directory.inbox(ME, Some(message(5)), 3).await.expect("ready");
    let ids: Vec<_> = inbox.iter().map(|it| it.message_id).collect();
    assert_eq!(ids, [message(4), message(3), message(2)]);
    let ours = |found: Option<_>| found.is_some();
    assert!(ours(rig.directory.stored(ME, message(5)).await.expect("ready")));
    assert!(!ours(rig.directory.stored(ME, message(9)).await.expect("ready")));
    assert!(!ours(rig.directory.stored(ME, message(7)).await.expect("ready")));
    assert_eq!(rig.directory.dossier(ME).await.expect("ready").1.len(), 6);
}

pub async fn a_message_that_is_kept_no_longer_leaves_the_inbox(mut rig: Rig) {
    rig.tell(vec![profile(FIRST, 1), stored(FIRST, message(1)), stored(FIRST, message(2))]).await;
    rig.tell(vec![unstored(message(1))]).await;
    let inbox = rig.directory.inbox(ME, None, 10).await.expect("ready");
    assert_eq!(inbox.len(), 1);
    assert_eq!(rig.directory.stored(ME, message(1)).await, Ok(None));
}

pub async fn a_whole_erasure_leaves_an_empty_dossier_but_for_its_mark(mut rig: Rig) {
    rig.tell(vec![citizen_key(FIRST), profile(FIRST, 1), stored(FIRST, message(1))]).await;
    rig.tell(vec![
        tombstone(Topic::CitizenKey, &FIRST.to_string()),
        erased(FIRST),
        tombstone(Topic::Profile, ""),
        unstored(message(1)),
    ])
    .await;
    let (dossier, messages) = rig.directory.dossier(ME).await.expect("ready");
    assert_eq!(dossier.erased.len(), 1);
    assert!(dossier.profile.is_none() && dossier.keys.is_empty() && messages.is_empty());
}
