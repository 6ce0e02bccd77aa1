//! Crate `benches`.
