//! Vault: the sealed payload into the object store, its key under the citizen's key, and the story begins.
//!
//! Promise: the object is durable before the record that names it is published; payload bytes are
//! never opened here, only the 32-byte message key is wrapped anew. An object whose transaction
//! aborted is an orphan that nobody can find, and goes with its day.

mod days;
mod stage;
mod store;

pub use stage::VaultStage;
pub use store::{Store, StoreConfig, StoreError, VaultStore};
