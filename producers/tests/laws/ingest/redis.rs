//! What instances share, on a real Redis; its address comes from `STAFFETTA_TEST_REDIS`.

use policy::admit::rate::Demand;
use producers::ingest::ports::Demands as _;
use producers::ingest::{AccountDemand, Asked, RedisDemands};
use redis::aio::ConnectionManager;
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
