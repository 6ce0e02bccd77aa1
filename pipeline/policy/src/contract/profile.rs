//! The other inputs of the sender API: the body of POST `/profiles`, a code in a path, a message id.

use schemas::ids::MessageId;

use super::decode::{Decoder, Kind, shown};
use super::json::Json;
use super::text::FiscalCode;
use super::{FISCAL_CODE, FISCAL_CODE_PATTERN};

/// IO's name of the body's type; it stands in the title of the 400.
pub const PROFILE_BODY: Kind =
    Kind::new("GetLimitedProfileByPOSTPayload", "must be a JSON object with a `fiscal_code`");

/// Reads `{"fiscal_code": …}`.
///
/// # Errors
/// The detail of the 400, for the sender only.
pub fn decode_body(body: &[u8]) -> Result<FiscalCode, String> {
    let json = Json::parse(body).ok();
    let mut d = Decoder::default();
    let code = d.object(json.as_ref(), PROFILE_BODY).and_then(|object| {
        d.field(object, "fiscal_code", |d, v| d.converted(v, FISCAL_CODE, FiscalCode::parse))
    });
    match (code, d.into_detail()) {
        (Some(code), None) => Ok(code),
        (_, detail) => Err(detail.unwrap_or_default()),
    }
}

/// Reads a fiscal code that stands in a path.
///
/// # Errors
/// The detail of the 400 in IO's bracketed form, for the sender only.
pub fn decode_path_code(text: &str) -> Result<FiscalCode, String> {
    FiscalCode::parse(text).ok_or_else(|| {
        let value = shown(Some(&Json::Text(text.into())));
        let kind = FISCAL_CODE;
        format!(
            "value [{value}] at [root] is not a valid [{}]\nThe fiscal code in the path {}.",
            kind.name, kind.words
        )
    })
}

/// Title of the 400 for a code in a path.
#[must_use]
pub fn path_code_title() -> String {
    format!("Invalid string that matches the pattern \"{FISCAL_CODE_PATTERN}\"")
}

/// A message id in a path. `Ok(None)`: not empty, but no id of ours, so no such message exists.
///
/// # Errors
/// The detail of the 400 "Invalid messageId".
pub fn decode_message_id(text: &str) -> Result<Option<MessageId>, String> {
    if text.is_empty() {
        return Err("value [\"\"] at [root] is not a valid [non empty string]\n\
                    The message id must not be empty."
            .to_owned());
    }
    Ok(text.parse().ok())
}
