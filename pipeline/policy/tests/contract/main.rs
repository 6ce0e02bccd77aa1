//! Laws of the sender contract and of admission, as pure functions.

#![allow(clippy::unwrap_used, reason = "here a failed unwrap is a failed law")]

mod bad_messages;
mod boundaries;
mod order;
mod projection;
mod reading;
mod support;
