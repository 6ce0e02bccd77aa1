//! Crate `producers`.

pub mod http;
pub mod ingest;
