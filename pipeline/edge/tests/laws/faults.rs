//! What a fault means: not processed (replayed), never sent, or unknown.

use std::sync::Arc;
use std::time::Duration;

use edge::pool::{Down, NoAnswer, PlainPool, Push, Reply, Unsent};
use futures::future::join_all;

use crate::double::{Do, Identity, Reserved, Server, answer, config, request, until, wiring};
use crate::frames;

fn is_unsent(reply: &Reply, expected: Unsent) -> bool {
    matches!(reply, Reply::Unsent { why } if *why == expected)
}

fn is_no_answer(reply: &Reply, expected: NoAnswer) -> bool {
    matches!(reply, Reply::NoAnswer { why } if *why == expected)
}

#[tokio::test]
async fn streams_above_goaways_last_id_are_replayed_and_those_below_finish() {
    // Streams 1 to 9 arrive on the first connection; then GOAWAY with last id 5.
    let server = Server::scripted(vec![Do::MaxStreams(5)], |at| match (at.connection, at.stream) {
        (0, 9) => vec![
            Do::GoAway { last: 5, code: frames::NO_ERROR, debug: r#"{"reason":"Shutdown"}"# },
            Do::Answer(1, 200, "old"),
            Do::Answer(3, 200, "old"),
            Do::Answer(5, 200, "old"),
        ],
        (0, _) => vec![],
        (_, stream) => vec![Do::Answer(stream, 200, "new")],
    });
    let pool = server.pool(|config| config.goaway_reasons = &["Idle", "Shutdown"]);
    until(|| pool.free_streams() == 5).await;
    let answers = join_all((0..5).map(|_| answer(&pool, "{}"))).await;
    let from = |connection: &str| answers.iter().filter(|(_, body)| body == connection).count();
    assert_eq!((from("old"), from("new")), (3, 2));
    server.until(|seen| seen.connections == 2 && seen.ended == 1).await;
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.goaways_total.into_iter().collect::<Vec<_>>(), [("Shutdown", 1)]);
    assert_eq!(snapshot.replays_total.goaway, 2);
    assert_eq!((snapshot.lost_total, snapshot.opened_total), (0, 2));
}

#[tokio::test]
async fn a_goaway_without_a_known_reason_is_counted_by_its_code() {
    let server = Server::agreeable(10);
    let pool = server.pool(|config| config.goaway_reasons = &["Shutdown"]);
    answer(&pool, "{}").await;
    let debug = r#"{"reason":"Something else"}"#;
    server.order(0, Do::GoAway { last: 1, code: frames::ENHANCE_YOUR_CALM, debug });
    server.until(|seen| seen.connections == 2).await;
    let goaways: Vec<_> = pool.snapshot().goaways_total.into_iter().collect();
    assert_eq!(goaways, [("enhance_your_calm", 1)]);
    assert_eq!(answer(&pool, "{}").await.0, 200);
}

#[tokio::test]
async fn a_replacement_opens_while_the_connection_sent_away_still_finishes() {
    let server = Server::scripted(vec![Do::MaxStreams(5)], |at| match at.connection {
        0 => vec![Do::GoAway { last: 1, code: frames::NO_ERROR, debug: "" }],
        _ => vec![Do::Answer(at.stream, 200, "new")],
    });
    let pool = Arc::new(server.pool(|_| {}));
    let old = tokio::spawn({
        let pool = pool.clone();
        async move { answer(&*pool, "{}").await }
    });
    let seen = server.until(|seen| seen.connections == 2).await;
    assert_eq!(seen.ended, 0);
    assert_eq!(answer(&*pool, "{}").await, (200, "new".into()));
    let snapshot = pool.snapshot();
    assert_eq!((snapshot.live, snapshot.draining), (1, 1));
    server.order(0, Do::Answer(1, 200, "old"));
    assert_eq!(old.await.unwrap(), (200, "old".into()));
    server.until(|seen| seen.ended == 1).await;
}

#[tokio::test]
async fn a_connection_that_does_not_finish_is_cut_after_its_time() {
    let server = Server::scripted(vec![], |at| match at.connection {
        0 => vec![Do::GoAway { last: 1, code: frames::NO_ERROR, debug: "" }],
        _ => vec![Do::Answer(at.stream, 200, "")],
    });
    let pool = server.pool(|config| config.drain_timeout = Duration::from_millis(50));
    let reply = pool.send(request("{}")).await;
    assert!(is_no_answer(&reply, NoAnswer::Lost), "{reply:?}");
    server.until(|seen| seen.ended == 1).await;
}

