//! What the three channels share: the port, the stage around it, and the way a story goes on.
//!
//! Promise: every send starts on facts younger than `consent.max_age`; every answer is in the story,
//! in an event and in a counter; the first acceptance ends the message as NOTIFIED.

mod events;
mod letters;
mod port;
mod route;
mod stage;

pub use events::{Events, of_message};
pub use port::{Letter, Port, Words};
pub use route::{Routed, attempt_record, route};
pub use stage::{ChannelSettings, ChannelStage, Edges};
