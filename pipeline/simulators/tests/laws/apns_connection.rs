//! How connections to APNs behave: stream limits, sending away, resets, silence, delay.

use std::time::{Duration, Instant};

use futures::poll;
use h2::Reason;
use simulators::{Mode, Script};
use tokio::task::yield_now;

use crate::support::apns::{Push, client, reason};
use crate::support::frames::{GOAWAY, HEADERS, RST_STREAM, Raw, SETTINGS};
use crate::support::http::H2;
use crate::support::{connect, doubles};

/// Lets the connection's task run until the stream limit is `expected`; fails by never ending,
/// which the time limit of the test turns into a failure.
async fn until_limit(connection: &H2, expected: usize) {
    let limit = async {
        while connection.send.current_max_send_streams() != expected {
            yield_now().await;
        }
    };
    let limit = tokio::time::timeout(Duration::from_secs(10), limit).await;
    assert!(limit.is_ok(), "limit {}", connection.send.current_max_send_streams());
}

#[tokio::test]
async fn one_stream_is_allowed_until_a_token_was_accepted_then_as_many_as_configured() {
    let doubles = doubles(|config| config.apns_streams = 500).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut connection = client(apns).await;
    until_limit(&connection, 1).await;
    let unsigned = push.clone().without("authorization");
    connection.ask(unsigned.request()).await.unwrap();
    assert_eq!(connection.send.current_max_send_streams(), 1);
    connection.ask(push.clone().request()).await.unwrap();
    until_limit(&connection, 500).await;
}

#[tokio::test]
async fn a_refused_notification_may_set_the_limit_back_to_one() {
    let doubles = doubles(|config| config.apns_one_stream_after_refusal = true).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut connection = client(apns).await;
    for (push, limit) in
        [(push.clone(), 1000), (push.clone().marked("fa110400"), 1), (push.clone(), 1000)]
    {
        connection.ask(push.request()).await.unwrap();
        until_limit(&connection, limit).await;
    }
}

#[tokio::test]
async fn a_second_stream_before_the_first_token_is_refused_and_may_be_sent_again() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns).request();
    let mut raw = Raw::connect(apns.address, &apns.ca).await;
    let (head, body) = push.into_parts();
    raw.open(1, head.clone()).await;
    raw.open(3, head.clone()).await;
    let refused = raw.until(RST_STREAM).await;
    assert_eq!((refused.stream, refused.payload), (3, vec![0, 0, 0, 7]));
    raw.finish(1, &body).await;
    assert_eq!(raw.until(HEADERS).await.stream, 1);
    raw.open(5, head).await;
    raw.finish(5, &body).await;
    assert_eq!(raw.until(HEADERS).await.stream, 5);
    assert_eq!(apns.counts().by_answer["REFUSED_STREAM"], 1);
    assert_eq!(apns.received().len(), 2);
}

#[tokio::test]
async fn a_reset_comes_after_the_request_was_read_and_leaves_the_connection_alone() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut connection = client(apns).await;
    let reset = connection.ask(push.clone().marked("c105ed00").request()).await;
    let error = reset.unwrap_err();
    assert!(error.is_reset() && error.is_remote());
    assert_ne!(error.reason(), Some(Reason::REFUSED_STREAM));
    let next = connection.ask(push.clone().request()).await.unwrap();
    assert_eq!(next.status, 200);
    assert_eq!(apns.counts().by_answer["reset"], 1);
}

#[tokio::test]
async fn silence_holds_its_own_stream_only() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut connection = client(apns).await;
    connection.ask(push.clone().request()).await.unwrap();
    until_limit(&connection, 1000).await;
    let mut silent = Box::pin(connection.begin(push.clone().marked("0ff11e00").request()));
    for _ in 0..10 {
        let answer = connection.ask(push.clone().request()).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    assert!(poll!(&mut silent).is_pending());
    assert_eq!(apns.counts().by_answer["silence"], 1);
}

#[tokio::test]
async fn a_slow_token_is_answered_after_two_scaled_seconds_and_holds_up_nobody() {
    let doubles = doubles(|config| config.time_scale = 20.0).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut connection = client(apns).await;
    connection.ask(push.clone().request()).await.unwrap();
    until_limit(&connection, 1000).await;
    let begun = Instant::now();
    let mut slow = Box::pin(connection.begin(push.clone().marked("51002000").request()));
    let quick = connection.ask(push.clone().request()).await.unwrap();
    assert_eq!(quick.status, 200);
    assert!(poll!(&mut slow).is_pending());
    assert_eq!(slow.await.unwrap().status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_connection_sent_away_answers_what_it_took_and_leaves_the_rest_unprocessed() {
    let doubles = doubles(|config| config.apns_goaway_after = Some(5)).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut connection = client(apns).await;
    connection.ask(push.clone().request()).await.unwrap();
    until_limit(&connection, 1000).await;
    let pushes: Vec<_> = (0..10).map(|_| connection.begin(push.clone().request())).collect();
    let answers = futures::future::join_all(pushes).await;
    let (taken, left): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), left.len()), (4, 6));
    for error in left.into_iter().map(Result::unwrap_err) {
        let is_unprocessed = error.is_go_away() && error.is_remote()
            || error.reason() == Some(Reason::REFUSED_STREAM);
        assert!(is_unprocessed, "{error:?}");
    }
    assert_eq!(apns.received().len(), 5);
}

