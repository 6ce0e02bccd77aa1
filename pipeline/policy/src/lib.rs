//! Every rule of the product, as pure functions of facts and `now`.
//!
//! Knows no clock, no I/O, no async, no randomness.

pub mod admit;
pub mod batch;
pub mod claim;
pub mod consent;
pub mod contract;
pub mod mailbox;
pub mod next_step;
pub mod outcome;
pub mod retention;
pub mod retry;
pub mod status;
pub mod story;
