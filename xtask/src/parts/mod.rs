//! The real servers beside which Staffetta is tried: each binds to 127.0.0.1 on a port chosen at
//! start, keeps everything in one folder, and ends by its recorded process id.

pub mod kafka;
pub mod place;
pub mod postfix;
pub mod redis;
pub mod running;

pub use place::Place;
pub use running::Running;
