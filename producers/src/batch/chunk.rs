//! Chunks: some rows of a batch, sealed together.

use std::net::IpAddr;

use runtime::world::World;
use schemas::records::{BatchChunk, Reason};
use sealing::{Entropy, KeyUse, SealError};
use serde::{Deserialize, Serialize};

use crate::ingest::{Sealer, Unsealed};

/// What lies sealed in the store. JSON, as all that lies inside seals.
#[derive(Serialize, Deserialize)]
pub struct Rows {
    /// From where they were uploaded: asked again when they leave.
    pub client_ip: Option<IpAddr>,
    pub rows: Vec<Row>,
}

/// One row: a message's body, or why it cannot be sent.
#[derive(Serialize, Deserialize)]
pub struct Row {
    /// The sender's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The row says what an earlier one said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Why, as a single call would have said it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Refused {
    pub title: String,
    pub detail: String,
}

/// Why a chunk does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// Ours, for now.
    Wait,
    /// For good: its rows cannot be sent any more.
    Lost(Reason),
}

/// What a chunk is bound to: another batch's, or another place in its own, opens as nothing.
fn name(batch: &str, number: i32) -> Vec<u8> {
    format!("{batch}/{number}").into_bytes()
}

struct Chance<'a>(&'a World);

impl Entropy for Chance<'_> {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

/// The wrapped key and the sealed rows.
///
/// # Errors
/// [`Unsealed`].
pub fn seal(
    sealer: &Sealer,
    world: &World,
    batch: &str,
    number: i32,
    rows: &Rows,
) -> Result<(Vec<u8>, Vec<u8>), Unsealed> {
    let plain = serde_json::to_vec(rows).map_err(|_| Unsealed::Broken)?;
    let (id, now) = (name(batch, number), world.now());
    let transit = sealer.transit.read();
    let sealed = transit.seal_envelope(&Chance(world), KeyUse::BatchRows, now, &id, &plain);
    let envelope = sealed.map_err(|error| match error {
        SealError::TooLarge { .. } => Unsealed::Broken,
        SealError::NoCurrentKey(_)
        | SealError::UnknownKey(_)
        | SealError::Unavailable
        | SealError::TooShort
        | SealError::Tampered
        | SealError::BadForm
        | SealError::DestroyedKey(_) => Unsealed::Wait,
    })?;
    Ok((envelope.wrapped_key.0, envelope.sealed.0))
}

/// The rows of a chunk.
///
/// # Errors
/// [`Unopened`].
pub fn open(sealer: &Sealer, chunk: &BatchChunk, sealed: &[u8]) -> Result<Rows, Unopened> {
    let id = name(&chunk.batch_id, chunk.number);
    let opened = sealer.transit.read().open_envelope(&id, &chunk.wrapped_key.0, sealed);
    let plain = opened.map_err(|error| match error {
        SealError::NoCurrentKey(_) | SealError::UnknownKey(_) | SealError::Unavailable => {
            Unopened::Wait
        }
        SealError::DestroyedKey(_) => Unopened::Lost(Reason::KeyMissing),
        SealError::TooShort
        | SealError::Tampered
        | SealError::TooLarge { .. }
        | SealError::BadForm => Unopened::Lost(Reason::Tampered),
    })?;
    serde_json::from_slice(&plain).map_err(|_| Unopened::Lost(Reason::Undecodable))
}

/// A sender's settings, sealed for the batch's record.
///
/// # Errors
/// [`Unsealed`].
pub fn seal_settings(
    sealer: &Sealer,
    world: &World,
    batch: &str,
    plain: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), Unsealed> {
    let (id, now) = (format!("{batch}/settings"), world.now());
    let transit = sealer.transit.read();
    let entropy = Chance(world);
    let sealed = transit.seal_envelope(&entropy, KeyUse::BatchRows, now, id.as_bytes(), plain);
    sealed.map(|it| (it.wrapped_key.0, it.sealed.0)).map_err(|_| Unsealed::Wait)
}

/// The reverse; nothing where it cannot be opened.
pub fn open_settings(
    sealer: &Sealer,
    batch: &str,
    wrapped_key: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let id = format!("{batch}/settings");
    sealer.transit.read().open_envelope(id.as_bytes(), wrapped_key, sealed).ok()
}
