//! One server and who asks it.

use std::time::Duration;

use futures::future::join_all;
use redis::RedisError;
use runtime::log::{Position, TopicPartition};
use schemas::topics::Topic;

use super::groups::highest;
use super::server::RedisServer;
use crate::view::ViewError;
use crate::view::test_redis::{Door, Own};

const LONG: Duration = Duration::from_secs(3_600);

fn server(url: &str, memory: Duration) -> RedisServer {
    RedisServer::new(url, None).expect("an address").remembering(memory)
}

fn broken() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_tried_once_for_all_who_ask_and_not_by_each() {
    let door = Door::open().await;
    let server = server(&door.url, LONG);
    for _ in 0..2 {
        for session in join_all((0..20).map(|_| server.session())).await {
            assert!(matches!(session, Err(ViewError::Down(_))));
        }
    }
    assert_eq!(door.visits(), 1);
}

#[tokio::test]
async fn who_looks_at_a_server_on_purpose_is_answered_by_it_and_not_from_memory() {
    let own = Own::start(&[]).await;
    let door = Door::open().await;
    let server = server(&door.url, LONG);
    assert!(server.session().await.is_err());
    door.lead_to(&own);
    assert_eq!(server.check().await, Ok(()));
    assert!(server.session().await.is_ok());
}

#[tokio::test]
async fn a_late_failure_leaves_the_connection_that_somebody_has_renewed() {
    let own = Own::start(&[]).await;
    let server = server(&own.url(), Duration::ZERO);
    let first = server.session().await.expect("up");
    server.failed(&first, &broken());
    let second = server.session().await.expect("up");
    assert_ne!(second.number, first.number, "a broken connection is renewed");
    server.failed(&first, &broken());
    server.doubt(&first);
    assert_eq!(server.session().await.expect("up").number, second.number);
}

#[tokio::test]
async fn a_connection_is_not_doubted_again_before_its_time() {
    let own = Own::start(&[]).await;
    let server = server(&own.url(), LONG);
    let session = server.session().await.expect("up");
    server.doubt(&session);
    assert_eq!(server.session().await.expect("up").number, session.number);
}

#[test]
fn whoever_waits_for_many_records_asks_once_a_partition() {
    let place = |n: u64| Position {
        at: TopicPartition { topic: Topic::Stored, partition: u32::from(n.is_multiple_of(2)) },
        offset: n,
    };
    let positions: Vec<_> = (0..10_000).rev().map(place).collect();
    let highest = highest(&positions);
    assert_eq!(highest.values().copied().collect::<Vec<_>>(), [9_999, 9_998]);
}
