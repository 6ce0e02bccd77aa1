//! What instances share through Redis: claims on idempotency keys, and demand for quotas.

use std::time::Duration;

use async_trait::async_trait;
use policy::admit::rate::Demand;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands as _, ExistenceCheck, Script, SetExpiry, SetOptions};
use schemas::ids::MessageId;

use super::limiter::{AccountDemand, Asked};
use super::ports::{Claim, Claimed, Claims, Demands};

/// Claims, one key each: request (32 bytes) ‖ message id (16) ‖ acknowledged (1). Keyed hashes only.
pub struct RedisClaims {
    connection: ConnectionManager,
    prefix: String,
    kept: Duration,
}

/// A claim that has ended meanwhile must not come back without an end.
const ACKNOWLEDGE: &str =
    "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('SETRANGE', KEYS[1], 48, ARGV[1]) end";

impl RedisClaims {
    /// Claims under `prefix`, each for `kept` from its first request on.
    #[must_use]
    pub fn new(connection: ConnectionManager, prefix: String, kept: Duration) -> Self {
        Self { connection, prefix, kept }
    }

    fn key(&self, name: &[u8; 32]) -> String {
        format!("{}claim:{}", self.prefix, hex::encode(name))
    }
}

#[async_trait]
impl Claims for RedisClaims {
    async fn claim(&self, claim: Claim) -> Claimed {
        let mut value = claim.request.to_vec();
        value.extend_from_slice(&claim.offered.to_bytes());
        value.push(0);
        let kept = u64::try_from(self.kept.as_millis()).unwrap_or(u64::MAX);
        let options = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .get(true)
            .with_expiration(SetExpiry::PX(kept));
        let mut connection = self.connection.clone();
        let held: Result<Option<Vec<u8>>, _> =
            connection.set_options(self.key(&claim.name), value, options).await;
        match held {
            Err(_) => Claimed::Unavailable,
            Ok(None) => Claimed::New,
            Ok(Some(held)) => judge(&held, &claim),
        }
    }

    async fn acknowledge(&self, name: [u8; 32]) {
        let mut connection = self.connection.clone();
        let script = Script::new(ACKNOWLEDGE);
        // Lost: the next repeat appends the same id again, and consent ends it as a duplicate.
        let _: Result<(), _> =
            script.key(self.key(&name)).arg(&[1_u8][..]).invoke_async(&mut connection).await;
    }
}

fn judge(held: &[u8], claim: &Claim) -> Claimed {
    let (Some(request), Some(id), Some(acknowledged)) =
        (held.get(..32), held.get(32..48), held.get(48))
    else {
        return Claimed::Unavailable;
    };
    let mut bytes = [0; 16];
    bytes.copy_from_slice(id);
    if request == claim.request {
        Claimed::Same { id: MessageId::from_bytes(bytes), acknowledged: *acknowledged == 1 }
    } else {
        Claimed::Other
    }
}

/// Demand of accounts, one hash for an account and period, one field for an instance.
pub struct RedisDemands {
    connection: ConnectionManager,
    prefix: String,
    instance: String,
}

/// A period's figures are read in the next one only.
const FIGURES_KEPT: Duration = Duration::from_secs(10);

impl RedisDemands {
    /// `instance` must differ between instances.
    #[must_use]
    pub fn new(connection: ConnectionManager, prefix: String, instance: String) -> Self {
        Self { connection, prefix, instance }
    }

    fn key(&self, account_id: &str, period: i64) -> String {
        format!("{}demand:{{{account_id}}}:{period}", self.prefix)
    }
}

#[async_trait]
impl Demands for RedisDemands {
    async fn exchange(&self, period: i64, own: &[Asked]) -> Option<Vec<AccountDemand>> {
        let mut pipeline = redis::pipe();
        for Asked { account_id, calls } in own {
            let key = self.key(account_id, period);
            let kept = i64::try_from(FIGURES_KEPT.as_millis()).unwrap_or(i64::MAX);
            pipeline.hset(&key, &self.instance, *calls).ignore().pexpire(&key, kept).ignore();
            pipeline.hgetall(self.key(account_id, period - 1));
        }
        if own.is_empty() {
            return Some(Vec::new());
        }
        let mut connection = self.connection.clone();
        let found: Vec<Vec<(String, u32)>> = pipeline.query_async(&mut connection).await.ok()?;
        let demands = own.iter().zip(found).map(|(asked, fields)| AccountDemand {
            account_id: asked.account_id.clone(),
            demand: self.demand(&fields),
        });
        Some(demands.collect())
    }
}

impl RedisDemands {
    fn demand(&self, fields: &[(String, u32)]) -> Demand {
        let of_mine = fields.iter().find(|(instance, _)| *instance == self.instance);
        let others = fields.iter().filter(|(instance, _)| *instance != self.instance);
        let own = of_mine.map_or(0, |(_, calls)| *calls);
        Demand {
            own,
            all: others.clone().fold(own, |sum, (_, calls)| sum.saturating_add(*calls)),
            instances: u32::try_from(others.count()).unwrap_or(u32::MAX).saturating_add(1),
        }
    }
}
