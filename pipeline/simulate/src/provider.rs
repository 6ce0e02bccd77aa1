//! A provider that changes its mood, and the port in front of it: what the real ports are, without a wire.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use consumers::channel::{Letter, NotStarted, Port};
use consumers::gate::{Gate, GateConfig, Keys};
use parking_lot::Mutex;
use policy::outcome::Answer;
use runtime::world::World;
use schemas::ids::Timestamp;
use schemas::records::OutcomeKind;
use schemas::topics::Channel;

use crate::history::{History, Send};
use crate::tables::{self, Row, Said};
use crate::universe::Universe;

/// An answer that has not come by then counts as none, as in the real pools.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How a provider is disposed for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes nearly everything.
    Good,
    /// Any row of its table.
    Mixed,
    /// Fails, or says nothing.
    Down,
    /// Refuses us for a setting of ours.
    Wrong,
    /// Calls address after address dead.
    Wave,
    /// Takes everything, always: for laws that need it so.
    Kind,
    /// Fails, always, and asks for a minute.
    Busy,
    /// There is nobody to connect to: nothing leaves.
    Away,
}

impl Mood {
    /// Out of a hundred, for each class.
    fn weight(self, kind: OutcomeKind) -> u64 {
        use OutcomeKind::{
            Accepted, AddressGone, Indeterminate, Misconfigured, Other, Unavailable,
        };
        match (self, kind) {
            (_, Other) => 0,
            (Self::Kind, Accepted) => 1,
            (Self::Busy | Self::Away, Unavailable) => 1,
            (Self::Kind | Self::Busy | Self::Away, _) => 0,
            (Self::Good, Accepted) => 80,
            (Self::Good, Misconfigured) => 1,
            (Self::Good, _) => 4,
            (Self::Mixed, Accepted) => 25,
            (Self::Mixed, Misconfigured) => 5,
            (Self::Mixed, _) => 14,
            (Self::Down, Unavailable) => 60,
            (Self::Down, Indeterminate) => 30,
            (Self::Down, Accepted) => 10,
            (Self::Down, _) => 0,
            (Self::Wrong, Misconfigured) => 95,
            (Self::Wrong, Accepted) => 5,
            (Self::Wrong, _) => 0,
            (Self::Wave, AddressGone) => 70,
            (Self::Wave, Accepted) => 30,
            (Self::Wave, _) => 0,
        }
    }

    /// One of the moods that a drawn world knows.
    #[must_use]
    pub fn drawn(universe: &Universe) -> Self {
        match universe.draw(10) {
            0..=3 => Self::Good,
            4..=6 => Self::Mixed,
            7 => Self::Down,
            8 => Self::Wrong,
            _ => Self::Wave,
        }
    }
}

/// The provider behind a channel; all processes meet the same one.
pub struct Provider {
    channel: Channel,
    universe: Universe,
    history: History,
    mood: Mutex<Mood>,
}

impl Provider {
    #[must_use]
    pub fn new(channel: Channel, universe: Universe, history: History) -> Self {
        Self { channel, universe, history, mood: Mutex::new(Mood::Good) }
    }

    pub fn turn(&self, mood: Mood) {
        self.history.note(format!("{} is {mood:?} now", self.channel.name()));
        *self.mood.lock() = mood;
    }

    fn row(&self) -> Row {
        let mood = *self.mood.lock();
        let kinds = OutcomeKind::ALL;
        let total: u64 = kinds.iter().map(|kind| mood.weight(*kind)).sum();
        let mut drawn = self.universe.draw(total.max(1));
        let kind = kinds.iter().copied().find(|kind| {
            let weight = mood.weight(*kind);
            let found = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            found
        });
        let all = tables::rows(self.channel);
        let possible = |row: &&Row| mood != Mood::Away || !row.left;
        let fitting = all.iter().filter(|row| Some(row.kind) == kind).filter(possible);
        let fitting: Vec<&Row> = fitting.collect();
        let nth = self.universe.draw(fitting.len().max(1) as u64);
        usize::try_from(nth).ok().and_then(|nth| fitting.get(nth)).map_or(all[0], |row| **row)
    }

    /// How long the answer takes; most come soon.
    fn takes(&self, said: Said) -> Duration {
        match (said, self.universe.draw(20)) {
            (Said::Nothing, _) => ANSWER_WITHIN,
            (_, 0) => self.universe.millis(1_000, 9_000),
            (_, 1..=3) => self.universe.millis(300, 1_000),
            (_, _) => self.universe.millis(2, 200),
        }
    }
}

/// One process's port: its own gate before the common provider.
pub struct Double {
    provider: Arc<Provider>,
    gate: Gate,
    world: World,
}

impl Double {
    #[must_use]
    pub fn new(provider: Arc<Provider>, gate: &GateConfig, world: &World) -> Self {
        let gate = Gate::new(gate, Keys(provider.channel.name()), world);
        Self { provider, gate, world: world.clone() }
    }

    fn as_send(&self, letter: &Letter, left: bool) -> Send {
        Send {
            owner: self.provider.universe.polled(),
            message: letter.message_id,
            citizen: letter.citizen,
            service: letter.service_id.to_string(),
            channel: self.provider.channel,
            installation: letter.installation.clone(),
            address: letter.address.clone(),
            started: self.provider.history.moment(),
            left,
            answered: None,
        }
    }

    async fn ask(&self, letter: &Letter) -> Answer {
        let provider = &self.provider;
        let row = provider.row();
        let nth = provider.history.send(self.as_send(letter, row.left));
        let until = self.world.now().plus(provider.takes(row.said));
        self.world.sleep_until(until).await;
        provider.history.answer(nth, row.kind, row.wait);
        named(tables::answer(row.said, self.world.now()), nth)
    }
}

/// Every answer names its send, so that the model finds the event that tells of it.
fn named(answer: Answer, nth: usize) -> Answer {
    Answer { provider_id: Some(nth.to_string()), ..answer }
}

#[async_trait]
impl Port for Double {
    fn channel(&self) -> Channel {
        self.provider.channel
    }

    fn down_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.gate.down_until(now)
    }

    async fn send(&self, letter: &Letter, start_by: Timestamp) -> Result<Answer, NotStarted> {
        self.gate.enter(start_by).await?;
        Ok(self.gate.note(self.ask(letter).await))
    }

    fn answer_within(&self) -> Duration {
        ANSWER_WITHIN
    }

    fn send_id(&self, letter: &Letter) -> String {
        format!("{}-{}", letter.message_id, letter.installation)
    }

    fn believes_gone(&self, gone: bool, now: Timestamp) -> bool {
        self.gate.believes_gone(gone, now)
    }
}
