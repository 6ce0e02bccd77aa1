//! How a citizen gets the name that the pipeline knows.

use aws_lc_rs::hmac;
use schemas::ids::Pseudonym;

use crate::fiscal_code::FiscalCode;
use crate::secret::{Secret, redacted};

/// The secret behind every pseudonym.
///
/// There are few enough fiscal codes to try them all against a plain hash; against a keyed one that
/// needs the pepper. It cannot be rotated: another pepper knows nobody.
#[derive(Clone)]
pub struct Pepper(hmac::Key);

redacted!(Pepper);

impl Pepper {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    /// The first 128 bits of HMAC-SHA-256(pepper, upper-case fiscal code).
    #[must_use]
    pub fn pseudonym(&self, code: &FiscalCode) -> Pseudonym {
        let tag = hmac::sign(&self.0, code.expose().as_bytes());
        let mut pseudonym = Pseudonym([0; 16]);
        pseudonym.0.copy_from_slice(&tag.as_ref()[..16]);
        pseudonym
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac`: `hmac.new(bytes(range(32)), code, "sha256").hexdigest()[:32]`.
    #[test]
    fn a_pseudonym_is_the_first_half_of_the_keyed_hash() {
        let mut bytes = [0; 32];
        (0..).zip(&mut bytes).for_each(|(n, byte)| *byte = n);
        let pepper = Pepper::new(&Secret::new(bytes));
        for (code, expected) in [
            ("AAAAAA00A00A000A", "22618ee0f4a67ad8aac22ed85b80b701"),
            ("QXJNTX9RCRVD6V4O", "a9c2a23956d0ced31c51e3855962781a"),
        ] {
            let code: FiscalCode = code.parse().expect("a sample code");
            assert_eq!(pepper.pseudonym(&code).to_string(), expected);
        }
    }

    /// RFC 4231, test cases 1, 2 and 4 (their keys are shorter than a pepper; the primitive is ours).
    #[test]
    fn the_published_hmac_vectors_are_met() {
        let counting: Vec<u8> = (1..=25).collect();
        for (key, data, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &counting,
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
        ] {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
            assert_eq!(hex::encode(tag.as_ref()), expected);
        }
    }
}
