//! Where random bytes come from: the system, or a seed.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::{hmac, rand};

/// A source of random bytes for keys, nonces and generations.
pub trait Entropy: Send + Sync {
    /// Fills the whole of `bytes`. Cannot fail: a process without randomness must not go on.
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` random bytes.
#[must_use]
pub fn draw<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// The generator of `aws-lc`, seeded by the operating system. The only one for production.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // aws-lc itself aborts when the system yields no randomness, so this never returns an error.
        rand::fill(bytes)
            .expect("the system's random generator must work: restart on a sound host");
    }
}

/// A stream that is a function of its seed and of the order of calls. **Simulation and tests
/// only**: whoever knows the seed knows every key.
pub struct SeededEntropy {
    key: hmac::Key,
    block: AtomicU64,
}

impl SeededEntropy {
    /// One seed, one stream.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes());
        Self { key, block: AtomicU64::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = self.block.fetch_add(1, Ordering::Relaxed);
            let tag = hmac::sign(&self.key, &block.to_be_bytes());
            chunk.copy_from_slice(&tag.as_ref()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream_and_two_seeds_give_two() {
        let stream = |seed| draw::<100>(&SeededEntropy::new(seed));
        assert_eq!(stream(7), stream(7));
        assert_ne!(stream(7), stream(8));
    }

    #[test]
    fn a_stream_does_not_repeat_itself() {
        let entropy = SeededEntropy::new(7);
        assert_ne!(draw::<32>(&entropy), draw::<32>(&entropy));
        assert_ne!(draw::<32>(&SystemEntropy), draw::<32>(&SystemEntropy));
    }
}
