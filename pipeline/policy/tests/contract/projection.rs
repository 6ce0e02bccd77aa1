//! Every row of the projection onto IO's statuses.

use policy::admit::projection::{Seen, Standing};
use schemas::ids::{MessageId, ServiceId, Timestamp};
use schemas::records::{MessageStatus, OutcomeKind, Reason, Status};
use schemas::topics::Channel;
use serde_json::{Value, json};

type Event = (Status, Option<Channel>, Option<OutcomeKind>);

fn event((status, channel, outcome): Event) -> MessageStatus {
    MessageStatus {
        message_id: MessageId::from_parts(1, 1),
        service_id: ServiceId::from("s"),
        batch: None,
        epoch: 0,
        sequence: 0,
        status,
        reason: Reason::None,
        channel,
        outcome,
        provider_id: None,
        attempt: 0,
        at: Timestamp(0),
    }
}

fn check(events: &[Event], expected: Value) {
    let mut standing = Standing::default();
    events.iter().for_each(|e| standing.apply(&event(*e)));
    let seen: Seen = standing.project();
    assert_eq!(serde_json::to_value(seen).unwrap(), expected, "{events:?}");
}

const ACCEPTED: Event = (Status::Accepted, None, None);
const STORED: Event = (Status::Stored, None, None);

fn attempt(channel: Channel, outcome: OutcomeKind) -> Event {
    (Status::Attempt, Some(channel), Some(outcome))
}

#[test]
fn a_message_on_its_way_is_accepted() {
    check(&[], json!({ "status": "ACCEPTED" }));
    check(&[ACCEPTED], json!({ "status": "ACCEPTED" }));
    check(&[ACCEPTED, (Status::Waiting, None, None)], json!({ "status": "ACCEPTED" }));
}

#[test]
fn no_profile_and_inbox_off_read_as_user_not_found() {
    check(
        &[ACCEPTED, (Status::NotOnBoard, None, None)],
        json!({ "status": "REJECTED", "rejection_reason": "USER_NOT_FOUND" }),
    );
}

#[test]
fn a_fallback_address_that_took_it_leaves_the_message_rejected() {
    check(
        &[ACCEPTED, (Status::Notified, Some(Channel::Email), None)],
        json!({
            "status": "REJECTED", "rejection_reason": "USER_NOT_FOUND",
            "notification": { "email": "SENT" }
        }),
    );
}

#[test]
fn a_refusal_by_the_citizen_reads_as_service_not_allowed() {
    check(
        &[ACCEPTED, (Status::Rejected, None, None)],
        json!({ "status": "REJECTED", "rejection_reason": "SERVICE_NOT_ALLOWED" }),
    );
}

#[test]
fn a_stored_message_is_processed_and_throttled_while_a_retry_waits() {
    check(&[ACCEPTED, STORED], json!({ "status": "PROCESSED" }));
    for outcome in [OutcomeKind::Throttled, OutcomeKind::Unavailable, OutcomeKind::Indeterminate] {
        check(
            &[ACCEPTED, STORED, attempt(Channel::Apns, outcome)],
            json!({ "status": "PROCESSED", "notification": { "webhook": "THROTTLED" } }),
        );
    }
}

#[test]
fn a_notified_message_is_processed_and_its_channel_sent() {
    check(
        &[ACCEPTED, STORED, (Status::Notified, Some(Channel::Fcm), None)],
        json!({ "status": "PROCESSED", "notification": { "webhook": "SENT" } }),
    );
    check(
        &[
            ACCEPTED,
            STORED,
            attempt(Channel::Apns, OutcomeKind::Throttled),
            (Status::Notified, Some(Channel::Email), None),
        ],
        json!({
            "status": "PROCESSED", "notification": { "email": "SENT", "webhook": "FAILED" }
        }),
    );
}

#[test]
fn sent_is_never_taken_back() {
    check(
        &[
            ACCEPTED,
            STORED,
            (Status::Notified, Some(Channel::Apns), None),
            attempt(Channel::Fcm, OutcomeKind::AddressGone),
        ],
        json!({ "status": "PROCESSED", "notification": { "webhook": "SENT" } }),
    );
}

#[test]
fn an_unnotified_message_is_processed_and_its_tried_channels_failed() {
    check(
        &[
            ACCEPTED,
            STORED,
            attempt(Channel::Apns, OutcomeKind::AddressGone),
            attempt(Channel::Email, OutcomeKind::Throttled),
            (Status::Unnotified, None, None),
        ],
        json!({
            "status": "PROCESSED", "notification": { "email": "FAILED", "webhook": "FAILED" }
        }),
    );
    check(&[ACCEPTED, STORED, (Status::Unnotified, None, None)], json!({ "status": "PROCESSED" }));
}

#[test]
fn an_expired_message_is_processed_and_its_open_channels_expired() {
    check(
        &[
            ACCEPTED,
            STORED,
            attempt(Channel::Email, OutcomeKind::Refused),
            attempt(Channel::Apns, OutcomeKind::Unavailable),
            (Status::Expired, None, None),
        ],
        json!({
            "status": "PROCESSED", "notification": { "email": "FAILED", "webhook": "EXPIRED" }
        }),
    );
    check(
        &[ACCEPTED, STORED, (Status::Expired, None, None)],
        json!({ "status": "PROCESSED", "notification": { "webhook": "EXPIRED" } }),
    );
}

#[test]
fn a_failed_message_is_failed_and_a_redrive_opens_it_again() {
    let failed = (Status::Failed, None, None);
    check(&[ACCEPTED, failed], json!({ "status": "FAILED" }));
    check(&[ACCEPTED, failed, STORED], json!({ "status": "PROCESSED" }));
}
