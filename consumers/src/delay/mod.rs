//! Delay: holds a record until it is due, then gives it back to the topic it came from.
//!
//! Promise: nothing leaves early, nothing is lost while it waits; a record whose class is over but
//! which is not yet due is filed again for the remainder.

mod stage;

pub use stage::DelayStage;
