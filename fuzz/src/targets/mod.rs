//! What is called, and what must hold.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

pub mod answers;
pub mod citizens;
pub mod records;
pub mod requests;
pub mod rows;

/// Readers that are async by nature run here, with time that nobody waits for.
static EXECUTOR: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("an executor"));

/// The first bytes as a number, and what follows.
fn number<const BYTES: usize>(bytes: &[u8]) -> (u64, &[u8]) {
    match bytes.split_first_chunk::<BYTES>() {
        Some((first, rest)) => {
            (first.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest)
        }
        None => (0, bytes),
    }
}
