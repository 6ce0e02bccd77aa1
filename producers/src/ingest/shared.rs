//! What instances share through Redis: demand for quotas.

use std::time::Duration;

use async_trait::async_trait;
use policy::admit::rate::Demand;
use redis::aio::ConnectionManager;

use super::limiter::{AccountDemand, Asked};
use super::ports::Demands;

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
