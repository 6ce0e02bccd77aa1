//! What every log promises, written once and run against each implementation.

mod bed;
mod hands;
mod laws;

mod embedded;
mod kafka;
