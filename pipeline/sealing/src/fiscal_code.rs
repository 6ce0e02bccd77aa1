//! A citizen's fiscal code: in clear only in memory, and there as briefly as may be.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A person's codice fiscale, 16 upper-case characters, wiped when dropped.
///
/// Shape only, as IO's contract demands: no check character, no plausible date of birth. Letters of
/// omocodia are taken. No case folding: a lower-case code is not one.
#[derive(Clone, PartialEq, Eq, Hash, Zeroize, ZeroizeOnDrop)]
pub struct FiscalCode([u8; Self::LEN]);

/// The text is not a person's fiscal code. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fiscal code: expected 16 upper-case characters of its pattern")]
pub struct BadFiscalCode;

impl FiscalCode {
    const LEN: usize = 16;

    /// `^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]$`,
    /// the pattern of IO's API definition.
    pub const PATTERN: &str = "^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}\
                               [A-Z][0-9LMNPQRSTUV]{3}[A-Z]$";

    /// The code as the SPID and CIE claim `fiscalNumber` gives it: `TINIT-` and the code. Other
    /// countries' identifiers (`TINDE-` …) name nobody this system can write to.
    ///
    /// # Errors
    /// [`BadFiscalCode`] without the prefix or with another text behind it.
    pub fn from_spid(claim: &str) -> Result<Self, BadFiscalCode> {
        claim.strip_prefix("TINIT-").ok_or(BadFiscalCode)?.parse()
    }

    /// The code in clear: for sealing, for the one response that repeats it, for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        // Only ASCII passes the matcher, so the default is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for FiscalCode {
    type Err = BadFiscalCode;
    fn from_str(text: &str) -> Result<Self, BadFiscalCode> {
        let code: [u8; Self::LEN] = text.as_bytes().try_into().map_err(|_| BadFiscalCode)?;
        let fits = code.iter().enumerate().all(|(at, &byte)| fits_at(at, byte));
        if fits { Ok(Self(code)) } else { Err(BadFiscalCode) }
    }
}

/// Whether `byte` may stand at position `at`, counted from 0.
fn fits_at(at: usize, byte: u8) -> bool {
    match at {
        6 | 7 | 9 | 10 | 12..=14 => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(&byte),
        8 => b"ABCDEHLMPRST".contains(&byte),
        _ => byte.is_ascii_uppercase(),
    }
}

impl fmt::Debug for FiscalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for FiscalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_sample_codes_are_taken() {
        for code in [
            "AAAAAA00A00A000A",
            "AAAAAA00A00A000B",
            "EEEEEE00E00E000A",
            "LVTEST00A00A001X",
            "QXJNTX9RCRVD6V4O",
        ] {
            assert_eq!(code.parse::<FiscalCode>().as_ref().map(FiscalCode::expose), Ok(code));
        }
    }

    #[test]
    fn a_text_of_another_shape_is_refused() {
        for text in [
            "",
            "12345678901",
            "aaaaaa00a00a000a",
            "AAAAAA00A00A000",
            "AAAAAA00A00A000AA",
            "AAAAAA00A00A000A\n",
            " AAAAAA00A00A000",
            "AAAAAA00F00A000A",
            "AAAAAA0AA00A000A",
            "AAAAAA00A0OA000A",
            "AAAAA000A00A000A",
            "AAAAAA00A00A0001",
            "ÀAAAAA00A00A000",
        ] {
            assert_eq!(text.parse::<FiscalCode>(), Err(BadFiscalCode), "{text:?}");
        }
    }

    #[test]
    fn a_spid_claim_is_the_code_behind_its_prefix_and_nothing_else() {
        let code = FiscalCode::from_spid("TINIT-AAAAAA00A00A000A");
        assert_eq!(code, "AAAAAA00A00A000A".parse());
        for claim in
            ["AAAAAA00A00A000A", "TINDE-AAAAAA00A00A000A", "tinit-AAAAAA00A00A000A", "TINIT-"]
        {
            assert_eq!(FiscalCode::from_spid(claim), Err(BadFiscalCode), "{claim}");
        }
    }
}
