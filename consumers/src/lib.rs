//! Crate `consumers`.

pub mod apns;
pub mod channel;
pub mod claims;
pub mod consent;
pub mod delay;
pub mod directory;
pub mod email;
pub mod fcm;
pub mod gate;
mod held;
pub mod keys;
pub mod status;
pub mod vault;
pub mod view;
pub mod wording;
