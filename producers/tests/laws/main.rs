//! Laws of the doors, over real HTTP.

#![allow(clippy::unwrap_used, reason = "here a failed unwrap is a failed law")]

mod batch;
#[path = "../described/mod.rs"]
mod described;
mod ingest;