#[tokio::test]
async fn a_stream_up_to_goaways_last_id_that_is_cut_off_has_no_answer() {
    let server = Server::scripted(vec![Do::MaxStreams(5)], |at| match at.connection {
        0 => vec![Do::GoAway { last: 1, code: frames::NO_ERROR, debug: "" }, Do::Hangup],
        _ => vec![Do::Answer(at.stream, 200, "")],
    });
    let pool = server.pool(|_| {});
    let reply = pool.send(request("{}")).await;
    assert!(is_no_answer(&reply, NoAnswer::Lost), "{reply:?}");
    assert_eq!(server.seen().requests, 1);
}

#[tokio::test]
async fn a_goaway_with_an_error_and_a_hangup_still_leaves_older_streams_unknown() {
    let server = Server::scripted(vec![Do::MaxStreams(5)], |at| match at.connection {
        0 => vec![Do::GoAway { last: 1, code: frames::INTERNAL_ERROR, debug: "" }, Do::Hangup],
        _ => vec![Do::Answer(at.stream, 200, "")],
    });
    let pool = server.pool(|_| {});
    let reply = pool.send(request("{}")).await;
    assert!(is_no_answer(&reply, NoAnswer::Lost), "{reply:?}");
}

#[tokio::test]
async fn a_refused_stream_is_replayed_on_another_connection() {
    let server = Server::scripted(vec![Do::MaxStreams(50)], |at| match at.connection {
        0 => vec![Do::Reset(at.stream, frames::REFUSED_STREAM)],
        _ => vec![Do::Answer(at.stream, 200, "")],
    });
    let pool = server.pool(|config| config.connections = 2);
    server.until(|seen| seen.connections == 2).await;
    until(|| pool.snapshot().live == 2).await;
    let answers = join_all((0..20).map(|_| answer(&pool, "{}"))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    let replays = pool.snapshot().replays_total;
    assert!(replays.refused_stream > 0 && replays.goaway == 0, "{replays:?}");
}

#[tokio::test]
async fn a_server_that_refuses_everything_comes_to_light_after_three_replays() {
    let server = Server::scripted(vec![], |at| vec![Do::Reset(at.stream, frames::REFUSED_STREAM)]);
    let pool = server.pool(|_| {});
    let reply = pool.send(request("{}")).await;
    assert!(is_unsent(&reply, Unsent::Refused), "{reply:?}");
    assert_eq!(server.seen().requests, 4);
    assert_eq!(pool.snapshot().replays_total.refused_stream, 3);
}

#[tokio::test]
async fn any_other_reset_after_the_request_is_no_answer() {
    let server = Server::scripted(vec![], |at| vec![Do::Reset(at.stream, frames::INTERNAL_ERROR)]);
    let pool = server.pool(|_| {});
    let reply = pool.send(request("{}")).await;
    assert!(is_no_answer(&reply, NoAnswer::Reset { code: frames::INTERNAL_ERROR }), "{reply:?}");
    assert_eq!((server.seen().requests, pool.snapshot().resets_total), (1, 1));
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    let server = Server::scripted(vec![], |at| {
        vec![Do::Begin(at.stream, 400, "{\"rea"), Do::Reset(at.stream, frames::INTERNAL_ERROR)]
    });
    let pool = server.pool(|_| {});
    let reply = pool.send(request("{}")).await;
    assert!(is_no_answer(&reply, NoAnswer::Reset { code: frames::INTERNAL_ERROR }), "{reply:?}");
}

#[tokio::test]
async fn an_answer_followed_by_a_reset_without_error_is_an_answer() {
    let server = Server::scripted(vec![], |at| {
        vec![Do::Begin(at.stream, 413, "too big"), Do::Reset(at.stream, frames::NO_ERROR)]
    });
    assert_eq!(answer(&server.pool(|_| {}), "{}").await, (413, "too big".into()));
}

#[tokio::test]
async fn silence_is_no_answer_and_the_stream_is_cancelled() {
    let server = Server::scripted(vec![], |_| vec![]);
    let pool = server.pool(|config| config.request_timeout = Duration::from_millis(50));
    until(|| pool.snapshot().live == 1).await;
    let reply = pool.send(request("{}")).await;
    assert!(is_no_answer(&reply, NoAnswer::TimedOut), "{reply:?}");
    server.until(|seen| seen.resets == 1).await;
    assert_eq!((pool.snapshot().timeouts_total, pool.snapshot().streams_used), (1, 0));
}

#[tokio::test]
async fn a_broken_connection_leaves_its_requests_without_an_answer_and_is_replaced() {
    let server = Server::scripted(vec![Do::MaxStreams(9)], |at| match (at.connection, at.stream) {
        (0, 5) => vec![Do::Hangup],
        (0, _) => vec![],
        (_, stream) => vec![Do::Answer(stream, 200, "")],
    });
    let pool = server.pool(|_| {});
    until(|| pool.free_streams() == 9).await;
    let replies = join_all((0..3).map(|_| pool.send(request("{}")))).await;
    assert!(replies.iter().all(|reply| is_no_answer(reply, NoAnswer::Lost)), "{replies:?}");
    assert_eq!(pool.snapshot().lost_total, 3);
    assert_eq!(answer(&pool, "{}").await.0, 200);
    assert_eq!(server.seen().connections, 2);
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_dead_and_replaced() {
    let server = Server::scripted(vec![Do::MaxStreams(9)], |at| match at.connection {
        0 => vec![Do::Mute],
        _ => vec![Do::Answer(at.stream, 200, "")],
    });
    let pool = server.pool(|config| {
        config.ping_interval = Duration::from_millis(20);
        config.ping_timeout = Duration::from_millis(20);
    });
    let reply = pool.send(request("{}")).await;
    assert!(is_no_answer(&reply, NoAnswer::Lost), "{reply:?}");
    assert_eq!(answer(&pool, "{}").await.0, 200);
    assert!(pool.snapshot().dead_total >= 1);
}

#[tokio::test]
async fn a_peer_that_answers_pings_is_kept_though_it_is_idle() {
    let server = Server::agreeable(9);
    let pool = server.pool(|config| config.ping_interval = Duration::from_millis(5));
    server.until(|seen| seen.pings == 5).await;
    assert_eq!(answer(&pool, "{}").await.0, 200);
    assert_eq!((pool.snapshot().opened_total, pool.snapshot().dead_total), (1, 0));
}

/// Two connections of ten streams, one request on each: the first is never answered and times out.
async fn half_silent(greeting: Vec<Do>) -> (Server, PlainPool) {
    let server = Server::scripted(greeting, |at| match at.connection {
        0 => vec![],
        _ => vec![Do::Answer(at.stream, 200, "")],
    });
    let pool = server.pool(|config| {
        config.connections = 2;
        config.request_timeout = Duration::from_millis(200);
    });
    until(|| pool.free_streams() == 20).await;
    let replies = join_all((0..2).map(|_| pool.send(request("{}")))).await;
    let silent = replies.iter().filter(|reply| is_no_answer(reply, NoAnswer::TimedOut)).count();
    assert_eq!(silent, 1, "{replies:?}");
    (server, pool)
}

#[tokio::test]
async fn a_connection_that_has_fallen_silent_gets_no_further_send() {
    let (server, pool) = half_silent(vec![Do::MaxStreams(10), Do::Mute]).await;
    for _ in 0..30 {
        assert_eq!(answer(&pool, "{}").await.0, 200);
    }
    server.until(|seen| seen.pings == 1).await;
}

#[tokio::test]
async fn a_connection_that_answers_a_ping_is_trusted_with_sends_again() {
    let (server, pool) = half_silent(vec![Do::MaxStreams(10)]).await;
    server.until(|seen| seen.pings == 1).await;
    until(|| pool.free_streams() == 20).await;
    assert_eq!(pool.snapshot().dead_total, 0);
}

#[tokio::test]
async fn a_refused_connection_means_unsent() {
    let reserved = Reserved::new();
    let identity = Identity::new(&[b"h2"]);
    let pool = PlainPool::open(config(reserved.port()), wiring(&identity.ca_pem)).unwrap();
    let reply = pool.send(request("{}")).await;
    assert!(is_unsent(&reply, Unsent::Down(Down::Connect)), "{reply:?}");
    assert_eq!(pool.free_streams(), 0);
}

#[tokio::test]
async fn a_server_that_comes_up_is_found() {
    let (reserved, identity) = (Reserved::new(), Identity::new(&[b"h2"]));
    let mut config = config(reserved.port());
    config.connections = 2;
    let pool = PlainPool::open(config, wiring(&identity.ca_pem)).unwrap();
    until(|| pool.snapshot().open_failures_total >= 4).await;
    let greeting = vec![Do::MaxStreams(10)];
    let server =
        Server::on(reserved, identity, greeting, |at| vec![Do::Answer(at.stream, 200, "")]);
    server.until(|seen| seen.connections == 2).await;
    until(|| pool.free_streams() == 20).await;
    assert_eq!(answer(&pool, "{}").await.0, 200);
}

#[tokio::test]
async fn a_server_that_goes_down_and_comes_back_is_used_again() {
    let server = Server::agreeable(10);
    let pool = server.pool(|_| {});
    assert_eq!(answer(&pool, "{}").await.0, 200);
    server.slam(true);
    server.order(0, Do::Hangup);
    until(|| pool.snapshot().open_failures_total >= 2).await;
    let reply = pool.send(request("{}")).await;
    assert!(is_unsent(&reply, Unsent::Down(Down::Tls)), "{reply:?}");
    server.slam(false);
    until(|| pool.free_streams() == 10).await;
    assert_eq!(answer(&pool, "{}").await.0, 200);
}

#[tokio::test]
async fn a_server_that_hangs_up_on_every_connection_is_down() {
    let server = Server::scripted(vec![Do::Hangup], |_| vec![]);
    let pool = server.pool(|_| {});
    until(|| pool.snapshot().opened_total >= 3).await;
    let reply = pool.send(request("")).await;
    let known = [Unsent::Down(Down::Dropped), Unsent::Refused];
    assert!(
        known.iter().any(|why| is_unsent(&reply, *why)) || is_no_answer(&reply, NoAnswer::Lost)
    );
    assert_eq!(server.seen().requests, 0);
}

#[tokio::test]
async fn a_certificate_of_another_ca_and_a_wrong_name_are_refused() {
    let server = Server::agreeable(1);
    let stranger = Identity::new(&[b"h2"]).ca_pem;
    let pool = PlainPool::open(server.config(), wiring(&stranger)).unwrap();
    let reply = pool.send(request("{}")).await;
    assert!(is_unsent(&reply, Unsent::Down(Down::Tls)), "{reply:?}");
    let pool = server.pool(|config| config.server_name = Some("other.example".into()));
    let reply = pool.send(request("{}")).await;
    assert!(is_unsent(&reply, Unsent::Down(Down::Tls)), "{reply:?}");
    assert_eq!(server.seen().requests, 0);
}

#[tokio::test]
async fn a_server_that_does_not_choose_http2_is_refused() {
    let (reserved, identity) = (Reserved::new(), Identity::new(&[]));
    let server = Server::on(reserved, identity, vec![], |_| vec![]);
    let reply = server.pool(|_| {}).send(request("{}")).await;
    assert!(is_unsent(&reply, Unsent::Down(Down::NotHttp2)), "{reply:?}");
}

#[tokio::test]
async fn a_name_without_an_address_means_unsent() {
    let server = Server::agreeable(1);
    let pool = server.pool(|config| config.host = "nobody.invalid".into());
    let reply = pool.send(request("{}")).await;
    assert!(is_unsent(&reply, Unsent::Down(Down::Resolve)), "{reply:?}");
}

#[tokio::test]
async fn no_request_is_sent_twice_unless_it_was_not_processed() {
    // A mixture of fates, drawn by stream; only refusals may repeat.
    let server = Server::scripted(vec![Do::MaxStreams(64)], |at| match at.stream % 8 {
        1 => vec![Do::Reset(at.stream, frames::REFUSED_STREAM)],
        3 => vec![Do::Reset(at.stream, frames::INTERNAL_ERROR)],
        _ => vec![Do::Answer(at.stream, 200, "")],
    });
    let pool = Arc::new(server.pool(|config| config.connections = 2));
    let replies = join_all((0..400).map(|_| pool.send(request("{}")))).await;
    assert_eq!(replies.len(), 400);
    let replays = pool.snapshot().replays_total;
    assert_eq!(server.seen().requests as u64, 400 + replays.refused_stream);
}
