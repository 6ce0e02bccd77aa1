//! Pool and tokens together against the doubles of the real services, which check every header
//! and every token. On several threads, as in production.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use edge::pool::{NoAnswer, PlainPool, PoolConfig, Push, Reply, Request, Unsent, Wiring};
use edge::tls::client_config;
use edge::token::{
    AccessToken, Credential, ProviderToken, ProviderTokenConfig, ServiceAccount, token_client,
};
use edge::{Clock, Random};
use futures::future::join_all;
use http::{HeaderName, HeaderValue};
use simulators::{Apns, Config, Fcm, Script, Simulators};
use tempfile::TempDir;

use crate::double::{config, until};
use crate::provider_token::Hand;

const MINUTE_MS: i64 = 60_000;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn wall_clock() -> Clock {
    Arc::new(now_ms)
}

fn middle() -> Random {
    Arc::new(|| 0.5)
}

async fn start(change: impl FnOnce(&mut Config)) -> (Simulators, TempDir) {
    let folder = TempDir::new().unwrap();
    let mut config = Config { folder: folder.path().to_owned(), ..Config::default() };
    change(&mut config);
    (simulators::start(config).await.unwrap(), folder)
}

fn provider_token(apns: &Apns, clock: Clock) -> Arc<ProviderToken> {
    let config = ProviderTokenConfig {
        team_id: apns.team_id.clone(),
        key_id: apns.key_id.clone(),
        key_pem: std::fs::read(&apns.key).unwrap(),
    };
    Arc::new(ProviderToken::new(config, clock, middle()).unwrap())
}

fn is_expired(status: u16, body: &[u8]) -> bool {
    match status {
        401 => true,
        403 => body == br#"{"reason":"ExpiredProviderToken"}"#,
        _ => false,
    }
}

fn open(
    port: u16,
    ca: &std::path::Path,
    credential: Arc<dyn Credential>,
    change: impl FnOnce(&mut PoolConfig),
) -> Arc<PlainPool> {
    let mut config = config(port);
    change(&mut config);
    let tls = Arc::new(client_config(Some(&std::fs::read(ca).unwrap()), &[]).unwrap());
    let wiring = Wiring { tls, credential: Some(credential), is_expired, random: middle() };
    Arc::new(PlainPool::open(config, wiring).unwrap())
}

fn apns_pool(apns: &Apns, change: impl FnOnce(&mut PoolConfig)) -> Arc<PlainPool> {
    open(apns.address.port(), &apns.ca, provider_token(apns, wall_clock()), change)
}

