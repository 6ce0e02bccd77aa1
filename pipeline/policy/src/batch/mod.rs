//! Batches: what becomes of a file of messages, whose turn it is, and how its rows are counted.

pub mod fair;
pub mod identity;
pub mod life;
pub mod tally;
pub mod template;
pub mod window;
pub mod words;
