//! Batches: uploads, orders, release and results, over HTTP and an embedded log.

pub mod bed;
mod release;
