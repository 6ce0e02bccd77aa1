//! Which fault comes when: fixed scenarios, their moments drawn from the seed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;

use crate::evidence::Fault;
use crate::parts::{Layout, Redis, Staffetta, now};
use crate::records::Channel;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Processes are killed with SIGKILL in the middle and started again
    Kill,
    /// Redis is killed, stays away for 20 s, and comes back with what it had
    RedisStop,
    /// Redis forgets everything; later once more, and the stages are restarted
    Flushall,
    /// A process ends at each named boundary once (a build with the feature `crash-points`); citizens
    /// refuse meanwhile. Sending ends with the sweep
    CrashPoints,
}

/// How long Redis stays away.
const AWAY: Duration = Duration::from_secs(20);
/// A process that is asked to end has so long to drain.
const DRAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Kill(&'static str),
    RedisAway,
    Flush,
    FlushAndRestart(&'static str),
}

impl Scenario {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::RedisStop => "redis-stop",
            Self::Flushall => "flushall",
            Self::CrashPoints => "crash-points",
        }
    }

    /// Whether the views are in Redis: always, but for the plainest installation.
    #[must_use]
    pub fn needs_redis(self) -> bool {
        match self {
            Self::Kill | Self::CrashPoints => false,
            Self::RedisStop | Self::Flushall => true,
        }
    }

    /// The acts, each at the share of all messages after whose beginning it happens.
    #[must_use]
    pub fn acts(self, layout: Layout, seed: u64) -> Vec<(f64, Act)> {
        let mut rng = StdRng::seed_from_u64(seed);
        let (early, late) = (rng.random_range(0.25..0.45), rng.random_range(0.6..0.8));
        let (stages, ingest) = match layout {
            Layout::One => ("run", "run"),
            Layout::Two => ("stages", "ingest"),
            Layout::Each => ("consent-0", "ingest-0"),
        };
        match self {
            Self::Kill => vec![(early, Act::Kill(stages)), (late, Act::Kill(ingest))],
            Self::RedisStop => vec![(early, Act::RedisAway)],
            Self::Flushall => vec![(early, Act::Flush), (late, Act::FlushAndRestart(stages))],
            // Swept by itself, not by shares of the messages.
            Self::CrashPoints => Vec::new(),
        }
    }
}

/// Does all acts at their moments; what was done, and when.
pub async fn perform(
    acts: Vec<(f64, Act)>,
    messages: usize,
    mut begun: watch::Receiver<usize>,
    staffetta: &mut Staffetta,
    redis: Option<&mut Redis>,
) -> Result<Vec<Fault>> {
    let mut redis = redis;
    let mut faults = Vec::new();
    for (share, act) in acts {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a count"
        )]
        let at = (messages as f64 * share) as usize;
        begun.wait_for(|begun| *begun >= at).await.context("the sender has ended")?;
        let fault = one(act, staffetta, redis.as_deref_mut()).await?;
        eprint(&format!("{} after {at} messages, {} ms", fault.what, fault.to - fault.from));
        faults.push(fault);
    }
    Ok(faults)
}

async fn one(act: Act, staffetta: &mut Staffetta, redis: Option<&mut Redis>) -> Result<Fault> {
    let from = now();
    let (what, repeats) = match act {
        Act::Kill(name) => {
            let part = staffetta.part(name)?;
            part.process.kill()?;
            part.process.start()?;
            part.ready().await?;
            // Whoever has only the doors sends nothing.
            let repeats = if name == "ingest" { Vec::new() } else { Channel::ALL.to_vec() };
            (format!("SIGKILL of {name}"), repeats)
        }
        Act::RedisAway => {
            let redis = redis.context("this scenario needs Redis")?;
            redis.process.kill()?;
            tokio::time::sleep(AWAY).await;
            let back = now();
            redis.start().await?;
            // Blind until it may answer again; how long the views need then is part of the fault.
            let what = format!("Redis away for {} s", AWAY.as_secs());
            return Ok(Fault { blinds: true, ..fault(what, from, back, Vec::new()) });
        }
        Act::Flush => {
            redis.context("this scenario needs Redis")?.flush()?;
            ("FLUSHALL".to_owned(), Vec::new())
        }
        Act::FlushAndRestart(name) => {
            redis.context("this scenario needs Redis")?.flush()?;
            let part = staffetta.part(name)?;
            part.process.end(DRAIN).await?;
            part.process.start()?;
            part.ready().await?;
            (format!("FLUSHALL and restart of {name}"), Vec::new())
        }
    };
    Ok(fault(what, from, now(), repeats))
}

fn fault(what: String, from: i64, to: i64, repeats: Vec<Channel>) -> Fault {
    Fault { what, from, to, repeats, freezes: false, blinds: false }
}

#[expect(clippy::print_stderr, reason = "a person waits at the terminal")]
pub fn eprint(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_moments_twice() {
        let acts = |seed| Scenario::Kill.acts(Layout::Two, seed);
        assert_eq!(acts(3), acts(3));
        assert_ne!(acts(3), acts(4));
        assert!(acts(3)[0].0 < acts(3)[1].0);
    }
}
