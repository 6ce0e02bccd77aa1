//! How many streams are used, on which connection, and who waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge::pool::{PlainPool, Push, Reply, Request, Unsent};
use futures::future::join_all;

use crate::double::{Do, Identity, Server, answer, config, request, until, wiring};
use crate::frames::REFUSED_STREAM;

#[tokio::test]
async fn one_stream_is_used_until_the_peer_allows_more_and_then_more_are() {
    // The first request is held; the second and third may not arrive before SETTINGS allow them.
    let server = Server::scripted(vec![Do::MaxStreams(1)], |at| match at.stream {
        1 => vec![],
        3 | 5 => vec![],
        stream => vec![Do::Answer(stream, 200, "")],
    });
    let pool = Arc::new(server.pool(|_| {}));
    let sends: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { answer(&*pool, "{}").await.0 })
        })
        .collect();
    server.until(|seen| seen.requests == 1).await;
    until(|| pool.snapshot().waiting == 2).await;
    assert_eq!(pool.free_streams(), 0);
    server.order(0, Do::MaxStreams(3));
    let seen = server.until(|seen| seen.requests == 3).await;
    assert_eq!(seen.most_open, [3]);
    for stream in [1, 3, 5] {
        server.order(0, Do::Answer(stream, 200, ""));
    }
    for send in sends {
        assert_eq!(send.await.unwrap(), 200);
    }
    until(|| pool.free_streams() == 3).await;
}

#[tokio::test]
async fn a_limit_that_falls_is_followed() {
    let server = Server::scripted(vec![Do::MaxStreams(50)], |at| match at.stream {
        1 => vec![Do::MaxStreams(2), Do::Answer(1, 403, "{}")],
        stream => vec![Do::Answer(stream, 200, "")],
    });
    let pool = server.pool(|_| {});
    assert_eq!(answer(&pool, "{}").await.0, 403);
    until(|| pool.free_streams() == 2).await;
    let answers = join_all((0..40).map(|_| answer(&pool, "{}"))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    assert!(server.seen().most_open[0] <= 2, "{:?}", server.seen());
}

#[tokio::test]
async fn a_peer_without_a_limit_gets_no_more_than_our_own() {
    let server = Server::scripted(vec![Do::MaxStreams(u32::MAX)], |at| {
        // The fifth is the last of the first round: answer them all.
        if at.stream == 9 {
            [1, 3, 5, 7, 9].map(|stream| Do::Answer(stream, 200, "")).to_vec()
        } else if at.stream > 9 {
            vec![Do::Answer(at.stream, 200, "")]
        } else {
            vec![]
        }
    });
    let pool = server.pool(|config| config.max_streams = 5);
    let answers = join_all((0..20).map(|_| answer(&pool, "{}"))).await;
    assert_eq!(answers.len(), 20);
    assert_eq!(server.seen().most_open, [5]);
}

#[tokio::test]
async fn a_thousand_sends_at_once_over_two_connections_all_get_their_answers() {
    let server = Server::agreeable(100);
    let pool = server.pool(|config| config.connections = 2);
    let answers = join_all((0..1_000).map(|_| answer(&pool, r#"{"aps":{}}"#))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    let seen = server.seen();
    assert_eq!((seen.requests, seen.resets), (1_000, 0));
    assert!(seen.most_open.iter().all(|most| *most <= 100), "{seen:?}");
    let snapshot = pool.snapshot();
    assert_eq!((snapshot.answers_total, snapshot.streams_used), (1_000, 0));
}

#[tokio::test]
async fn both_connections_are_used() {
    let server = Server::scripted(vec![Do::MaxStreams(1)], |_| vec![]);
    let pool = Arc::new(server.pool(|config| config.connections = 2));
    let sends: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { answer(&*pool, "{}").await.0 })
        })
        .collect();
    // With one stream each, two requests under way are on two connections.
    server.until(|seen| seen.requests == 2).await;
    server.order(0, Do::Answer(1, 200, ""));
    server.order(1, Do::Answer(1, 200, ""));
    assert!(join_all(sends).await.into_iter().all(|status| status.unwrap() == 200));
}

#[tokio::test]
async fn the_edge_has_no_more_sends_under_way_than_its_cap() {
    let server = Server::scripted(vec![Do::MaxStreams(100)], |_| vec![]);
    let pool = Arc::new(server.pool(|config| config.in_flight = 3));
    until(|| pool.free_streams() == 3).await;
    let sends: Vec<_> = (0..5)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { answer(&*pool, "{}").await.0 })
        })
        .collect();
    server.until(|seen| seen.requests == 3).await;
    until(|| pool.snapshot().waiting == 2).await;
    assert_eq!((pool.free_streams(), pool.snapshot().streams_used), (0, 3));
    for stream in [1, 3, 5] {
        server.order(0, Do::Answer(stream, 200, ""));
    }
    server.until(|seen| seen.requests == 5).await;
    server.order(0, Do::Answer(7, 200, ""));
    server.order(0, Do::Answer(9, 200, ""));
    assert!(join_all(sends).await.into_iter().all(|status| status.unwrap() == 200));
    assert_eq!(server.seen().most_open, [3]);
}

