//! FCM: tells an Android phone that there is a message, by the HTTP v1 API.
//!
//! Promise: what Google answers becomes exactly one outcome (`classify`); a repeat carries the same
//! tag, so that it replaces what is shown; the notification never outlives the message's deadline;
//! only what the citizen allows is in it.

mod classify;
mod config;
mod payload;
mod port;

pub use classify::classify;
pub use config::FcmConfig;
pub use port::FcmPort;
