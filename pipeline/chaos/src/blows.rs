//! The faults of a seeded campaign: what there is, what the seed draws, how each is done and mended.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::json;

use crate::evidence::Fault;
use crate::parts::{Broker, Redis, SESSION, STAGES, Simulators, Staffetta, now};
use crate::records::Channel;
use crate::source::KafkaSource;

/// A process that is asked to end has so long to drain.
const DRAIN: Duration = Duration::from_secs(60);
/// Longer than any time-out of the clients' and the broker's.
const SETTLED: Duration = Duration::from_secs(120);

/// One fault, with everything that chance decides about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL, and a start after a while.
    Kill(String, Duration),
    /// SIGSTOP for longer than a member may be silent, and SIGCONT.
    Freeze(String, Duration),
    /// SIGTERM, and a start.
    Restart(String),
    /// A third instance comes, the first two go for longer than a session, and come back.
    Scale(&'static str, Duration),
    KillBroker(usize, Duration),
    FreezeBroker(usize, Duration),
    /// Redis is killed and comes back with what it had on disk.
    KillRedis(Duration),
    FreezeRedis(Duration),
    Flush,
    /// The provider is not there: connections are cut, new ones closed.
    Down(Channel, Duration),
    /// The next requests are answered so.
    Answers(Channel, &'static str, u64),
    /// All connections are sent away, several times in a row.
    Goaway(Channel, u32),
    RefuseStreams(Channel, u64),
    /// No provider answers anything for a while, connections stay.
    Silence(Duration),
    /// The relay closes as soon as it is reached.
    RelayCloses(u64),
    /// The object store's folder is not there.
    StoreAway(Duration),
}

const PUSH: [Channel; 2] = [Channel::Apns, Channel::Fcm];

/// Draws the next fault and the rest before it.
pub fn draw(rng: &mut StdRng, brokers: usize) -> (Duration, Blow) {
    let rest = seconds(rng, 3.0, 10.0);
    let member = |rng: &mut StdRng| {
        let stage = STAGES.choose(rng).copied().unwrap_or("consent");
        format!("{stage}-{}", rng.random_range(0..2))
    };
    let doors = |rng: &mut StdRng| format!("ingest-{}", rng.random_range(0..2));
    let longer_than_a_session = |rng: &mut StdRng| SESSION + seconds(rng, 2.0, 8.0);
    let push = |rng: &mut StdRng| PUSH[rng.random_range(0..2)];
    let blow = match rng.random_range(0..100) {
        0..16 => Blow::Kill(member(rng), seconds(rng, 0.0, 5.0)),
        16..24 => Blow::Kill(doors(rng), seconds(rng, 0.0, 5.0)),
        24..38 => Blow::Freeze(member(rng), longer_than_a_session(rng)),
        38..42 => Blow::Freeze(doors(rng), longer_than_a_session(rng)),
        42..46 => Blow::Restart(member(rng)),
        46..50 => {
            Blow::Scale(STAGES[rng.random_range(0..STAGES.len())], longer_than_a_session(rng))
        }
        50..58 if brokers > 0 => {
            Blow::KillBroker(rng.random_range(0..brokers), seconds(rng, 1.0, 8.0))
        }
        58..62 if brokers > 0 => {
            Blow::FreezeBroker(rng.random_range(0..brokers), seconds(rng, 5.0, 15.0))
        }
        50..66 => Blow::KillRedis(seconds(rng, 1.0, 10.0)),
        66..70 => Blow::FreezeRedis(seconds(rng, 2.0, 8.0)),
        70..75 => Blow::Flush,
        75..79 => Blow::Down(push(rng), seconds(rng, 3.0, 12.0)),
        79..83 => {
            let channel = push(rng);
            let answer =
                if channel == Channel::Apns { "ServiceUnavailable" } else { "UNAVAILABLE" };
            Blow::Answers(channel, answer, rng.random_range(50..400))
        }
        83..87 => Blow::Goaway(push(rng), rng.random_range(3..10)),
        87..90 => Blow::RefuseStreams(push(rng), rng.random_range(20..200)),
        90..94 => Blow::Silence(seconds(rng, 1.0, 4.0)),
        94..97 => Blow::RelayCloses(rng.random_range(5..60)),
        _ => Blow::StoreAway(seconds(rng, 2.0, 8.0)),
    };
    (rest, blow)
}

fn seconds(rng: &mut StdRng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(rng.random_range(least..most))
}

/// Everything that can be hurt.
pub struct Victims<'a> {
    pub staffetta: &'a mut Staffetta,
    pub redis: &'a mut Redis,
    pub brokers: &'a mut Vec<Broker>,
    pub simulators: &'a mut Simulators,
    pub objects: PathBuf,
    pub log: KafkaSource,
}

