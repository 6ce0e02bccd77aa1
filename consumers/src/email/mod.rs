//! Email: tells a mailbox that there is a message, or brings the message to somebody who has no inbox.
//!
//! Promise: nothing leaves in clear; every mail is signed and can be answered with one click that
//! stops the next, but for the link that validates an address, which the citizen asked for; a notice
//! never says what the message is about; a repeat carries the same `Message-ID`; a reply lost after
//! the final dot is `indeterminate`, never a guess.
//!
//! `lettre` writes the mail (headers, encodings, parts). The dialogue and the signature are ours:
//!
//! - `lettre` keeps what was received in clear before STARTTLS, so that somebody on the way could put
//!   answers there (RFC 3207 §6); it takes a reply that is not UTF-8 for a broken connection, does not
//!   tell at which command a refusal came, and sends one command a round trip.
//! - Its DKIM signs RSA with a library whose timing leaks (RUSTSEC-2023-0071); `aws-lc-rs` does not.

mod classify;
mod config;
mod dialogue;
mod dkim;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod letter;
mod port;
mod relay;
mod reply;
mod template;
mod validation;
mod wire;

pub use classify::classify;
pub use config::{DkimConfig, EmailConfig, Encryption};
pub use port::EmailPort;
pub use reply::{Enhanced, Phase, Reply};
pub use validation::{ValidationLetter, ValidationSettings, ValidationStage};
