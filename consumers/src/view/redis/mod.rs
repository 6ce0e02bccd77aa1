//! Views on a Redis server: one connection, slot groups, and the atomic steps that the two views share.
//!
//! Each view is cut into [`GROUPS`] slot groups. All keys of a group share a hash tag, so a script sees
//! them together, also on a cluster. A group's own hash holds its epoch, the server it was last seen on,
//! its positions and the ready marker; they move in the same script as the data. A flush takes data and
//! marker alike; a restart or failover shows as another server; an older copy shows in its positions.

mod groups;
mod server;

pub use server::{RedisServer, ServerFault, redis_client};

pub(crate) use groups::{Groups, Operation, Routed};

/// Slot groups of a view. Part of the layout: another number is another view.
pub(crate) const GROUPS: usize = 16;
