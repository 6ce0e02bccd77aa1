//! What may be configured about email.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::gate::GateConfig;

/// How the way to the relay is encrypted. There is no third way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// STARTTLS, demanded (RFC 3207); port 587 or 25.
    Starttls,
    /// TLS from the first byte (RFC 8314); port 465.
    Implicit,
}

/// One relay, one sender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailConfig {
    pub host: String,
    pub port: u16,
    /// `starttls` or `implicit`.
    pub encryption: Encryption,
    /// PEM file with the authorities to trust instead of this machine's; empty for this machine's.
    pub ca_file: PathBuf,
    /// Empty where the relay knows us otherwise.
    pub user: String,
    /// File that holds the password and nothing else.
    pub password_file: PathBuf,
    /// What we call ourselves in EHLO; empty for the bounce domain.
    pub hello_name: String,
    /// `Name <address>`.
    pub from: String,
    /// An address that is read; empty for none.
    pub reply_to: String,
    /// What a notice invites to open, shown in full: `https://` on the official domain.
    pub link: String,
    /// Where the citizen API is seen from outside, up to the token: `https://…/unsubscribe`.
    pub unsubscribe_url: String,
    /// Where the page that validates an address is seen from outside, up to the token:
    /// `https://…/mailbox`. Empty: validation mails wait in their topic.
    pub validation_url: String,
    /// How long its link works; 2 or more.
    pub validation_life_hours: u64,
    /// Bounces go to `b+<token>@` this domain.
    pub bounce_domain: String,
    pub dkim: DkimConfig,
    /// A second signature of another kind, for the years in which not everybody reads Ed25519.
    pub dkim_second: DkimConfig,
    /// Open connections at most.
    pub connections: usize,
    pub messages_per_connection: u64,
    /// A connection that rested longer is not used again; relays close theirs after minutes.
    pub idle_ms: u64,
    /// For name, connection, TLS and login together.
    pub open_within_ms: u64,
    /// For each reply but the last.
    pub reply_within_ms: u64,
    /// For the reply that says that the mail was taken.
    pub accept_within_ms: u64,
    pub gate: GateConfig,
}

/// A DKIM signature (RFC 6376). Empty: none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DkimConfig {
    /// The domain that signs, aligned with `from`.
    pub domain: String,
    /// The key's name: the public key stands at `<selector>._domainkey.<domain>`.
    pub selector: String,
    /// PEM file, PKCS#8: RSA of 2048 bits or more, or Ed25519 (RFC 8463).
    pub key_file: PathBuf,
}

impl Default for EmailConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            encryption: Encryption::Starttls,
            ca_file: PathBuf::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            hello_name: String::new(),
            from: String::new(),
            reply_to: String::new(),
            link: String::new(),
            unsubscribe_url: String::new(),
            validation_url: String::new(),
            validation_life_hours: 24,
            bounce_domain: String::new(),
            dkim: DkimConfig::default(),
            dkim_second: DkimConfig::default(),
            connections: 8,
            messages_per_connection: 100,
            idle_ms: 30_000,
            open_within_ms: 10_000,
            reply_within_ms: 30_000,
            accept_within_ms: 60_000,
            gate: GateConfig::paced(100, 200),
        }
    }
}
