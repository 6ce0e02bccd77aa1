//! The citizen API: profile, preferences, devices, inbox, leaving; and the links in our mails.
//!
//! Promise: when a change has been answered with 200, no send that starts later ignores it. Every
//! record about a citizen leaves through one transactional writer; addresses and device tokens are
//! sealed under the citizen's key before they get there.

mod config;
#[cfg(test)]
mod laws;
mod load;
mod ports;
mod records;
mod rules;
mod shape;

pub use config::{CitizensConfig, KeySource, LoginConfig};
pub use load::{LoadError, Onboarded, Onboarding, onboard};
pub use ports::{Citizens, Contents, Dossier, NotReady, Services, Validation};
