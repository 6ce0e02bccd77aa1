//! APNs: tells an iPhone that there is a message.
//!
//! Promise: what Apple answers becomes exactly one outcome (`classify`); a repeat carries the same
//! `apns-id` and the same collapse id, so that it replaces what is shown; the notification never
//! outlives the message's deadline; only what the citizen allows is in it.

mod classify;
mod config;
mod payload;
mod port;

pub use classify::classify;
pub use config::ApnsConfig;
pub use port::ApnsPort;
