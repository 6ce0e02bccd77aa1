//! Short texts that leave the system: opaque to whoever sees them, impossible to forge.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::ids::{Generation, MessageId, Pseudonym, ServiceId, Timestamp};
use subtle::ConstantTimeEq;

use crate::aad::{Aad, Purpose};
use crate::cipher::{Cipher, NONCE_LEN, OVERHEAD};
use crate::keyed_hash::{Keyed, Label};
use crate::secret::{Secret, redacted};

/// Makes and reads them. All are functions of their arguments alone, so that a repeat shows the
/// provider, the phone or the mailbox what the first try showed.
pub struct Tokens {
    ids: Keyed,
    cipher: Cipher,
}

redacted!(Tokens);

/// What a mailbox validation token claims: whoever holds it reads mail at one address, written down
/// by one registration of one citizen. [`Tokens::is_for`] tells whether it is a given address.
#[derive(Debug, Clone, Copy)]
pub struct MailboxClaim {
    /// Who wrote the address down.
    pub citizen: Pseudonym,
    /// In which registration.
    pub generation: Generation,
    address: [u8; 16],
}

/// Why a token says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not made here, or damaged on the way.
    #[error("the token is not one of ours")]
    Forged,
    /// Ours, but its time is over.
    #[error("the token has expired")]
    Expired,
}

/// No token of ours is as long.
const MAX_TOKEN_LEN: usize = 1024;
const BOUNCE_ID_LEN: usize = 26;
const BOUNCE_TAG_LEN: usize = 10;

impl Tokens {
    pub(crate) fn new(ids: &Secret, tokens: &Secret) -> Self {
        Self { ids: Keyed::new(ids), cipher: Cipher::new(tokens) }
    }

    /// What lets a repeat replace what is shown, at APNs (`apns-collapse-id`, at most 64 bytes) and
    /// on Android (`notification.tag`): 22 base64url characters, 128 bits.
    #[must_use]
    pub fn collapse_id(&self, id: MessageId) -> String {
        let tag = self.ids.short::<16>(Label::CollapseId, &[&id.to_bytes()]);
        URL_SAFE_NO_PAD.encode(tag)
    }

    /// `apns-id`, equal for all attempts of one message at one device: a canonical lower-case UUID
    /// of version 8 (RFC 9562 §5.8), 122 bits of keyed hash.
    #[must_use]
    pub fn apns_id(&self, id: MessageId, installation: &str) -> String {
        let parts = [&id.to_bytes()[..], installation.as_bytes()];
        let mut uuid = self.ids.short::<16>(Label::ApnsId, &parts);
        uuid[6] = uuid[6] & 0x0f | 0x80;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        let mut text = hex::encode(uuid);
        [20, 16, 12, 8].into_iter().for_each(|at| text.insert(at, '-'));
        text
    }

    /// `Message-ID` of the one mail about a message to an address, with its angle brackets
    /// (RFC 5322 §3.6.4). The address cannot be read from it.
    #[must_use]
    pub fn message_id_header(&self, id: MessageId, address: &str, domain: &str) -> String {
        let parts = [&id.to_bytes()[..], address.as_bytes()];
        let tag = self.ids.short::<16>(Label::MessageIdHeader, &parts);
        format!("<{}@{domain}>", hex::encode(tag))
    }

    /// The local part's token of a return path (VERP), also fit for `ENVID`: 46 lower-case letters
    /// and digits. The message id (not secret) and 80 bits of keyed hash, so that a bounce maps back
    /// without a store; some mail servers change the case of a local part, hence no base64.
    #[must_use]
    pub fn bounce(&self, id: MessageId) -> String {
        let tag = self.ids.short::<BOUNCE_TAG_LEN>(Label::Bounce, &[&id.to_bytes()]);
        let mut text = id.to_string();
        text.make_ascii_lowercase();
        text + &hex::encode(tag)
    }

    /// The message that bounced. Case is ignored.
    ///
    /// # Errors
    /// [`TokenError::Forged`].
    pub fn open_bounce(&self, token: &str) -> Result<MessageId, TokenError> {
        let (id, _) = token.split_at_checked(BOUNCE_ID_LEN).ok_or(TokenError::Forged)?;
        let id = id.to_ascii_uppercase().parse().map_err(|_| TokenError::Forged)?;
        let expected = self.bounce(id);
        let same = expected.as_bytes().ct_eq(token.to_ascii_lowercase().as_bytes());
        if same.into() { Ok(id) } else { Err(TokenError::Forged) }
    }

