//! Consent: may this service write to this citizen?
//!
//! Promise: every accepted message leaves as permitted, as a fallback email or with its final status;
//! a record under an `Idempotency-Key` that lies behind the first of its message is a copy and ends here.

mod stage;

pub use stage::ConsentStage;
