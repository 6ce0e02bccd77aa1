//! Hints: left, found, told apart.

use std::sync::Arc;

use policy::outcome::{Answer, AttemptOutcome};
use schemas::ids::Timestamp;
use schemas::records::Reason;

use super::Rig;
use super::rig::{message, world};
use crate::directory::{Hint, HintId, Hints as _, RedisDirectory};
use crate::view::test_redis::Own;
use crate::view::{Projection as _, RedisServer};

fn id(n: u64, until: i64) -> HintId {
    HintId { message: message(n), send_id: format!("send-{n}"), until: Timestamp(until) }
}

fn hint(outcome: AttemptOutcome) -> Hint {
    Hint { answer: Answer::new(outcome, Reason::Unregistered), believed: true }
}

/// Also while the view is being built: a hint is no fact about a citizen.
pub async fn a_late_answer_is_found_by_its_own_send_and_by_no_other(rig: Rig) {
    let gone = hint(AttemptOutcome::AddressGone { since: Some(Timestamp(7)) });
    let taken = hint(AttemptOutcome::Accepted);
    rig.directory.leave(&id(1, 10), &taken).await.expect("up");
    rig.directory.leave(&id(1, 20), &gone).await.expect("up");
    rig.directory.leave(&id(2, 10), &gone).await.expect("up");
    rig.directory.leave(&id(2, 10), &taken).await.expect("up");
    let asks = [id(1, 20), id(3, 10), id(2, 10), id(1, 10)];
    let found = rig.directory.found(&asks).await.expect("up");
    assert_eq!(found, [Some(gone), None, Some(taken.clone()), Some(taken)]);
}

#[tokio::test]
async fn a_hint_on_a_server_outlives_a_view_built_anew_but_not_its_hour() {
    let own = Own::start(&[]).await;
    let server = Arc::new(RedisServer::new(&own.url(), None).expect("an address"));
    let directory = RedisDirectory::new(server, "d", world());
    directory.leave(&id(1, 10), &hint(AttemptOutcome::Accepted)).await.expect("up");
    directory.restart().await.expect("up");
    let found = directory.found(&[id(1, 10)]).await.expect("up");
    assert_eq!(found, [Some(hint(AttemptOutcome::Accepted))]);
    let keys = own.keys().await;
    let key = keys.iter().find(|key| key.contains("hint")).expect("one");
    let client = redis::Client::open(own.url()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("up");
    let mut left = redis::cmd("PTTL");
    let left: i64 = left.arg(key).query_async(&mut connection).await.expect("up");
    assert!((1..=3_600_000).contains(&left), "{left} ms");
}
