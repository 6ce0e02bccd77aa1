//! The SMTP double: a relay that demands STARTTLS and answers by the recipient's domain. Sources:
//! RFC
//! 5321 (SMTP), 3207 (STARTTLS), 4954 (AUTH), 2920 (PIPELINING), 1870 (SIZE), 6152 (8BITMIME), 6531
//! (SMTPUTF8), 3461 (DSN), 2034 and 3463 (enhanced status codes).

mod auth;
mod message;
mod path;
mod script;
mod session;
mod transport;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::config::Config;
use crate::control::{Controls, Script};
use crate::journal::{Counts, Journal, Received};
use crate::listen::{self, Life};
use crate::{StartError, admin};
use script::Scripts;
use session::{Rules, Session};

/// A running SMTP double and what a client needs to reach it.
pub struct Smtp {
    pub address: SocketAddr,
    /// PEM file of the certificate authority to trust; server names `localhost` and `127.0.0.1`.
    pub ca: PathBuf,
    pub admin: SocketAddr,
    controls: Arc<Controls>,
    journal: Arc<Journal>,
}

impl Smtp {
    pub fn counts(&self) -> Counts {
        self.journal.counts()
    }

    pub fn received(&self) -> Vec<Received> {
        self.journal.received()
    }

    /// Errors: what is wrong with the script.
    pub fn script(&self, script: Script) -> Result<(), &'static str> {
        self.controls.apply(script)
    }
}

pub(crate) async fn start(
    config: &Config,
    authority: &Authority,
    life: &Life,
) -> Result<Smtp, StartError> {
    let controls = Arc::new(Controls::new());
    let journal = Journal::new(config.received_max, config.received_max_bytes);
    let rules = Arc::new(Rules {
        scripts: Scripts::default(),
        controls: controls.clone(),
        journal: journal.clone(),
        credentials: config.smtp_credentials.clone(),
        max_bytes: config.smtp_max_bytes,
        messages_max: config.smtp_messages_per_connection.unwrap_or(u64::MAX),
        slow: config.scaled(script::SLOW),
    });
    let forget = rules.clone();
    let admin =
        admin::start(journal.clone(), controls.clone(), move || forget.scripts.forget(), life)
            .await?;
    let (listener, address) = listen::bind().await?;
    let tls = TlsAcceptor::from(authority.tls(&[])?);
    listen::accept(listener, controls.clone(), journal.clone(), life, move |socket, number| {
        transport::serve(socket, tls.clone(), Session::new(rules.clone(), number))
    });
    Ok(Smtp { address, ca: authority.ca.clone(), admin, controls, journal })
}