/// On which channels sends may be repeated when this process loses its memory.
fn sends_of(member: &str) -> Vec<Channel> {
    let stage = member.split('-').next().unwrap_or_default();
    Channel::ALL.into_iter().filter(|channel| channel.name() == stage).collect()
}

impl Victims<'_> {
    /// Does it and mends it; returns when whatever was hurt is ready again.
    pub async fn suffer(&mut self, blow: &Blow) -> Result<Fault> {
        let from = now();
        self.strike(blow).await.with_context(|| format!("{blow:?}"))?;
        let (repeats, freezes, blinds) = match blow {
            Blow::Kill(member, _) => (sends_of(member), false, false),
            Blow::Freeze(member, _) => (sends_of(member), true, false),
            // A broker that dies may take the answer to a commit with it; whoever sent sends again.
            Blow::KillBroker(..) | Blow::FreezeBroker(..) => (Channel::ALL.to_vec(), false, false),
            Blow::KillRedis(_) | Blow::FreezeRedis(_) => (Vec::new(), false, true),
            // Partitions change hands; what was sent and not yet committed is sent by the next owner.
            Blow::Scale(stage, _) => (sends_of(stage), false, false),
            // Who drains and comes back keeps its partitions and has committed all that it sent.
            Blow::Restart(_)
            | Blow::Flush
            | Blow::Down(..)
            | Blow::Answers(..)
            | Blow::Goaway(..)
            | Blow::RefuseStreams(..)
            | Blow::Silence(_)
            | Blow::RelayCloses(_)
            | Blow::StoreAway(_) => (Vec::new(), false, false),
        };
        Ok(Fault { what: format!("{blow:?}"), from, to: now(), repeats, freezes, blinds })
    }

    async fn strike(&mut self, blow: &Blow) -> Result<()> {
        match blow {
            Blow::Kill(member, away) => {
                self.staffetta.part(member)?.process.kill()?;
                tokio::time::sleep(*away).await;
                self.back(member).await?;
                self.settled().await
            }
            Blow::Freeze(member, time) => {
                let process = &mut self.staffetta.part(member)?.process;
                process.freeze()?;
                tokio::time::sleep(*time).await;
                process.thaw()?;
                self.settled().await
            }
            Blow::Restart(member) => {
                self.staffetta.part(member)?.process.end(DRAIN).await?;
                self.back(member).await?;
                self.settled().await
            }
            Blow::Scale(stage, time) => self.scale(stage, *time).await,
            Blow::KillBroker(number, away) => {
                let broker = &mut self.brokers[*number];
                broker.kill().await?;
                tokio::time::sleep(*away).await;
                broker.start()?;
                self.settled().await
            }
            Blow::FreezeBroker(number, time) => {
                let broker = &mut self.brokers[*number];
                broker.freeze()?;
                tokio::time::sleep(*time).await;
                broker.thaw()?;
                self.settled().await
            }
            Blow::KillRedis(away) => {
                self.redis.process.kill()?;
                tokio::time::sleep(*away).await;
                self.redis.start().await
            }
            Blow::FreezeRedis(time) => {
                self.redis.process.freeze()?;
                tokio::time::sleep(*time).await;
                self.redis.process.thaw()
            }
            Blow::Flush => self.redis.flush(),
            Blow::Down(..)
            | Blow::Answers(..)
            | Blow::Goaway(..)
            | Blow::RefuseStreams(..)
            | Blow::Silence(_)
            | Blow::RelayCloses(_) => self.provider(blow).await,
            Blow::StoreAway(time) => self.store_away(*time).await,
        }
    }

    async fn provider(&mut self, blow: &Blow) -> Result<()> {
        let simulators = &mut *self.simulators;
        match blow {
            Blow::Down(channel, time) => {
                simulators.script(*channel, &json!({ "down": true })).await?;
                tokio::time::sleep(*time).await;
                simulators.script(*channel, &json!({ "down": false })).await
            }
            Blow::Answers(channel, answer, count) => {
                simulators.script(*channel, &json!({ "answer": answer, "count": count })).await
            }
            Blow::Goaway(channel, times) => {
                for _ in 0..*times {
                    simulators.script(*channel, &json!({ "goaway": true })).await?;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Ok(())
            }
            Blow::RefuseStreams(channel, count) => {
                simulators.script(*channel, &json!({ "refuse_streams": count })).await
            }
            Blow::Silence(time) => {
                simulators.process.freeze()?;
                tokio::time::sleep(*time).await;
                simulators.process.thaw()
            }
            Blow::RelayCloses(count) => {
                let script =
                    json!({ "smtp": { "phase": "connect", "close": true }, "count": count });
                simulators.script(Channel::Email, &script).await
            }
            Blow::Kill(..)
            | Blow::Freeze(..)
            | Blow::Restart(_)
            | Blow::Scale(..)
            | Blow::KillBroker(..)
            | Blow::FreezeBroker(..)
            | Blow::KillRedis(_)
            | Blow::FreezeRedis(_)
            | Blow::Flush
            | Blow::StoreAway(_) => bail!("no fault of a provider"),
        }
    }

    /// The fault is over when the groups have found together again, twice in a row.
    pub async fn settled(&self) -> Result<()> {
        let end = tokio::time::Instant::now() + SETTLED;
        let mut in_a_row = 0;
        while in_a_row < 2 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let log = self.log.clone();
            let settled = tokio::task::spawn_blocking(move || log.is_settled()).await?;
            in_a_row = if settled.unwrap_or(false) { in_a_row + 1 } else { 0 };
            if tokio::time::Instant::now() > end {
                bail!("the groups have not found together again within {SETTLED:?}");
            }
        }
        Ok(())
    }

    async fn back(&mut self, member: &str) -> Result<()> {
        let part = self.staffetta.part(member)?;
        part.process.start()?;
        part.ready().await
    }

    /// Two become three, three become one, one becomes two.
    async fn scale(&mut self, stage: &'static str, time: Duration) -> Result<()> {
        let third = format!("{stage}-2");
        if self.staffetta.part(&third).is_err() {
            self.staffetta.add_stage(stage, 2)?;
        } else {
            self.staffetta.part(&third)?.process.start()?;
        }
        self.staffetta.part(&third)?.ready().await?;
        for ordinal in 0..2 {
            let part = self.staffetta.part(&format!("{stage}-{ordinal}"))?;
            part.process.end(DRAIN).await?;
        }
        tokio::time::sleep(time).await;
        for ordinal in 0..2 {
            self.back(&format!("{stage}-{ordinal}")).await?;
        }
        self.staffetta.part(&third)?.process.end(DRAIN).await?;
        // A member with a name of its own is missed only when its session has ended.
        tokio::time::sleep(SESSION).await;
        self.settled().await
    }

    /// A file stands where the folder was, so nothing can be written or read in it.
    async fn store_away(&mut self, time: Duration) -> Result<()> {
        let away = self.objects.with_extension("away");
        std::fs::rename(&self.objects, &away)?;
        std::fs::write(&self.objects, b"")?;
        tokio::time::sleep(time).await;
        std::fs::remove_file(&self.objects)?;
        Ok(std::fs::rename(&away, &self.objects)?)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_seed_draws_the_same_faults_twice() {
        let draws = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..200).map(|_| draw(&mut rng, 3)).collect::<Vec<_>>()
        };
        assert_eq!(draws(5), draws(5));
        assert_ne!(draws(5), draws(6));
    }

    #[test]
    fn a_freeze_outlasts_a_session() {
        let mut rng = StdRng::seed_from_u64(5);
        for _ in 0..500 {
            if let (_, Blow::Freeze(_, time)) = draw(&mut rng, 1) {
                assert!(time > SESSION);
            }
        }
    }
}
