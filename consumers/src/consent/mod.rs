//! Consent: may this service write to this citizen?
//!
//! Promise: every accepted message leaves as permitted, as a fallback email or with its final status;
//! a record met at a later position than its first sighting is a duplicate and ends here.

mod stage;

pub use stage::ConsentStage;