#[tokio::test]
async fn who_waits_too_long_for_a_stream_was_not_sent() {
    let server = Server::scripted(vec![Do::MaxStreams(0)], |_| vec![]);
    let pool = server.pool(|config| config.request_timeout = Duration::from_millis(50));
    until(|| pool.snapshot().live == 1).await;
    // A first request may leave before SETTINGS arrive; the others meet the limit of none.
    pool.send(request("{}")).await;
    let reply = pool.send(request("{}")).await;
    assert!(matches!(reply, Reply::Unsent { why: Unsent::NoStream }), "{reply:?}");
}

/// A request that may start within 50 ms only, and the moment after which it may not.
fn hasty() -> (Request, impl Fn() -> bool) {
    let (within, called) = (Duration::from_millis(50), Instant::now());
    (Request { stream_within: within, ..request("{}") }, move || called.elapsed() > within)
}

#[tokio::test]
async fn who_has_no_stream_in_its_own_time_was_never_sent() {
    let server = Server::scripted(vec![Do::MaxStreams(1)], |_| vec![]);
    let pool = Arc::new(server.pool(|_| {}));
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { pool.send(request("{}")).await }
    });
    server.until(|seen| seen.requests == 1).await;
    let (request, _) = hasty();
    let reply = pool.send(request).await;
    assert!(matches!(reply, Reply::Unsent { why: Unsent::NoStream }), "{reply:?}");
    server.order(0, Do::Answer(1, 200, ""));
    assert!(matches!(first.await.unwrap(), Reply::Answer { status: 200, .. }));
    assert_eq!(answer_of_the_next(&server, &pool).await, 200);
    assert_eq!(server.seen().requests, 2, "the one given back never arrived");
}

async fn answer_of_the_next(server: &Server, pool: &PlainPool) -> u16 {
    let (answered, ()) = tokio::join!(answer(pool, "{}"), async {
        let seen = server.until(|seen| seen.requests >= 2).await;
        let stream = u32::try_from(seen.requests).unwrap() * 2 - 1;
        server.order(0, Do::Answer(stream, 200, ""));
    });
    answered.0
}

#[tokio::test]
async fn a_replay_is_a_start_and_is_not_made_too_late() {
    let server = Server::scripted(vec![Do::MaxStreams(5)], |_| vec![]);
    let pool = Arc::new(server.pool(|_| {}));
    until(|| pool.free_streams() == 5).await;
    let (request, is_late) = hasty();
    let send = tokio::spawn({
        let pool = pool.clone();
        async move { pool.send(request).await }
    });
    server.until(|seen| seen.requests == 1).await;
    until(is_late).await;
    server.order(0, Do::Reset(1, REFUSED_STREAM));
    let reply = send.await.unwrap();
    assert!(matches!(reply, Reply::Unsent { why: Unsent::NoStream }), "{reply:?}");
    assert_eq!((server.seen().requests, pool.snapshot().replays_total.refused_stream), (1, 1));
}

