//! The laws of sealing, through the public API alone.

mod golden;
mod keyring;
mod personal;
mod seals;
mod tamper;
mod tokens;
mod transit;

use std::time::Duration;

use schemas::ids::{Generation, MessageId, Pseudonym, Timestamp};
use sealing::{
    CitizenKey, KeySchedule, KeySchedules, Keyring, MessageKey, SeededEntropy, TransitKeys,
};

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub const SCHEDULES: KeySchedules =
    KeySchedules { wire: days(7), dead_letter: days(90), batch_rows: days(3) };

const fn days(keep: u32) -> KeySchedule {
    KeySchedule { rotate_every: DAY, announce_ahead: DAY, keep: DAY.saturating_mul(keep) }
}

pub fn id(n: u128) -> MessageId {
    MessageId::from_parts(1_800_000_000_000, n)
}

/// An installation with one citizen, one message and one transit key of each use.
pub struct Town {
    pub entropy: SeededEntropy,
    pub keyring: Keyring,
    pub transit: TransitKeys,
    pub citizen: CitizenKey,
    pub message: MessageKey,
}

impl Town {
    pub fn new(seed: u64) -> Self {
        let entropy = SeededEntropy::new(seed);
        let keyring = Keyring::generate(&entropy, NOW);
        let (pseudonym, generation) =
            (Pseudonym(sealing::draw(&entropy)), Generation(sealing::draw(&entropy)));
        let citizen = CitizenKey::draw(&entropy, pseudonym, generation);
        let message = MessageKey::draw(&entropy);
        let mut town = Self { entropy, keyring, transit: TransitKeys::default(), citizen, message };
        town.turn(NOW);
        town
    }

    /// Publishes and reads back whatever is due; returns how many records that were.
    pub fn turn(&mut self, now: Timestamp) -> usize {
        let masters = self.keyring.masters();
        let due = self.transit.due_records(&self.entropy, masters, now, &SCHEDULES).expect("due");
        for record in &due {
            self.transit.apply(masters, record).expect("a record of our own");
        }
        due.len()
    }
}
