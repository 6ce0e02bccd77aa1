//! The ports against doubles that accept and refuse as the real services do, over real sockets and
//! TLS; and email against a real Postfix.

#![allow(
    clippy::unwrap_used,
    reason = "a double or a helper that fails must fail the test that uses it"
)]

mod apns;
mod bench;
mod dkim;
mod email;
mod fcm;
mod hostile;
mod postfix;
mod rig;
mod silence;
mod validation;
mod wave;
