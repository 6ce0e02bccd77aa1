//! The laws, by area. Each takes a fresh bed and panics where it does not hold.

pub mod members;
pub mod readers;
pub mod topics;
pub mod transactions;
pub mod writers;
