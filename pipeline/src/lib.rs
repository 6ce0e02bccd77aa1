//! The binary's parts: configuration, topology, wiring, commands and the demo.

mod accepted;
mod batches;
mod channels;
mod citizens;
pub mod commands;
pub mod config;
#[cfg(feature = "simulators")]
mod demo;
mod doors;
mod followers;
mod housekeeping;
mod logs;
mod plant;
mod ports;
mod seating;
mod topology;
mod views;
