//! Crate `producers`.

pub mod citizens;
pub mod http;
pub mod ingest;
pub mod redrive;
