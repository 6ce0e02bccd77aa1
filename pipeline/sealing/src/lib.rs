//! Crate `sealing`: keys, envelopes, pseudonyms. Who can read a payload, and how it is erased.
//!
//! One cipher throughout: AES-256-GCM, with associated data that binds each ciphertext to what it
//! is for and whose it is (`aad::Purpose`, a closed set). One keyed hash: HMAC-SHA-256. The keys, from the
//! outside in:
//!
//! * [`Keyring`]: the secrets that outlive a process, in one file of mode 0600: the [`Pepper`]
//!   behind every [`Pseudonym`](schemas::ids::Pseudonym), the [`MasterKeys`], and a root from
//!   which [`Tokens`] and [`KeyedHashes`] are derived.
//! * [`TransitKeys`]: wrap message keys on the wire; travel wrapped in `key.transit`; destroyed on
//!   schedule, and with them every copy in flight.
//! * [`CitizenKey`]: one per citizen and generation, wrapped by the master key. To erase it is to
//!   erase the citizen.
//! * [`MessageKey`]: one per message, seals its content and its notice. Re-wrapped on the way from
//!   transit key to citizen key; the payload is sealed once and never again.
//!
//! Randomness is passed in ([`Entropy`]) and so is time: nothing here reads a clock. Secrets are
//! wiped when dropped and print as `[redacted]`. A secret that Rust moves may leave a copy on the
//! stack until that is overwritten: wiping shortens the life of secrets, it does not promise more.

mod aad;
mod cipher;
mod citizen_key;
mod compress;
mod entropy;
mod error;
mod fiscal_code;
mod key_id;
mod keyed_hash;
mod keyring;
mod keyring_file;
mod master;
mod message_key;
mod pseudonym;
mod rotation;
mod secret;
mod tokens;
mod transit;
mod wrap;

pub use citizen_key::{CitizenKey, Field, KEPT_KEY_LEN};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy, draw};
pub use error::SealError;
pub use fiscal_code::{BadFiscalCode, FiscalCode};
pub use key_id::{BadKeyId, KeyId, KeyUse};
pub use keyed_hash::{ApiKeyHash, BadApiKeyHash, KeyedHashes};
pub use keyring::{BadKeyring, Keyring};
pub use keyring_file::KeyringError;
pub use master::MasterKeys;
pub use message_key::{MessageKey, Part};
pub use pseudonym::Pepper;
pub use rotation::{KeySchedule, KeySchedules};
pub use tokens::{MailboxClaim, TokenError, Tokens};
pub use transit::{Envelope, TransitKeys};
pub use wrap::WRAPPED_LEN;
