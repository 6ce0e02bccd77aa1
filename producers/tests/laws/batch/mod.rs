//! Batches: uploads, orders, release and results, over HTTP and an embedded log.

mod bad_input;
pub mod bed;
mod orders;
mod release;
mod restart;
mod turns;
mod uploads;
