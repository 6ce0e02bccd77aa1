//! Doubles of the providers that accept and refuse as the real services do: APNs, FCM HTTP v1 and
//! an SMTP relay. They are written to the protocols, not to our client: a correct client in any
//! language passes, an incorrect one gets the real service's answer.
//!
//! Everything listens on 127.0.0.1, on ports that the system chooses, with a certificate authority
//! made at every start. Each double has an admin listener in plain HTTP:
//!
//! - `GET /received?from=n`: one JSON object a line, what was accepted, oldest first;
//! - `GET /counts`: totals by answer, see [`Counts`];
//! - `POST /reset`: forgets records, counts, per-address counters and scripts;
//! - `POST /script`: see [`Script`].
//!
//! Tokens and mailboxes choose their answer themselves by prefix and by domain; the tables stand in
//! `apns/script.rs`, `fcm/script.rs` and `smtp/script.rs`.

mod admin;
mod apns;
mod authority;
mod config;
mod control;
mod fcm;
mod http2;
mod ids;
mod journal;
mod listen;
mod smtp;
mod wire;

pub use apns::{Apns, ApnsKey};
pub use config::{Config, Credentials, Mode, RetryAfter};
pub use control::{Script, SmtpReply};
pub use fcm::Fcm;
pub use journal::{Counts, Received};
pub use smtp::Smtp;

use authority::Authority;
use listen::Life;

/// The three doubles. Dropping it ends them at once; [`Simulators::shutdown`] also waits for the
/// end.
pub struct Simulators {
    pub apns: Apns,
    pub fcm: Fcm,
    pub smtp: Smtp,
    life: Life,
}

impl Simulators {
    /// Closes every listener and connection and waits until all tasks have ended.
    pub async fn shutdown(self) {
        self.life.end().await;
    }
}

impl Drop for Simulators {
    fn drop(&mut self) {
        self.life.cancel();
    }
}

/// Why the doubles did not start. Always the surroundings' fault: a folder that cannot be written,
/// no free port, no randomness.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot write {what} in the simulators' folder: {cause}")]
    Folder { what: &'static str, cause: std::io::Error },
    #[error("cannot listen on 127.0.0.1: {0}")]
    Listen(std::io::Error),
    #[error("cannot make the certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot make a signing key")]
    Key,
    #[error("`{key}` must be {must}")]
    Config { key: &'static str, must: &'static str },
}

/// Starts all three doubles and writes into `config.folder`: `ca.pem`, the APNs signing keys
/// (`AuthKey_<id>.p8`) and the FCM service accounts.
///
/// Errors: [`StartError`]; nothing keeps running after an error.
pub async fn start(config: Config) -> Result<Simulators, StartError> {
    config.check()?;
    let life = Life::default();
    let guard = life.clone().on_drop();
    let authority = Authority::create(&config.folder)?;
    let apns = apns::start(&config, &authority, &life).await?;
    let fcm = fcm::start(&config, &authority, &life).await?;
    let smtp = smtp::start(&config, &authority, &life).await?;
    guard.disarm();
    Ok(Simulators { apns, fcm, smtp, life })
}
