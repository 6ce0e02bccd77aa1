//! The body of POST `/messages` (IO: `NewMessage`), decoded into types.

use std::fmt;

use schemas::ids::Timestamp;
use serde::{Deserialize, Serialize};

use super::decode::{Decoder, Kind, NON_EMPTY, STRING};
use super::json::Json;
use super::text::{
    FiscalCode, is_email, is_notice_number, is_organisation_code, is_ulid, utf16_length,
};
use super::{FISCAL_CODE, date};

/// Seconds a notification may take when the sender names none.
pub const DEFAULT_TIME_TO_LIVE: u32 = 3600;

/// A decoded request to send. Prints nothing of what it holds.
#[derive(Clone, PartialEq)]
pub struct NewMessage {
    pub fiscal_code: Option<FiscalCode>,
    /// Seconds, 3600 to 604800.
    pub time_to_live: u32,
    pub feature_level: FeatureLevel,
    /// `default_addresses.email`: validated, used only as a fallback where the account may.
    pub default_email: Option<String>,
    pub content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum FeatureLevel {
    #[default]
    #[serde(rename = "STANDARD")]
    Standard,
    #[serde(rename = "ADVANCED")]
    Advanced,
}

impl FeatureLevel {
    /// As the contract writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Advanced => "ADVANCED",
        }
    }
}

/// What the citizen reads and pays. Its serde form is the contract's: names, defaults filled in, dates
/// canonical, absent fields left out.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    pub subject: String,
    pub markdown: String,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "canonical_date")]
    pub due_date: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_secure_channels: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_data: Option<PaymentData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub third_party_data: Option<ThirdPartyData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eu_covid_cert: Option<EuCovidCert>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prescription_data: Option<PrescriptionData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_data: Option<LegalData>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentData {
    /// Euro cents, 1 to 9999999999.
    pub amount: u64,
    pub notice_number: String,
    pub invalid_after_due_date: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payee: Option<Payee>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Payee {
    /// Eleven digits.
    pub fiscal_code: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ThirdPartyData {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_id: Option<String>,
    pub has_attachments: bool,
    pub has_remote_content: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_precondition: Option<Precondition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_sender: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "canonical_date")]
    pub original_receipt_date: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Precondition {
    Always,
    Once,
    Never,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct EuCovidCert {
    pub auth_code: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct PrescriptionData {
    pub nre: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iup: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prescriber_fiscal_code: Option<FiscalCode>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct LegalData {
    pub sender_mail_from: String,
    pub has_attachment: bool,
    pub message_unique_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_message_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pec_server_service_id: Option<String>,
}

macro_rules! redacted {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "[redacted]"))
            }
        }
    )*};
}
redacted!(
    NewMessage,
    Content,
    PaymentData,
    Payee,
    ThirdPartyData,
    EuCovidCert,
    PrescriptionData,
    LegalData
);

const MESSAGE: Kind = Kind::new("Exact<NewMessage>", "must be a JSON object with a `content`");
const CONTENT: Kind = Kind::new("MessageContent", "must be an object with subject and markdown");
const SUBJECT: Kind = Kind::new(
    "string of length >= 10 and < 121",
    "must be a text of 10 to 120 characters (UTF-16 code units)",
);
const MARKDOWN: Kind = Kind::new(
    "string of length >= 80 and < 10001",
    "must be a text of 80 to 10000 characters (UTF-16 code units)",
);
const TIME_TO_LIVE: Kind = Kind::new(
    "(integer >= 3600 and < 604800 | 604800)",
    "must be a whole number of seconds from 3600 to 604800",
);
const LEVEL: Kind = Kind::new("FeatureLevelType", "must be STANDARD or ADVANCED");
const ADDRESSES: Kind = Kind::new("NewMessageDefaultAddresses", "must be an object");
const EMAIL: Kind = Kind::new(
    "string that represents an email address",
    "must be a plain e-mail address with a top-level domain",
);
const DATE: Kind =
    Kind::new("UTCISODateFromString", "must be a date and time such as 2026-12-31T23:59:59Z");
const PAYMENT: Kind = Kind::new("PaymentData", "must be an object with amount and notice_number");
const AMOUNT: Kind = Kind::new(
    "(integer >= 1 and < 9999999999 | 9999999999)",
    "must be a whole number of euro cents from 1 to 9999999999",
);
const NOTICE: Kind = Kind::new(
    "string that matches the pattern \"^[0123][0-9]{17}$\"",
    "must be 18 digits, the first of them 0 to 3",
);
const PAYEE: Kind = Kind::new("Payee", "must be an object with a fiscal_code");
const ORGANISATION: Kind =
    Kind::new("string that matches the pattern \"^[0-9]{11}$\"", "must be 11 digits");
