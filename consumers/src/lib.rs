//! Crate `consumers`.

pub mod directory;
pub mod status;
pub mod view;
