//! What travels on the log: identifiers, topics, records, headers and their encoding.
//!
//! Knows no stage, no server and no clock. Everything here is plain data.

pub mod codec;
pub mod content;
pub mod headers;
pub mod ids;
pub mod partitioner;
pub mod records;
pub mod topics;
