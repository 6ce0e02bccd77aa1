//! Crate `consumers`.

pub mod channel;
pub mod consent;
pub mod delay;
pub mod directory;
pub mod keys;
pub mod status;
pub mod vault;
pub mod view;