#[tokio::test]
async fn goaway_tells_its_reason_as_json() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let mut connection = client(apns).await;
    connection.ask(Push::sound(apns).request()).await.unwrap();
    apns.script(Script { goaway: Some(true), ..Script::default() }).unwrap();
    connection.connection.await.unwrap().unwrap();
    let error = connection.send.ready().await.err().unwrap();
    assert!(error.is_go_away() && error.is_remote(), "{error:?}");
    assert!(format!("{error:?}").contains("Shutdown"), "{error:?}");
}

#[tokio::test]
async fn an_idle_connection_is_sent_away_when_its_time_is_over() {
    let idle = Duration::from_millis(50);
    let doubles = doubles(|config| config.apns_idle_timeout = Some(idle)).await;
    let apns = &doubles.running.apns;
    let begun = Instant::now();
    let connection = client(apns).await;
    connection.connection.await.unwrap().unwrap();
    assert!(begun.elapsed() >= idle);
    let error = connection.send.ready().await.err().unwrap();
    assert!(format!("{error:?}").contains("IdleTimeout"), "{error:?}");
}

#[tokio::test]
async fn more_streams_than_allowed_end_the_connection() {
    let doubles = doubles(|config| config.apns_streams = 2).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut raw = Raw::connect(apns.address, &apns.ca).await;
    assert_eq!(raw.until(SETTINGS).await.stream_limit(), Some(1));
    raw.send(1, push.clone().request()).await;
    assert_eq!(raw.until(SETTINGS).await.stream_limit(), Some(2));
    for stream in [3, 5, 7] {
        raw.send(stream, push.clone().marked("0ff11e00").request()).await;
    }
    let (last, code, debug) = raw.until(GOAWAY).await.farewell();
    assert_eq!((last, code), (5, 11));
    assert_eq!(debug, "Maximum active streams violated for this endpoint.");
    while raw.next().await.is_some() {}
}

#[tokio::test]
async fn an_empty_200_is_a_headers_frame_that_ends_its_stream() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let mut raw = Raw::connect(apns.address, &apns.ca).await;
    raw.send(1, Push::sound(apns).request()).await;
    let answer = raw.until(HEADERS).await;
    assert!(answer.ends_stream() && answer.stream == 1);
}

#[tokio::test]
async fn goaway_names_the_last_stream_that_was_taken() {
    let doubles = doubles(|config| config.apns_goaway_after = Some(2)).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut raw = Raw::connect(apns.address, &apns.ca).await;
    raw.send(1, push.clone().request()).await;
    raw.until(HEADERS).await;
    raw.send(3, push.request()).await;
    let mut farewells = Vec::new();
    let mut answered = Vec::new();
    while let Some(frame) = raw.next().await {
        match frame.kind {
            GOAWAY => farewells.push(frame.farewell()),
            HEADERS => answered.push(frame.stream),
            _ => {}
        }
    }
    let expected = (3, 0, r#"{"reason":"Shutdown"}"#.to_owned());
    assert!(!farewells.is_empty());
    assert!(farewells.iter().all(|farewell| *farewell == expected), "{farewells:?}");
    assert_eq!(answered, [3]);
}

#[tokio::test]
async fn as_many_streams_as_ordered_are_refused_unread() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut connection = client(apns).await;
    apns.script(Script { refuse_streams: Some(2), ..Script::default() }).unwrap();
    for _ in 0..2 {
        let refused = connection.ask(push.clone().request()).await.unwrap_err();
        assert_eq!(refused.reason(), Some(Reason::REFUSED_STREAM));
    }
    let answer = connection.ask(push.clone().request()).await.unwrap();
    assert_eq!(reason(&answer), "200");
}

#[tokio::test]
async fn a_double_that_is_down_cuts_its_connections_and_takes_none() {
    let doubles = doubles(|_| {}).await;
    let apns = &doubles.running.apns;
    let push = Push::sound(apns);
    let mut connection = client(apns).await;
    connection.ask(push.clone().request()).await.unwrap();
    let down = |down| Script { down: Some(down), ..Script::default() };
    apns.script(down(true)).unwrap();
    let _ = connection.connection.await.unwrap();
    assert!(connect(apns.address, &apns.ca, &[b"h2"]).await.is_err());
    apns.script(down(false)).unwrap();
    let answer = client(apns).await.ask(push.clone().request()).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn in_null_mode_everything_is_accepted_and_nothing_kept() {
    let doubles = doubles(|config| config.mode = Mode::Null).await;
    let apns = &doubles.running.apns;
    let mut connection = client(apns).await;
    let wrong = Push::sound(apns).without("authorization").path("/").body("x".repeat(100_000));
    let answer = connection.ask(wrong.request()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.ended_on_headers);
    until_limit(&connection, 1000).await;
    assert!(apns.received().is_empty());
}

#[tokio::test]
async fn a_shutdown_ends_every_connection_and_listener() {
    let doubles = doubles(|_| {}).await;
    let address = doubles.running.apns.address;
    let ca = doubles.running.apns.ca.clone();
    let connection = client(&doubles.running.apns).await;
    doubles.running.shutdown().await;
    let _ = connection.connection.await.unwrap();
    assert!(connect(address, &ca, &[b"h2"]).await.is_err());
}
