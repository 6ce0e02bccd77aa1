//! What is known of a message.

use std::time::Duration;

use schemas::ids::Timestamp;
use schemas::records::{OutcomeKind, Status};
use schemas::topics::Channel;

use super::Rig;
use super::rig::{KEPT, accepted, event, message, told, tried};
use crate::status::entry::TIMELINE;
use crate::view::ViewError;

pub async fn a_view_that_has_not_reached_the_end_answers_nothing(mut rig: Rig) {
    rig.write((0..30).map(|n| accepted(message(n))).collect());
    assert_eq!(rig.view.latest(message(1)).await, Err(ViewError::NotReady));
    rig.projector.step().await.expect("the log holds");
    assert_eq!(rig.view.latest(message(1)).await, Err(ViewError::NotReady));
    rig.settle().await;
    assert!(rig.entry(message(1)).await.is_some());
}

pub async fn a_fresh_message_is_found_before_it_has_any_status(mut rig: Rig) {
    rig.tell(vec![accepted(message(1))]).await;
    let entry = rig.entry(message(1)).await.expect("found");
    let accepted = entry.accepted.as_ref().expect("its acceptance");
    assert_eq!((accepted.accepted_at, accepted.expires_at), (Timestamp(10), Timestamp(20)));
    assert_eq!(accepted.position.offset, 0);
    assert_eq!(entry.service_id().map(|it| it.as_str()), Some("01SERVICE"));
    assert!(entry.status().is_none() && entry.place().is_none());
}

pub async fn a_message_nobody_sent_is_not_found(mut rig: Rig) {
    rig.tell(vec![accepted(message(1))]).await;
    assert_eq!(rig.entry(message(2)).await, None);
}

pub async fn the_status_is_the_highest_event_whatever_the_order(mut rig: Rig) {
    let id = message(1);
    let mut redriven = event(id, 4, Status::Accepted);
    redriven.epoch = 1;
    rig.tell(vec![
        told(&event(id, 2, Status::Failed)),
        told(&event(id, 0, Status::Accepted)),
        told(&event(id, 3, Status::Attempt)),
        told(&event(id, 1, Status::Stored)),
        told(&event(id, 2, Status::Failed)),
    ])
    .await;
    let entry = rig.entry(id).await.expect("found");
    assert_eq!(entry.status().map(|it| it.status), Some(Status::Failed));
    assert_eq!(entry.place(), Some((0, 3)));
    assert_eq!(entry.timeline().map(|it| it.sequence).collect::<Vec<_>>(), [0, 1, 2, 3]);
    rig.tell(vec![told(&redriven)]).await;
    let entry = rig.entry(id).await.expect("found");
    assert_eq!(entry.status().map(|it| it.status), Some(Status::Accepted));
}

pub async fn the_last_outcome_of_each_channel_is_known(mut rig: Rig) {
    let id = message(1);
    rig.tell(vec![
        told(&tried(id, 2, Channel::Apns, OutcomeKind::Throttled)),
        told(&tried(id, 3, Channel::Apns, OutcomeKind::Refused)),
        told(&tried(id, 4, Channel::Email, OutcomeKind::Accepted)),
    ])
    .await;
    let entry = rig.entry(id).await.expect("found");
    let outcomes: Vec<_> =
        entry.outcomes().into_iter().map(|(channel, event)| (channel, event.outcome)).collect();
    let expected = [
        (Channel::Apns, Some(OutcomeKind::Refused)),
        (Channel::Email, Some(OutcomeKind::Accepted)),
    ];
    assert_eq!(outcomes, expected);
}

pub async fn a_long_timeline_forgets_attempts_and_never_a_status(mut rig: Rig) {
    let id = message(1);
    let mut events = vec![event(id, 0, Status::Accepted), event(id, 1, Status::Stored)];
    events.extend((2..60).map(|n| tried(id, n, Channel::Fcm, OutcomeKind::Throttled)));
    rig.tell(events.iter().map(told).collect()).await;
    let entry = rig.entry(id).await.expect("found");
    assert_eq!(entry.status().map(|it| it.status), Some(Status::Stored));
    assert_eq!(entry.timeline().count(), TIMELINE + 2);
    assert_eq!(entry.place(), Some((0, 59)));
}

pub async fn whoever_waits_is_answered_at_the_next_event(mut rig: Rig) {
    let id = message(1);
    rig.tell(vec![told(&event(id, 0, Status::Accepted))]).await;
    rig.write(vec![told(&event(id, 1, Status::Stored))]);
    let view = rig.view.clone();
    let until = rig.world.now().plus(Duration::from_secs(60));
    let waits = view.wait_change(id, Some((0, 0)), until);
    let (entry, ()) = tokio::join!(waits, rig.settle());
    let entry = entry.expect("ready").expect("found");
    assert_eq!(entry.status().map(|it| it.status), Some(Status::Stored));
}

pub async fn whoever_waits_in_vain_is_told_what_is_known(mut rig: Rig) {
    rig.tell(vec![accepted(message(1))]).await;
    let until = rig.world.now().plus(Duration::from_millis(20));
    let entry = rig.view.wait_change(message(1), None, until).await.expect("ready");
    assert!(entry.is_some_and(|it| it.accepted.is_some()));
    assert!(rig.world.now() >= until);
}

pub async fn a_message_is_forgotten_after_its_time(mut rig: Rig) {
    rig.tell(vec![accepted(message(1))]).await;
    assert!(rig.entry(message(1)).await.is_some());
    let over = rig.world.now().plus(KEPT + Duration::from_millis(200));
    rig.world.sleep_until(over).await;
    rig.tell(vec![accepted(message(2))]).await;
    assert!(rig.entry(message(1)).await.is_none());
    assert!(rig.entry(message(2)).await.is_some());
}
