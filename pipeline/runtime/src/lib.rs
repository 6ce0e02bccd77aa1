//! How records move: the log and its two implementations, the worker, its ledger, its world.
//!
//! Knows no rule of the product.

pub mod crash;
pub mod dead;
pub mod dead_limit;
pub mod delay;
pub mod embedded;
pub mod kafka;
pub mod ledger;
pub mod log;
pub mod metrics;
pub mod stage;
pub mod worker;
pub mod world;
