//! How we reach providers of push notifications: long-lived HTTP/2 connections ([`pool`]), the
//! tokens that open them ([`token`]), and three small machines that decide when to hold back:
//! [`breaker`] (a failing provider), [`pacing`] (a rate) and [`guard`] (a wave of dead addresses).
//!
//! This crate knows no message, no citizen and no provider's vocabulary: what an answer *means*
//! is the business of each channel's `classify`. An **edge** is one way out to one provider
//! (provider, app, environment), with a pool, a breaker, a pace and a guard of its own, so that
//! the trouble of one never starves another.
//!
//! The three machines are pure: `now` is passed in, in Unix milliseconds.

use std::sync::Arc;

pub mod breaker;
pub mod guard;
pub mod pacing;
pub mod pool;
mod retry_after;
pub mod tls;
pub mod token;
mod window;

pub use retry_after::{LONGEST_RETRY_AFTER, retry_after};

/// Wall clock, in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Randomness for jitter, uniform in `[0, 1)`. Never used for secrets.
pub type Random = Arc<dyn Fn() -> f64 + Send + Sync>;
