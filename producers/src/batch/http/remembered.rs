//! What the rows before an upload said, so that it knows a repeated one.

use std::collections::HashSet;

use schemas::records::BatchState;

use super::super::chunk::{self, Row, Unopened};
use super::orders::unsealed;
use crate::ingest::{Ingest, Refusal};

/// Keyed hashes of rows, or of what tells them apart; bounded.
#[derive(Default)]
pub struct Seen {
    hashes: HashSet<u64>,
    most: usize,
}

/// What is known of a row's like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    New,
    Repeated,
    /// So many rows are held that no further one can be.
    Full,
}

impl Seen {
    pub fn of(most: usize) -> Self {
        Self { hashes: HashSet::new(), most }
    }

    pub fn take(&mut self, hash: u64) -> Before {
        if self.hashes.contains(&hash) {
            return Before::Repeated;
        }
        if self.hashes.len() >= self.most {
            return Before::Full;
        }
        self.hashes.insert(hash);
        Before::New
    }
}

/// What a row is known by: its own name where it has one, else all that it says.
pub fn hash(ingest: &Ingest, batch: &str, id: Option<&str>, body: &str) -> u64 {
    let (kind, text) = id.map_or(("body:", body), |id| ("id:", id));
    ingest.sealer.keyring.hashes().batch_row(batch, format!("{kind}{text}").as_bytes())
}

/// The rows that are durable already: nothing has to be read for a batch without any.
pub async fn rows(ingest: &Ingest, state: &BatchState) -> Result<Seen, Refusal> {
    let batches = &ingest.batches;
    let mut seen = Seen::of(batches.config.remembered_rows);
    for number in 0..state.chunks {
        let chunk = batches.view.chunk(&state.batch_id, number).ok_or(Refusal::NotReady)?;
        let length = u64::try_from(chunk.length).unwrap_or(0);
        let sealed = batches.store.get(&chunk.object, length).await;
        let sealed = sealed.map_err(|_| Refusal::NotReady)?.ok_or_else(unsealed)?;
        let rows = chunk::open(&ingest.sealer, &chunk, &sealed).map_err(|why| match why {
            Unopened::Wait => Refusal::NotReady,
            Unopened::Lost(_) => unsealed().into(),
        })?;
        let sent = |row: &&Row| row.refused.is_none();
        for row in rows.rows.iter().filter(sent) {
            seen.take(hash(ingest, &state.batch_id, row.id.as_deref(), &row.body));
        }
    }
    Ok(seen)
}
