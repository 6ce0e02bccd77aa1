//! The paths of batches, served by the sender API.

mod answers;
mod create;
mod intake;
mod orders;
mod remembered;
mod results;
mod upload;

use std::sync::Arc;

use runtime::log::Appender;
use tokio::sync::Semaphore;

use super::config::BatchConfig;
use super::ports::ChunkStore;
use super::view::BatchView;

pub use answers::{BatchAnswer, Hours};
pub use create::{__path_create, create};
pub use orders::{
    __path_cancel, __path_complete, __path_get_batch, __path_pause, __path_resume, cancel,
    complete, get_batch, pause, resume,
};
pub use results::{__path_results, ResultLine, results};
pub use upload::{__path_put_rows, put_rows};

pub use super::settings::{BatchRequest, Window};

/// What the doors need for batches.
pub struct Batches {
    pub config: BatchConfig,
    pub view: Arc<BatchView>,
    /// Appends orders.
    pub orders: Arc<dyn Appender>,
    pub store: Arc<dyn ChunkStore>,
    /// Places for uploads.
    uploads: Arc<Semaphore>,
}

impl Batches {
    #[must_use]
    pub fn new(
        config: BatchConfig,
        view: Arc<BatchView>,
        orders: Arc<dyn Appender>,
        store: Arc<dyn ChunkStore>,
    ) -> Self {
        let uploads = Arc::new(Semaphore::new(config.uploads));
        Self { config, view, orders, store, uploads }
    }
}
