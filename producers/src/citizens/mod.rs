//! The citizen API: profile, preferences, devices, inbox, leaving; and the links in our mails.
//!
//! Promise: when a change has been answered with 200, no send that starts later ignores it. Every
//! record about a citizen leaves through one transactional writer, the pen, which one process holds at
//! a time and any may take; addresses and device tokens are sealed under the citizen's key before they
//! get there. A mail that validates an address is asked for in the transaction that writes the address
//! down, and leaves by the email edge's own stage.

mod answers;
mod api;
mod config;
mod desk;
mod door;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inbox;
mod installations;
#[cfg(test)]
mod laws;
mod leave;
mod links;
mod load;
mod login;
mod mailbox;
mod metrics;
mod openapi;
mod pen;
mod ports;
mod preferences;
mod profile;
mod rates;
mod records;
mod rules;
mod shape;

pub use api::{CitizenApi, router};
pub use config::{CitizensConfig, EmailClaim, KeySource, LoginConfig};
pub use desk::Desk;
pub use load::{LoadError, Onboarded, Onboarding, onboard};
pub use login::{Login, LoginError};
pub use metrics::{Asked, CATALOGUE, CitizenMetrics};
pub use ports::{Citizens, Contents, Dossier, NotReady, Services};
pub use rates::{CitizenRates, Rates};
