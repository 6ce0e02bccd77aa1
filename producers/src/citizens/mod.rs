//! The citizen API: profile, preferences, devices, inbox, leaving; and the links in our mails.
//!
//! Promise: when a change has been answered with 200, no send that starts later ignores it. Every
//! record about a citizen leaves through one transactional writer; addresses and device tokens are
//! sealed under the citizen's key before they get there.

mod answers;
mod api;
mod config;
mod desk;
mod inbox;
mod installations;
#[cfg(test)]
mod laws;
mod leave;
mod links;
mod load;
mod login;
mod openapi;
mod ports;
mod preferences;
mod profile;
mod records;
mod rules;
mod shape;

pub use api::{CitizenApi, router};
pub use config::{CitizensConfig, KeySource, LoginConfig};
pub use desk::Desk;
pub use load::{LoadError, Onboarded, Onboarding, onboard};
pub use login::{Login, LoginError};
pub use ports::{Citizens, Contents, Dossier, NotReady, Services, Validation};
