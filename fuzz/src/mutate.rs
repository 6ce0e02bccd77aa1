//! Unguided mutation: what libFuzzer's default mutators do, without its memory of what was covered.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Bytes at which readers turn.
const SHARP: &[u8] = b"\0\n\r\t \"'\\{}[]:,;.-+=@/%<>09azAZ\x7f\x80\xc3\xe2\xff";

/// Draws one input after another from kept ones.
pub struct Mutator<'c> {
    chance: SmallRng,
    cases: &'c [Vec<u8>],
    longest: usize,
}

impl<'c> Mutator<'c> {
    /// The same seed and cases give the same inputs.
    #[must_use]
    pub fn new(seed: u64, cases: &'c [Vec<u8>], longest: usize) -> Self {
        Self { chance: SmallRng::seed_from_u64(seed), cases, longest }
    }

    /// One to eight changes of a drawn case.
    pub fn draw(&mut self) -> Vec<u8> {
        let mut bytes = self.case();
        for _ in 0..self.chance.random_range(1..=8) {
            self.change(&mut bytes);
        }
        bytes.truncate(self.longest);
        bytes
    }

    fn case(&mut self) -> Vec<u8> {
        self.cases.choose(&mut self.chance).cloned().unwrap_or_default()
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.chance.random_range(0..=bytes.len());
        let until = (at + self.chance.random_range(0..=16)).min(bytes.len());
        match self.chance.random_range(0..9) {
            0 => drop(bytes.drain(at..until)),
            1 => bytes.truncate(at),
            2 => bytes.splice(at..at, bytes[at..until].to_vec()).for_each(drop),
            3 => bytes.insert(at, self.chance.random()),
            4 => bytes.insert(at, *SHARP.choose(&mut self.chance).unwrap_or(&0)),
            5 if at < until => bytes[at] ^= 1 << self.chance.random_range(0..8),
            6 if at < until => bytes[at] = *SHARP.choose(&mut self.chance).unwrap_or(&0),
            7 => {
                // The end of another case behind the beginning of this one.
                let other = self.case();
                let from = self.chance.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let digits: i64 = self.chance.random::<i64>() >> self.chance.random_range(0..64);
                bytes.splice(at..at, digits.to_string().into_bytes()).for_each(drop);
            }
        }
    }
}
