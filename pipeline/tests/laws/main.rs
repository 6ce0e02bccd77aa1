//! Laws of a whole installation: the binary as an operator runs it, with real files, processes and doors.

#![allow(clippy::unwrap_used, reason = "here a failed unwrap is a failed law")]

mod batches;
mod canary;
mod installation;
mod kafka;
mod mailbox;
mod planted;
mod poison;
mod postfix;
mod search;
mod send;
mod traffic;
