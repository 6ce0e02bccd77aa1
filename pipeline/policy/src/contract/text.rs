//! The patterns of the contract, anchored and case-sensitive, and lengths as JavaScript counts them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The person's code as the contract spells its pattern; it stands in titles and details.
pub const FISCAL_CODE_PATTERN: &str =
    "^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]$";

/// A person's fiscal code, in clear: lives in memory only and prints as `[redacted]`.
/// No check digit and no birth date is asked for: real test traffic would break.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FiscalCode([u8; 16]);

impl FiscalCode {
    /// `None` unless the text matches [`FISCAL_CODE_PATTERN`]; nothing is trimmed or upper-cased.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 16] = text.as_bytes().try_into().ok()?;
        let digit = |b: u8| b.is_ascii_digit() || (b'L'..=b'V').contains(&b) && b != b'O';
        let fits = code.iter().enumerate().all(|(at, byte)| match at {
            6 | 7 | 9 | 10 | 12..=14 => digit(*byte),
            8 => b"ABCDEHLMPRST".contains(byte),
            _ => byte.is_ascii_uppercase(),
        });
        fits.then_some(Self(code))
    }

    /// The code in clear.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for FiscalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl TryFrom<String> for FiscalCode {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a fiscal code")
    }
}

impl From<FiscalCode> for String {
    fn from(code: FiscalCode) -> Self {
        code.as_str().to_owned()
    }
}

/// Length in UTF-16 code units.
#[must_use]
pub fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// `^[0-9]{11}$`: an organisation or payee.
#[must_use]
pub fn is_organisation_code(text: &str) -> bool {
    text.len() == 11 && text.bytes().all(|b| b.is_ascii_digit())
}

/// `^[0123][0-9]{17}$`: a payment notice.
#[must_use]
pub fn is_notice_number(text: &str) -> bool {
    text.len() == 18
        && matches!(text.as_bytes().first(), Some(b'0'..=b'3'))
        && text.bytes().all(|b| b.is_ascii_digit())
}

/// `^[0-9a-hjkmnp-tv-zA-HJKMNP-TV-Z]{26}$`: a ULID in either case.
#[must_use]
pub fn is_ulid(text: &str) -> bool {
    text.len() == 26
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric()
                && !matches!(b.to_ascii_uppercase(), b'I' | b'L' | b'O' | b'U')
        })
}

/// An address as the `validator` package takes it with IO's options: no display name, no UTF-8 local
/// part, a top-level domain. Lengths: local part 64, domain 254 bytes.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    local.len() <= 64 && domain.len() <= 254 && is_local_part(local) && is_domain(domain)
}

fn is_local_part(local: &str) -> bool {
    if let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return is_quoted_local_part(quoted);
    }
    local.split('.').all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    })
}

/// Narrower than the package in one point: line breaks are refused, for an address ends up in a header.
fn is_quoted_local_part(quoted: &str) -> bool {
    let mut bytes = quoted.bytes();
    while let Some(byte) = bytes.next() {
        let plain = matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
        let escaped = byte == b'\\' && bytes.next().is_some_and(|b| matches!(b, b' '..=b'~'));
        if !plain && !escaped {
            return false;
        }
    }
    true
}

fn is_domain(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    let top = labels.last().copied().unwrap_or_default();
    labels.len() >= 2 && is_top_level(top) && labels.iter().all(|label| is_label(label))
}

fn is_top_level(top: &str) -> bool {
    let letters = top.chars().all(|c| c.is_ascii_alphabetic() || is_wide(c));
    let punycode = top.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("xn"))
        && top.len() >= 4
        && top.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (letters && utf16_length(top) >= 2) || punycode
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&utf16_length(label))
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || is_wide(c))
}

/// Letters of other scripts, as an internationalised domain has them; no white space, no full-width forms.
fn is_wide(c: char) -> bool {
    c.is_alphanumeric() && !c.is_ascii() && !matches!(c, '\u{ff01}'..='\u{ff5e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fiscal_codes_follow_the_pattern_and_nothing_more() {
        for good in ["AAAAAA00A00A000A", "SPNDNL80R13C555X", "QXJNTX9RCRVD6V4O", "LVTEST00A00A000X"]
        {
            assert!(FiscalCode::parse(good).is_some(), "{good}");
        }
        for bad in [
            "aaaaaa00a00a000a",
            "AAAAAA00A00A000",
            "AAAAAA00A00A000AA",
            "AAAAAA00F00A000A",
            "AAAAAA0OA00A000A",
            "AAAAAA0KA00A000A",
            "AAAAAA00A00A0001",
            "80001017773",
            "AAAAAA00A00A000A\n",
            "АAAAAA00A00A00A",
        ] {
            assert!(FiscalCode::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_fiscal_code_prints_as_redacted() {
        let code = FiscalCode::parse("AAAAAA00A00A000A").unwrap();
        assert_eq!(format!("{code:?}"), "[redacted]");
    }

    #[test]
    fn addresses_follow_the_contracts_validator() {
        for good in [
            "a@b.it",
            "mario+pa@example.com",
            "x_y.z@sub.example.org",
            "\"a b\"@c.it",
            "a@città.it",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "mario.example.com",
            "Ufficio <ufficio@example.com>",
            "mario@localhost",
            "a@example.com,b@example.com",
            "nicolò@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "\"a\r\nb\"@example.com",
            "a..b@example.com",
            ".a@example.com",
            "@example.com",
            "a@-b.it",
            "a@b.1",
            "a@b.i",
            "a@b_c.it",
            "a@[127.0.0.1]",
            "",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
        assert!(is_email(&format!("{}@example.com", "a".repeat(64))));
        assert!(!is_email(&format!("{}@example.com", "a".repeat(65))));
    }
}
