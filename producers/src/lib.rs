//! Crate `producers`.

pub mod batch;
pub mod citizens;
pub mod http;
pub mod ingest;
pub mod redrive;