const THIRD_PARTY: Kind = Kind::new("ThirdPartyData", "must be an object with an id");
const ULID: Kind = Kind::new(
    "string that matches the pattern \"^[0-9a-hjkmnp-tv-zA-HJKMNP-TV-Z]{26}$\"",
    "must be a ULID of 26 characters",
);
const PRECONDITION: Kind = Kind::new("HasPrecondition", "must be ALWAYS, ONCE or NEVER");
const COVID: Kind = Kind::new("EUCovidCert", "must be an object with an auth_code");
const PRESCRIPTION: Kind = Kind::new("PrescriptionData", "must be an object with an nre");
const NRE: Kind = Kind::new("string of length >= 15 and < 16", "must be a text of 15 characters");
const IUP: Kind =
    Kind::new("string of length >= 1 and < 17", "must be a text of 1 to 16 characters");
const LEGAL: Kind =
    Kind::new("LegalData", "must be an object with sender_mail_from and message_unique_id");

/// Decodes a body.
///
/// # Errors
/// The detail of the 400 "Invalid message structure": IO's lines, then the same for people. The sender's
/// fault; the text quotes the refused values, so it goes to the sender and nowhere else.
pub fn decode(body: &[u8]) -> Result<NewMessage, String> {
    let json = Json::parse(body).ok();
    let mut decoder = Decoder::default();
    let message = new_message(&mut decoder, json.as_ref());
    match (message, decoder.into_detail()) {
        (Some(message), None) => Ok(message),
        (_, detail) => Err(detail.unwrap_or_default()),
    }
}

/// The detail for a body that was never read in full.
#[must_use]
pub fn detail_of_unread_body(why: &'static str) -> String {
    let mut decoder = Decoder::default();
    decoder.refuse(None, Kind { words: why, ..MESSAGE });
    decoder.into_detail().unwrap_or_default()
}

fn new_message(d: &mut Decoder, value: Option<&Json>) -> Option<NewMessage> {
    let object = d.object(value, MESSAGE)?;
    // Every field is read before the first `?`, so that one answer names every error.
    let content = d.field(object, "content", content);
    let fiscal_code =
        d.optional(object, "fiscal_code", |d, v| d.converted(v, FISCAL_CODE, FiscalCode::parse));
    let time_to_live = d.or_default(object, "time_to_live", DEFAULT_TIME_TO_LIVE, |d, v| {
        let seconds = d.integer(v, TIME_TO_LIVE, 3600..=604_800)?;
        u32::try_from(seconds).ok()
    });
    let feature_level =
        d.or_default(object, "feature_level_type", FeatureLevel::Standard, |d, v| {
            d.converted(v, LEVEL, |text| match text {
                "STANDARD" => Some(FeatureLevel::Standard),
                "ADVANCED" => Some(FeatureLevel::Advanced),
                _ => None,
            })
        });
    let default_email = d.optional(object, "default_addresses", |d, v| {
        let addresses = d.object(v, ADDRESSES)?;
        d.optional(addresses, "email", |d, v| d.text(v, EMAIL, is_email))
    });
    Some(NewMessage {
        fiscal_code: fiscal_code?,
        time_to_live: time_to_live?,
        feature_level: feature_level?,
        default_email: default_email?.flatten(),
        content: content?,
    })
}

fn content(d: &mut Decoder, value: Option<&Json>) -> Option<Content> {
    let object = d.object(value, CONTENT)?;
    let subject = d.field(object, "subject", |d, v| d.text(v, SUBJECT, within(10, 120)));
    let markdown = d.field(object, "markdown", |d, v| d.text(v, MARKDOWN, within(80, 10_000)));
    let require_secure_channels = d.optional(object, "require_secure_channels", Decoder::boolean);
    let payment_data = d.optional(object, "payment_data", payment_data);
    let due_date = d.optional(object, "due_date", date_time);
    let prescription_data = d.optional(object, "prescription_data", prescription_data);
    let legal_data = d.optional(object, "legal_data", legal_data);
    let eu_covid_cert = d.optional(object, "eu_covid_cert", |d, v| {
        let object = d.object(v, COVID)?;
        let auth_code = d.field(object, "auth_code", |d, v| d.text(v, STRING, |_| true))?;
        Some(EuCovidCert { auth_code })
    });
    let third_party_data = d.optional(object, "third_party_data", third_party_data);
    Some(Content {
        subject: subject?,
        markdown: markdown?,
        due_date: due_date?,
        require_secure_channels: require_secure_channels?,
        payment_data: payment_data?,
        third_party_data: third_party_data?,
        eu_covid_cert: eu_covid_cert?,
        prescription_data: prescription_data?,
        legal_data: legal_data?,
    })
}