#[tokio::test]
async fn while_no_connection_is_up_nothing_is_sent_and_it_says_so() {
    // Connects, and never shakes hands.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = Identity::new(&[b"h2"]);
    let config = config(listener.local_addr().unwrap().port());
    let pool = PlainPool::open(config, wiring(&identity.ca_pem)).unwrap();
    let reply = pool.send(hasty().0).await;
    assert!(matches!(reply, Reply::Unsent { why: Unsent::NotOpen }), "{reply:?}");
}

/// Hazard H21, seen in US Notify: workers are killed for their memory under a long run of slow sends.
#[tokio::test]
async fn no_more_sends_wait_than_may_wait() {
    let server = Server::scripted(vec![], |_| vec![]);
    let pool = Arc::new(server.pool(|config| {
        config.waiting = 1;
        config.max_streams = 1;
    }));
    until(|| pool.snapshot().live == 1).await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.send(request("{}")).await })
        })
        .collect();
    server.until(|seen| seen.requests == 1).await;
    until(|| pool.snapshot().waiting == 1).await;
    let reply = pool.send(request("{}")).await;
    assert!(matches!(reply, Reply::Unsent { why: Unsent::QueueFull }), "{reply:?}");
    // One who has given up leaves room.
    held.into_iter().for_each(|task| task.abort());
    until(|| pool.snapshot().waiting == 0).await;
    server.until(|seen| seen.resets == 1).await;
    until(|| pool.free_streams() == 1).await;
}

#[tokio::test]
async fn a_send_given_up_by_its_caller_gives_its_stream_back() {
    let server = Server::scripted(vec![Do::MaxStreams(1)], |at| match at.stream {
        1 => vec![],
        stream => vec![Do::Answer(stream, 200, "")],
    });
    let pool = Arc::new(server.pool(|_| {}));
    let abandoned = tokio::spawn({
        let pool = pool.clone();
        async move { pool.send(request("{}")).await }
    });
    server.until(|seen| seen.requests == 1).await;
    abandoned.abort();
    assert_eq!(answer(&*pool, "{}").await.0, 200);
    assert_eq!(server.seen().most_open, [1]);
}

#[tokio::test]
async fn a_connection_is_replaced_after_its_share_of_requests_and_none_is_lost() {
    let server = Server::agreeable(10);
    let pool = server.pool(|config| config.requests_per_connection = 25);
    let answers = join_all((0..100).map(|_| answer(&pool, "{}"))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    let seen = server.until(|seen| seen.ended == 4).await;
    assert_eq!((seen.requests, seen.resets), (100, 0));
    assert!(seen.connections >= 4, "{seen:?}");
}

#[tokio::test]
async fn a_closed_pool_finishes_what_is_under_way_and_takes_nothing_more() {
    let server = Server::scripted(vec![], |_| vec![]);
    let pool = Arc::new(server.pool(|_| {}));
    let send = tokio::spawn({
        let pool = pool.clone();
        async move { answer(&*pool, "{}").await }
    });
    server.until(|seen| seen.requests == 1).await;
    let closing = tokio::spawn({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    until(|| pool.snapshot().live == 0).await;
    let late = pool.send(request("{}")).await;
    assert!(matches!(late, Reply::Unsent { why: Unsent::Closed }), "{late:?}");
    server.order(0, Do::Answer(1, 200, "late"));
    assert_eq!(send.await.unwrap(), (200, "late".into()));
    closing.await.unwrap();
    server.until(|seen| seen.ended == 1).await;
    assert_eq!(pool.snapshot().draining, 0);
}
