//! Crate `consumers`.

pub mod directory;
pub mod view;
