//! The sender API, drop-in for IO's: a request becomes a sealed `message.accepted`, acknowledged by the log
//! before the 201, or a refusal in IO's words.
//!
//! Promises: without `Idempotency-Key` the accept path is append and acknowledge, nothing else; a 429 means
//! *not taken*; an append of unknown outcome answers 500; nothing of a request (path, code, body) is logged.
//! Every rule is `policy::admit`'s; this folder gathers facts, asks, and answers.

mod address;
mod answers;
mod config;
mod gate;
mod idempotency;
mod limiter;
mod messages;
mod metrics;
mod openapi;
pub mod ports;
mod profiles;
mod reading;
mod record;
mod registry;
mod router;
mod seal;
mod shared;
mod sharing;

pub use address::{TrustedProxy, client_address};
pub(crate) use answers::{Refusal, respond};
pub use config::{IngestConfig, RateConfig};
pub use gate::Pass;
pub use limiter::{AccountDemand, Asked, Limiter};
pub(crate) use messages::path_text;
pub use metrics::{CATALOGUE, IngestMetrics, Operation};
pub(crate) use openapi::ProblemJson;
pub use openapi::document;
pub use record::accepted_record;
pub use registry::{BadDocument, Registry};
pub use router::{Ingest, router};
pub use seal::{Sealer, Unsealed};
pub use shared::RedisDemands;
pub use sharing::share_quotas;
