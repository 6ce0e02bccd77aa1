//! Quotas shared between instances, in the background: no request waits for it.

use std::future::Future;
use std::time::Duration;

use runtime::world::World;

use super::limiter::Limiter;
use super::ports::Demands;

/// Instances agree once in so long.
const PERIOD: Duration = Duration::from_secs(1);

/// Tells the others what this instance was asked for and settles its shares, period after period, until
/// `shutdown` resolves. Periods are those of the clock, so that instances count in the same ones.
pub async fn share_quotas(
    limiter: &Limiter,
    demands: &dyn Demands,
    world: &World,
    shutdown: impl Future<Output = ()> + Send,
) {
    let length = i64::try_from(PERIOD.as_millis()).unwrap_or(i64::MAX);
    tokio::pin!(shutdown);
    loop {
        let period = world.now().0.div_euclid(length);
        let next = schemas::ids::Timestamp((period + 1).saturating_mul(length));
        tokio::select! {
            () = &mut shutdown => return,
            () = world.sleep_until(next) => {}
        }
        if let Some(agreed) = demands.exchange(period, &limiter.asked()).await {
            limiter.settle(&agreed);
        }
    }
}
