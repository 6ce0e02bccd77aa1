//! A provider behind its gate: the one shape of all three ports.

use std::time::Duration;

use async_trait::async_trait;
use edge::pool::Snapshot;
use policy::outcome::Answer;
use runtime::metrics::Metrics;
use schemas::ids::Timestamp;
use schemas::topics::Channel;

use super::{Gate, Vitals};
use crate::channel::{Letter, NotStarted, Port};

/// What is particular to one provider: how it is asked, and what its answers mean.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    const CHANNEL: Channel;

    /// Asks once, after `gate` has let the send in, and waits for the answer.
    ///
    /// # Errors
    /// [`NotStarted`], where nothing could leave by `start_by`.
    async fn ask(
        &self,
        letter: &Letter,
        gate: &Gate,
        start_by: Timestamp,
    ) -> Result<Answer, NotStarted>;

    /// See [`Port::answer_within`].
    fn answer_within(&self) -> Duration;

    /// See [`Port::send_id`].
    fn send_id(&self, letter: &Letter) -> String;

    /// Its connections and how old its credential is (ms), where it has one.
    fn vitals(&self, now: Timestamp) -> (Snapshot, Option<i64>);

    /// Lets what is under way finish, then closes all connections.
    async fn close(&self);
}

/// One provider and the gate before it.
pub struct Gated<P> {
    pub(crate) provider: P,
    pub(crate) gate: Gate,
}

impl<P: Provider> Gated<P> {
    pub(crate) fn new(provider: P, gate: Gate) -> Self {
        Self { provider, gate }
    }

    /// Lets what is under way finish, then closes all connections.
    pub async fn close(&self) {
        self.provider.close().await;
    }

    /// How the edge does.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        let (connections, token_age_ms) = self.provider.vitals(self.gate.now());
        Vitals { gate: self.gate.vitals(), connections, token_age_ms }
    }
}

#[async_trait]
impl<P: Provider> Port for Gated<P> {
    fn channel(&self) -> Channel {
        P::CHANNEL
    }

    fn down_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.gate.down_until(now)
    }

    async fn send(&self, letter: &Letter, start_by: Timestamp) -> Result<Answer, NotStarted> {
        self.gate.enter(start_by).await?;
        let answer = self.provider.ask(letter, &self.gate, start_by).await?;
        Ok(self.gate.note(answer))
    }

    fn answer_within(&self) -> Duration {
        self.provider.answer_within()
    }

    fn send_id(&self, letter: &Letter) -> String {
        self.provider.send_id(letter)
    }

    fn believes_gone(&self, gone: bool, now: Timestamp) -> bool {
        self.gate.believes_gone(gone, now)
    }

    fn report(&self, metrics: &Metrics) {
        self.vitals().report(P::CHANNEL, metrics);
    }
}
