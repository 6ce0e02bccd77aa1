//! Views on a Redis server: one connection, slot groups, and the atomic steps that the two views share.
//!
//! Each view is cut into [`GROUPS`] slot groups. All keys of a group share a hash tag, so a script sees
//! them together, also on a cluster. A group's own hash holds its epoch, the server it was last seen on,
//! its positions and the ready marker; they move in the same script as the data. A flush takes data and
//! marker alike; a restart or failover shows as another server; an older copy shows in its positions.

use runtime::log::{Position, TopicPartition};
use schemas::topics::Topic;

mod groups;
#[cfg(test)]
mod laws;
mod server;
mod sweep;

pub use server::{RedisServer, ServerFault, redis_client};

pub(crate) use groups::{Groups, Operation, Routed, asking};

/// Slot groups of a view. Part of the layout: another number is another view.
pub(crate) const GROUPS: usize = 16;

/// A position as text: topic, partition, offset.
pub(crate) fn position_text(position: Position) -> String {
    let Position { at, offset } = position;
    format!("{}/{}/{offset}", at.topic, at.partition)
}

/// The position that [`position_text`] wrote.
pub(crate) fn position_from(text: &str) -> Option<Position> {
    let mut pieces = text.split('/');
    let topic = Topic::named(pieces.next()?)?;
    let partition = pieces.next()?.parse().ok()?;
    let offset = pieces.next()?.parse().ok()?;
    Some(Position { at: TopicPartition { topic, partition }, offset })
}
