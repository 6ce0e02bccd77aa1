//! What every log promises, written once and run against each implementation.

#![allow(clippy::unwrap_used)] // a law that cannot go on says so by panicking

mod bed;
mod hands;
mod laws;

mod embedded;
mod kafka;
