//! The sender contract, read exactly as IO's codecs read it: what a body means, or why it means nothing.
//!
//! Source: the codecs of IO's sender functions and of its common library. Pure: bytes in, types or the text
//! of a 400 out. Unknown properties are dropped at every level; `null` means the default where there is one
//! and is refused where there is none.

pub mod date;
mod decode;
pub mod json;
pub mod message;
pub mod profile;
pub mod text;

pub use message::{Content, FeatureLevel, NewMessage};
pub use text::{FISCAL_CODE_PATTERN, FiscalCode};

/// The codec of a person's fiscal code.
const FISCAL_CODE: decode::Kind = decode::Kind::new(
    concat!(
        "string that matches the pattern \"",
        "^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}",
        "[A-Z][0-9LMNPQRSTUV]{3}[A-Z]$\""
    ),
    "must be a person's fiscal code of 16 characters in upper case",
);

#[cfg(test)]
mod tests {
    #[test]
    fn the_name_of_the_codec_holds_the_pattern() {
        assert!(super::FISCAL_CODE.name.contains(&format!("\"{}\"", super::FISCAL_CODE_PATTERN)));
    }
}
