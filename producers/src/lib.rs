//! Crate `producers`.

pub mod http;
