//! What instances share, on a real Redis; its address comes from `STAFFETTA_TEST_REDIS`.

use std::time::Duration;

use policy::admit::rate::Demand;
use producers::ingest::ports::{Claim, Claimed, Claims as _, Demands as _};
use producers::ingest::{AccountDemand, Asked, RedisClaims, RedisDemands};
use redis::AsyncCommands as _;
use redis::aio::ConnectionManager;
use schemas::ids::MessageId;
use sealing::{SystemEntropy, draw};

async fn connection() -> ConnectionManager {
    let address = std::env::var("STAFFETTA_TEST_REDIS").expect(
        "this law needs a Redis: run `cargo xtask test`, or start one and set STAFFETTA_TEST_REDIS \
         to its address",
    );
    let client = redis::Client::open(format!("redis://{address}/")).unwrap();
    ConnectionManager::new(client).await.unwrap()
}

fn prefix() -> String {
    format!("laws:{:02x?}:", draw::<8>(&SystemEntropy))
}

fn claim(request: u8, random: u128) -> Claim {
    Claim { name: [7; 32], request: [request; 32], offered: MessageId::from_parts(1, random) }
}

#[tokio::test]
async fn of_many_who_claim_at_once_one_wins_and_all_get_its_id() {
    let (connection, prefix) = (connection().await, prefix());
    let mut racing = tokio::task::JoinSet::new();
    for random in 0..20 {
        let claims = RedisClaims::new(connection.clone(), prefix.clone(), Duration::from_secs(60));
        racing.spawn(async move { (random, claims.claim(claim(1, random)).await) });
    }
    let ended = racing.join_all().await;
    let winners: Vec<_> = ended.iter().filter(|(_, end)| *end == Claimed::New).collect();
    assert_eq!(winners.len(), 1);
    let id = MessageId::from_parts(1, winners[0].0);
    let same = Claimed::Same { id, acknowledged: false };
    assert_eq!(ended.iter().filter(|(_, end)| *end == same).count(), 19);
}

#[tokio::test]
async fn a_claim_remembers_its_request_and_its_acknowledgement() {
    let claims = RedisClaims::new(connection().await, prefix(), Duration::from_secs(60));
    assert_eq!(claims.claim(claim(1, 1)).await, Claimed::New);
    assert_eq!(claims.claim(claim(2, 2)).await, Claimed::Other);
    claims.acknowledge([7; 32]).await;
    let id = MessageId::from_parts(1, 1);
    assert_eq!(claims.claim(claim(1, 3)).await, Claimed::Same { id, acknowledged: true });
}

#[tokio::test]
async fn an_acknowledgement_does_not_bring_an_ended_claim_back() {
    let (mut connection, prefix) = (connection().await, prefix());
    let claims = RedisClaims::new(connection.clone(), prefix.clone(), Duration::from_secs(60));
    claims.acknowledge([7; 32]).await;
    let key = format!("{prefix}claim:{}", "07".repeat(32));
    assert!(!connection.exists::<_, bool>(key).await.unwrap());
    assert_eq!(claims.claim(claim(1, 1)).await, Claimed::New);
}

#[tokio::test]
async fn instances_see_the_demand_of_the_whole_period_before() {
    let (connection, prefix) = (connection().await, prefix());
    let instance =
        |name: &str| RedisDemands::new(connection.clone(), prefix.clone(), name.to_owned());
    let (a, b) = (instance("a"), instance("b"));
    let asked = |calls| [Asked { account_id: "x".into(), calls }];
    let seen = |own, all, instances| {
        let demand = Demand { own, all, instances };
        Some(vec![AccountDemand { account_id: "x".into(), demand }])
    };
    assert_eq!(a.exchange(1, &asked(30)).await, seen(0, 0, 1));
    assert_eq!(b.exchange(1, &asked(10)).await, seen(0, 0, 1));
    assert_eq!(a.exchange(2, &asked(5)).await, seen(30, 40, 2));
    assert_eq!(b.exchange(2, &asked(0)).await, seen(10, 40, 2));
    assert_eq!(a.exchange(3, &asked(0)).await, seen(5, 5, 2));
    assert_eq!(a.exchange(4, &[]).await, Some(Vec::new()));
}
