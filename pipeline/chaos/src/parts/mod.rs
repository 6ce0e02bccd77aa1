//! The processes that a campaign starts, hurts and ends. All of them listen on 127.0.0.1 and keep
//! everything in the run's folder.

mod broker;
mod identity;
mod managed;
mod redis;
mod simulators;
mod staffetta;

pub use broker::Broker;
pub use identity::Identity;
pub use managed::Managed;
pub use redis::Redis;
pub use simulators::Simulators;
pub use staffetta::{Layout, LogPlace, Part, SESSION, STAGES, Staffetta};

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Result, bail};
use rand::Rng;

/// Between two looks at something that is awaited.
pub const STEP: Duration = Duration::from_millis(50);

/// A port on 127.0.0.1 that is free now, below the range of outgoing connections.
pub fn free_port() -> Result<u16> {
    for _ in 0..1_000 {
        let port = rand::rng().random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 20000 and 32000 on 127.0.0.1");
}

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default()
}

/// Waits for `done`, at most `limit`; whether it came.
pub async fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = tokio::time::Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if tokio::time::Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(STEP).await;
    }
}
