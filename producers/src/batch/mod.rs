//! Batches: a sender hands over a file, its rows lie sealed until their turn in the bulk lane.
//!
//! Promises: a row that was told to be durable is released once, or counted as refused or cancelled,
//! whatever restarts in between; 200 for pause and cancel comes after the owner has logged the last
//! released row; a giant delays a small sender by one round at most; counters add up to the rows.
//!
//! The owner of a batch is the member of the group `batch.bulk` that its partition of `batch.command` is
//! assigned to. It alone writes `batch.state` and `batch.chunk`, and in the same transaction the rows it
//! releases: the cursor cannot be ahead of them or behind. Doors append orders and wait until the view of
//! batches shows that they were answered.

mod chunk;
mod config;
mod follow;
pub mod http;

mod metrics;
mod owner;
mod ports;
pub mod rows;
mod settings;
mod view;

pub use config::BatchConfig;
pub use follow::follow;
pub use http::Batches;
pub use metrics::{BatchMetrics, CATALOGUE};
pub use owner::{Owner, OwnerParts, Worked};
pub use ports::{ChunkStore, StoreDown};
pub use view::BatchView;