fn alert(apns: &Apns, token: &str) -> Request {
    let header =
        |name, value: &str| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    Request {
        path: format!("/3/device/{token}").parse().unwrap(),
        headers: vec![
            header("apns-topic", &apns.topic),
            header("apns-push-type", "alert"),
            header("apns-priority", "10"),
        ],
        body: Bytes::from_static(br#"{"aps":{"alert":{"title":"a","body":"b"}}}"#),
        stream_within: Duration::MAX,
    }
}

/// Sends to so many devices at once, each in a task of its own, and returns the answers' statuses.
async fn send_to(pool: &Arc<PlainPool>, apns: &Apns, devices: u32) -> BTreeMap<String, u32> {
    let sends = (0..devices).map(|device| {
        let (pool, request) = (pool.clone(), alert(apns, &format!("{device:064x}")));
        tokio::spawn(async move { pool.send(request).await })
    });
    let mut ends = BTreeMap::new();
    for reply in join_all(sends).await {
        let end = match reply.unwrap() {
            Reply::Answer { status, .. } => status.to_string(),
            other @ (Reply::Unsent { .. } | Reply::NoAnswer { .. }) => format!("{other:?}"),
        };
        *ends.entry(end).or_default() += 1;
    }
    ends
}

fn all_taken(devices: u32) -> BTreeMap<String, u32> {
    BTreeMap::from([("200".to_owned(), devices)])
}

/// How often each device was pushed to; the most.
fn most_pushes_to_a_device(apns: &Apns) -> usize {
    let mut pushes: BTreeMap<String, usize> = BTreeMap::new();
    for received in apns.received() {
        *pushes.entry(received.token.unwrap()).or_default() += 1;
    }
    pushes.into_values().max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_pushes_on_four_connections_are_all_taken_once() {
    let (doubles, _folder) = start(|_| {}).await;
    let pool = apns_pool(&doubles.apns, |config| config.connections = 4);
    assert_eq!(send_to(&pool, &doubles.apns, 2_000).await, all_taken(2_000));
    assert_eq!(doubles.apns.received().len(), 2_000);
    assert_eq!(most_pushes_to_a_device(&doubles.apns), 1);
    assert_eq!(doubles.apns.counts().connections, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_sent_away_lose_no_push_and_repeat_none() {
    let (doubles, _folder) = start(|config| config.apns_goaway_after = Some(100)).await;
    let pool = apns_pool(&doubles.apns, |config| {
        config.connections = 3;
        config.max_streams = 40;
    });
    assert_eq!(send_to(&pool, &doubles.apns, 1_500).await, all_taken(1_500));
    assert_eq!(doubles.apns.received().len(), 1_500);
    assert_eq!(most_pushes_to_a_device(&doubles.apns), 1);
    let snapshot = pool.snapshot();
    assert!(snapshot.opened_total >= 10, "{snapshot:?}");
    assert!(snapshot.goaways_total.values().sum::<u64>() >= 10, "{snapshot:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_streams_are_sent_again_and_taken_once() {
    let (doubles, _folder) = start(|_| {}).await;
    let pool = apns_pool(&doubles.apns, |config| {
        config.connections = 2;
        // Twenty refusals might otherwise all meet one push.
        config.replays = 20;
    });
    assert_eq!(send_to(&pool, &doubles.apns, 10).await, all_taken(10));
    let refusing = Script { refuse_streams: Some(20), ..Script::default() };
    doubles.apns.script(refusing).unwrap();
    assert_eq!(send_to(&pool, &doubles.apns, 200).await, all_taken(200));
    assert_eq!(most_pushes_to_a_device(&doubles.apns), 2, "once in each round");
    assert_eq!(pool.snapshot().replays_total.refused_stream, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_allows_one_stream_after_each_refusal_is_obeyed() {
    let (doubles, _folder) = start(|config| config.apns_one_stream_after_refusal = true).await;
    let apns = &doubles.apns;
    let pool = apns_pool(apns, |_| {});
    for _ in 0..20 {
        let reply = pool.send(alert(apns, "fa1104000000")).await;
        assert!(matches!(reply, Reply::Answer { status: 400, .. }), "{reply:?}");
        assert_eq!(send_to(&pool, apns, 20).await, all_taken(20));
    }
    assert_eq!((pool.snapshot().opened_total, pool.snapshot().resets_total), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_and_a_silence_are_told_apart_from_answers() {
    let (doubles, _folder) = start(|_| {}).await;
    let apns = &doubles.apns;
    let pool = apns_pool(apns, |config| config.request_timeout = Duration::from_millis(300));
    assert_eq!(send_to(&pool, apns, 1).await, all_taken(1));
    let reply = pool.send(alert(apns, "c105ed00")).await;
    assert!(matches!(reply, Reply::NoAnswer { why: NoAnswer::Reset { .. } }), "{reply:?}");
    let reply = pool.send(alert(apns, "0ff11e00")).await;
    assert!(matches!(reply, Reply::NoAnswer { why: NoAnswer::TimedOut }), "{reply:?}");
    let reply = pool.send(alert(apns, "deadbeef1700000000000000")).await;
    assert!(matches!(reply, Reply::Answer { status: 410, .. }), "{reply:?}");
    assert_eq!(pool.snapshot().opened_total, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_unsent_and_its_end_is_noticed() {
    let (doubles, _folder) = start(|_| {}).await;
    let apns = &doubles.apns;
    let pool = apns_pool(apns, |config| config.connections = 2);
    assert_eq!(send_to(&pool, apns, 50).await, all_taken(50));
    apns.script(Script { down: Some(true), ..Script::default() }).unwrap();
    let failed = pool.snapshot().open_failures_total;
    until(|| pool.snapshot().open_failures_total >= failed + 4).await;
    let reply = pool.send(alert(apns, "00")).await;
    assert!(matches!(reply, Reply::Unsent { why: Unsent::Down(_) }), "{reply:?}");
    apns.script(Script { down: Some(false), ..Script::default() }).unwrap();
    until(|| pool.snapshot().live == 2).await;
    assert_eq!(send_to(&pool, apns, 50).await, all_taken(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_provider_token_is_renewed_on_a_new_connection() {
    let (doubles, _folder) = start(|_| {}).await;
    let apns = &doubles.apns;
    // Our clock is 62 minutes slow when the token is made, and half set right before it is used.
    let (hand, clock) = Hand::new(now_ms() - 62 * MINUTE_MS);
    let token = provider_token(apns, clock);
    let pool = open(apns.address.port(), &apns.ca, token, |_| {});
    hand.advance(30 * MINUTE_MS);
    assert_eq!(send_to(&pool, apns, 1).await, all_taken(1));
    assert_eq!((pool.snapshot().renewals_total, apns.counts().connections), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_provider_token_too_young_to_renew_is_the_callers_to_know() {
    let (doubles, _folder) = start(|_| {}).await;
    let apns = &doubles.apns;
    let (_hand, clock) = Hand::new(now_ms() - 62 * MINUTE_MS);
    let pool = open(apns.address.port(), &apns.ca, provider_token(apns, clock), |_| {});
    let reply = pool.send(alert(apns, "00")).await;
    assert!(matches!(reply, Reply::Answer { status: 403, .. }), "{reply:?}");
    assert_eq!(pool.snapshot().renewals_total, 0);
}

fn access_token(fcm: &Fcm) -> Arc<AccessToken> {
    let account = std::fs::read(&fcm.service_account).unwrap();
    let tls = client_config(Some(&std::fs::read(&fcm.ca).unwrap()), &[]).unwrap();
    Arc::new(AccessToken::start(
        ServiceAccount::from_json(&account).unwrap(),
        "https://www.googleapis.com/auth/firebase.messaging",
        token_client(tls).unwrap(),
        wall_clock(),
        middle(),
    ))
}

fn notification(fcm: &Fcm, device: u32) -> Request {
    let json = (http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = format!(
        r#"{{"message":{{"token":"device-{device}","notification":{{"title":"a","body":"b"}}}}}}"#
    );
    Request {
        path: format!("/v1/projects/{}/messages:send", fcm.project_id).parse().unwrap(),
        headers: vec![json],
        body: body.into(),
        stream_within: Duration::MAX,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_token_is_fetched_and_five_hundred_messages_are_taken_with_it() {
    let (doubles, _folder) = start(|_| {}).await;
    let fcm = &doubles.fcm;
    let token = access_token(fcm);
    token.ready().await;
    let pool = open(fcm.address.port(), &fcm.ca, token, |config| config.connections = 2);
    let sends = (0..500).map(|device| pool.send(notification(fcm, device)));
    for reply in join_all(sends).await {
        assert!(matches!(reply, Reply::Answer { status: 200, .. }), "{reply:?}");
    }
    assert_eq!((fcm.received().len(), pool.snapshot().goaways_total.len()), (500, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_go_on_while_access_tokens_come_and_go() {
    let (doubles, _folder) = start(|config| config.access_token_seconds = 2).await;
    let fcm = &doubles.fcm;
    let token = access_token(fcm);
    token.ready().await;
    let pool = open(fcm.address.port(), &fcm.ca, token.clone(), |_| {});
    // Beyond the life of the first token.
    while token.health().fetches < 3 {
        let reply = pool.send(notification(fcm, 1)).await;
        assert!(matches!(reply, Reply::Answer { status: 200, .. }), "{reply:?}");
    }
    assert_eq!(token.health().failures, 0);
}
