//! What the three channels share: the port, the stage around it, and the way a story goes on.
//!
//! Promise: every send starts on facts younger than `consent.max_age`, or not at all; a silent one
//! holds nothing up; every answer is in the story, in an event and in a counter; the first acceptance
//! ends the message as NOTIFIED.

mod edges;
mod events;
mod letters;
mod port;
mod route;
mod sends;
mod stage;
mod telling;

pub use edges::Edges;
pub use events::{Events, of_message};
pub use port::{Letter, NotStarted, Port, Words};
pub use route::{Routed, attempt_record, route};
pub use stage::{ChannelSettings, ChannelStage};
pub(crate) use telling::dice;
