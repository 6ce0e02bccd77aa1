//! 32 secret bytes.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::entropy::Entropy;

/// A 256-bit secret: wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret([u8; Self::LEN]);

impl Secret {
    pub(crate) const LEN: usize = 32;

    pub(crate) fn draw(entropy: &dyn Entropy) -> Self {
        let mut secret = Self([0; Self::LEN]);
        entropy.fill(&mut secret.0);
        secret
    }

    pub(crate) fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// `None` unless `bytes` are exactly 32.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `Debug` for types that hold secrets and nothing worth printing.
macro_rules! redacted {
    ($($type:ty),*) => {$(
        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(concat!(stringify!($type), "([redacted])"))
            }
        }
    )*};
}
pub(crate) use redacted;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_fiscal_codes_are_wiped_when_dropped() {
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<Secret>();
        wiped::<crate::FiscalCode>();
    }

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret::new([7; 32])), "[redacted]");
    }

    #[test]
    fn a_wiped_secret_holds_nothing() {
        let mut secret = Secret::new([7; 32]);
        secret.zeroize();
        assert_eq!(secret.expose(), &[0; 32]);
    }
}
