//! Two processes serve the citizen API; the pen goes to and fro between them.

use reqwest::Client;
use serde_json::{Value, json};

use super::Parts;
use crate::canary::onboarded;
use crate::installation::{Doors, Installation};
use crate::planted::Planted;

/// A citizen in front of one of the doors.
struct Citizen {
    client: Client,
    token: String,
}

impl Citizen {
    fn new(installation: &Installation, planted: &mut Planted) -> Self {
        let code = planted.fiscal_code("AAAAAA00A00A000A");
        Self { client: Client::new(), token: installation.token(&code) }
    }

    /// The answer's status to a change made on `version`.
    async fn put(&self, door: &Doors, version: i64) -> u16 {
        let body = json!({
            "version": version, "is_inbox_enabled": version % 2 == 0, "accepted_tos_version": 1.0,
            "service_preferences_settings": {"mode": "AUTO"},
        });
        let put = self.client.put(format!("{}/api/v1/profile", door.citizen)).json(&body);
        put.bearer_auth(&self.token).send().await.unwrap().status().as_u16()
    }

    async fn version(&self, door: &Doors) -> i64 {
        let get = self.client.get(format!("{}/api/v1/profile", door.citizen));
        let answer = get.bearer_auth(&self.token).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["version"].as_i64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_in_turn_and_together_and_lose_no_change() {
    let parts = Parts::here();
    let mut planted = Planted::sample(1);
    let mut installation = parts.installation().await;
    let one = onboarded(&mut installation, &planted).await;
    let ordinal = [("WORKER__ORDINAL", "1")];
    let two = installation.run_as("second", &["run", "--stages", "ingest"], &ordinal).await;
    let doors = [&one, &two];

    let citizen = Citizen::new(&installation, &mut planted);
    assert_eq!(citizen.put(&one, 0).await, 200);
    for version in 0..10 {
        let door = doors[usize::from(version % 2 == 0)];
        assert_eq!(citizen.put(door, version).await, 200, "version {version}");
    }

    // Each change is made on the newest version at both doors at once: one is taken, or none.
    let mut taken = 10;
    for _ in 0..10 {
        let answers = tokio::join!(citizen.put(&one, taken), citizen.put(&two, taken));
        let answers = [answers.0, answers.1];
        let ok = answers.iter().filter(|status| **status == 200).count();
        assert!(ok <= 1, "{answers:?} on one version");
        assert!(answers.iter().all(|status| matches!(status, 200 | 409 | 503)), "{answers:?}");
        taken += i64::try_from(ok).unwrap();
        assert_eq!(citizen.version(&one).await, taken);
    }
    assert!(taken > 10, "at least one of twenty was taken");

    // Whoever holds the pen dies; the other needs no restart.
    assert_eq!(citizen.put(&two, taken).await, 200);
    installation.kill();
    assert_eq!(citizen.put(&one, taken + 1).await, 200);
    installation.end();
}