fn payment_data(d: &mut Decoder, value: Option<&Json>) -> Option<PaymentData> {
    let object = d.object(value, PAYMENT)?;
    let amount = d.field(object, "amount", |d, v| d.integer(v, AMOUNT, 1..=9_999_999_999));
    let notice_number =
        d.field(object, "notice_number", |d, v| d.text(v, NOTICE, is_notice_number));
    let invalid_after_due_date =
        d.or_default(object, "invalid_after_due_date", false, Decoder::boolean);
    let payee = d.optional(object, "payee", |d, v| {
        let object = d.object(v, PAYEE)?;
        let fiscal_code =
            d.field(object, "fiscal_code", |d, v| d.text(v, ORGANISATION, is_organisation_code))?;
        Some(Payee { fiscal_code })
    });
    Some(PaymentData {
        amount: amount?,
        notice_number: notice_number?,
        invalid_after_due_date: invalid_after_due_date?,
        payee: payee?,
    })
}

fn third_party_data(d: &mut Decoder, value: Option<&Json>) -> Option<ThirdPartyData> {
    let object = d.object(value, THIRD_PARTY)?;
    let id = d.field(object, "id", |d, v| d.text(v, NON_EMPTY, not_empty));
    let original_sender =
        d.optional(object, "original_sender", |d, v| d.text(v, NON_EMPTY, not_empty));
    let original_receipt_date = d.optional(object, "original_receipt_date", date_time);
    let has_attachments = d.or_default(object, "has_attachments", false, Decoder::boolean);
    let has_remote_content = d.or_default(object, "has_remote_content", false, Decoder::boolean);
    let has_precondition = d.optional(object, "has_precondition", |d, v| {
        d.converted(v, PRECONDITION, |text| match text {
            "ALWAYS" => Some(Precondition::Always),
            "ONCE" => Some(Precondition::Once),
            "NEVER" => Some(Precondition::Never),
            _ => None,
        })
    });
    let summary = d.optional(object, "summary", |d, v| d.text(v, NON_EMPTY, not_empty));
    let configuration_id = d.optional(object, "configuration_id", |d, v| d.text(v, ULID, is_ulid));
    Some(ThirdPartyData {
        id: id?,
        configuration_id: configuration_id?,
        has_attachments: has_attachments?,
        has_remote_content: has_remote_content?,
        has_precondition: has_precondition?,
        original_sender: original_sender?,
        original_receipt_date: original_receipt_date?,
        summary: summary?,
    })
}

fn prescription_data(d: &mut Decoder, value: Option<&Json>) -> Option<PrescriptionData> {
    let object = d.object(value, PRESCRIPTION)?;
    let nre = d.field(object, "nre", |d, v| d.text(v, NRE, within(15, 15)));
    let iup = d.optional(object, "iup", |d, v| d.text(v, IUP, within(1, 16)));
    let prescriber = d.optional(object, "prescriber_fiscal_code", |d, v| {
        d.converted(v, FISCAL_CODE, FiscalCode::parse)
    });
    Some(PrescriptionData { nre: nre?, iup: iup?, prescriber_fiscal_code: prescriber? })
}

fn legal_data(d: &mut Decoder, value: Option<&Json>) -> Option<LegalData> {
    let object = d.object(value, LEGAL)?;
    let sender_mail_from =
        d.field(object, "sender_mail_from", |d, v| d.text(v, NON_EMPTY, not_empty));
    // Required and with a default: IO's generated codec lets the default win.
    let has_attachment = d.or_default(object, "has_attachment", false, Decoder::boolean);
    let message_unique_id =
        d.field(object, "message_unique_id", |d, v| d.text(v, NON_EMPTY, not_empty));
    let original_message_url =
        d.optional(object, "original_message_url", |d, v| d.text(v, NON_EMPTY, not_empty));
    let pec_server_service_id =
        d.optional(object, "pec_server_service_id", |d, v| d.text(v, NON_EMPTY, not_empty));
    Some(LegalData {
        sender_mail_from: sender_mail_from?,
        has_attachment: has_attachment?,
        message_unique_id: message_unique_id?,
        original_message_url: original_message_url?,
        pec_server_service_id: pec_server_service_id?,
    })
}

fn date_time(d: &mut Decoder, value: Option<&Json>) -> Option<Timestamp> {
    d.converted(value, DATE, date::parse)
}

fn not_empty(text: &str) -> bool {
    !text.is_empty()
}

fn within(low: usize, high: usize) -> impl FnOnce(&str) -> bool {
    move |text| (low..=high).contains(&utf16_length(text))
}

mod canonical_date {
    use super::{Timestamp, date};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, s: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => s.serialize_str(&date::format(*at)),
            None => s.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(d)? else { return Ok(None) };
        date::parse(&text).map(Some).ok_or_else(|| D::Error::custom("no date-time"))
    }
}