    /// The token of a one-click unsubscribe link (RFC 8058): no more email from this service to this
    /// person. About 95 base64url characters; carries no address; does not expire, as an old mail's
    /// link must still work.
    #[must_use]
    pub fn unsubscribe(&self, citizen: Pseudonym, service: &ServiceId) -> String {
        let plain = [&citizen.0[..], service.as_str().as_bytes()].concat();
        self.seal(Purpose::UnsubscribeToken, &plain)
    }

    /// Who wants no more email from which service.
    ///
    /// # Errors
    /// [`TokenError::Forged`].
    pub fn open_unsubscribe(&self, token: &str) -> Result<(Pseudonym, ServiceId), TokenError> {
        let plain = self.open(Purpose::UnsubscribeToken, token)?;
        let (citizen, service) = plain.split_first_chunk().ok_or(TokenError::Forged)?;
        let service = std::str::from_utf8(service).map_err(|_| TokenError::Forged)?;
        Ok((Pseudonym(*citizen), service.into()))
    }

    /// The token mailed to an address that is to be validated. The address itself is in it only as
    /// a keyed hash. The link works until `expires_at`.
    #[must_use]
    pub fn mailbox(
        &self,
        citizen: Pseudonym,
        generation: Generation,
        address: &str,
        expires_at: Timestamp,
    ) -> String {
        let address = self.address(citizen, generation, address);
        let until = expires_at.0.to_be_bytes();
        let plain = [&citizen.0[..], &generation.0, &address, &until].concat();
        self.seal(Purpose::MailboxToken, &plain)
    }

    /// What a mailbox token claims.
    ///
    /// # Errors
    /// [`TokenError::Forged`]; [`TokenError::Expired`] after its last millisecond.
    pub fn open_mailbox(&self, token: &str, now: Timestamp) -> Result<MailboxClaim, TokenError> {
        let plain = self.open(Purpose::MailboxToken, token)?;
        let (citizen, rest) = plain.split_first_chunk().ok_or(TokenError::Forged)?;
        let (generation, rest) = rest.split_first_chunk().ok_or(TokenError::Forged)?;
        let (address, until) = rest.split_first_chunk().ok_or(TokenError::Forged)?;
        let until = i64::from_be_bytes(until.try_into().map_err(|_| TokenError::Forged)?);
        if Timestamp(until) < now {
            return Err(TokenError::Expired);
        }
        let (citizen, generation) = (Pseudonym(*citizen), Generation(*generation));
        Ok(MailboxClaim { citizen, generation, address: *address })
    }

    /// Whether the claim is about `address`, spelt exactly as when the token was made. The profile
    /// may name another one by now.
    #[must_use]
    pub fn is_for(&self, claim: &MailboxClaim, address: &str) -> bool {
        self.address(claim.citizen, claim.generation, address).ct_eq(&claim.address).into()
    }

    fn address(&self, citizen: Pseudonym, generation: Generation, address: &str) -> [u8; 16] {
        self.ids.short(Label::MailAddress, &[&citizen.0, &generation.0, address.as_bytes()])
    }

    /// nonce ‖ ciphertext ‖ tag in base64url. The nonce is a keyed hash of the plaintext: one
    /// plaintext gives one token, and however many are made, no nonce serves two plaintexts.
    fn seal(&self, purpose: Purpose, plain: &[u8]) -> String {
        let aad = Aad::new(purpose, &[]);
        let nonce = self.ids.short::<NONCE_LEN>(Label::TokenNonce, &[&aad.encode(), plain]);
        let mut out = Vec::with_capacity(OVERHEAD + plain.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag = self.cipher.seal_at(nonce, &aad, &mut out[NONCE_LEN..]);
        out.extend_from_slice(&tag.expect("a plaintext of some bytes: out of memory otherwise"));
        URL_SAFE_NO_PAD.encode(out)
    }

    fn open(&self, purpose: Purpose, token: &str) -> Result<Vec<u8>, TokenError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(TokenError::Forged);
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| TokenError::Forged)?;
        let plain = self.cipher.open_at(&Aad::new(purpose, &[]), &mut sealed);
        plain.map(|plain| plain.to_vec()).map_err(|_| TokenError::Forged)
    }
}
