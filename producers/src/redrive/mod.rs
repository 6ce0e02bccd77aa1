//! Redrive: an operator sends dead letters again, or ends them.
//!
//! Promise: a resend and its `dead.resolution` are one transaction under one fixed writer name, so no
//! letter is sent again by two operators. What is sent again opens a new epoch of its message and goes
//! the whole way through the stage that set it aside, which asks the directory as for any record:
//! consent and generation are those of that moment.

mod again;
mod desk;
mod filter;
mod letters;

#[cfg(test)]
mod laws;

pub use again::{Refusal, Standing, again};
pub use desk::{Backgrounds, Desk, DeskError, Verdict, opened, standings};
pub use filter::Filter;
pub use letters::{Letter, Letters, Origin, Resolved};
