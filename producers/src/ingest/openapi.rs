//! The API's description, OpenAPI 3.1, made from the handlers and these shapes.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::answers::GatewayError;

/// The answer to a message that was accepted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedMessage {
    /// ULID, 26 characters, upper case.
    pub id: String,
}

/// What a sender may know of a citizen on board.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LimitedProfile {
    /// The citizen takes messages from this service.
    pub sender_allowed: bool,
    #[schema(value_type = Vec<Language>)]
    pub preferred_languages: Vec<String>,
}

#[derive(ToSchema)]
#[allow(dead_code, non_camel_case_types, reason = "words of the contract, for the description")]
enum Language {
    it_IT,
    en_GB,
    es_ES,
    de_DE,
    fr_FR,
}

/// `application/problem+json`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
pub struct ProblemJson {
    title: String,
    status: u16,
    detail: String,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
pub struct ProfileRequest {
    #[schema(
        pattern = "^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]$"
    )]
    fiscal_code: String,
}

/// A message to send. Lengths are UTF-16 code units.
#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description; the decoder is the contract's own")]
pub struct NewMessageRequest {
    /// The recipient; required here, forbidden where the path names one.
    #[schema(
        pattern = "^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]$"
    )]
    fiscal_code: Option<String>,
    /// Seconds within which to notify.
    #[schema(minimum = 3600, maximum = 604_800, default = 3600)]
    time_to_live: Option<u32>,
    feature_level_type: Option<FeatureLevelType>,
    default_addresses: Option<DefaultAddresses>,
    content: MessageContent,
}

#[derive(ToSchema)]
#[allow(dead_code, clippy::upper_case_acronyms, reason = "words of the contract")]
enum FeatureLevelType {
    STANDARD,
    ADVANCED,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct DefaultAddresses {
    /// Takes the message itself where the citizen is not on board and the account may use it.
    #[schema(format = "email")]
    email: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct MessageContent {
    #[schema(min_length = 10, max_length = 120)]
    subject: String,
    #[schema(min_length = 80, max_length = 10_000)]
    markdown: String,
    #[schema(format = "date-time")]
    due_date: Option<String>,
    require_secure_channels: Option<bool>,
    payment_data: Option<PaymentData>,
    third_party_data: Option<ThirdPartyData>,
    eu_covid_cert: Option<EuCovidCert>,
    prescription_data: Option<PrescriptionData>,
    legal_data: Option<LegalData>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct PaymentData {
    /// Euro cents; at most what the service may ask for.
    #[schema(minimum = 1, maximum = 9_999_999_999_u64)]
    amount: u64,
    #[schema(pattern = "^[0123][0-9]{17}$")]
    notice_number: String,
    #[schema(default = false)]
    invalid_after_due_date: Option<bool>,
    payee: Option<Payee>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct Payee {
    #[schema(pattern = "^[0-9]{11}$")]
    fiscal_code: String,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct ThirdPartyData {
    #[schema(min_length = 1)]
    id: String,
    #[schema(pattern = "^[0-9a-hjkmnp-tv-zA-HJKMNP-TV-Z]{26}$")]
    configuration_id: Option<String>,
    #[schema(default = false)]
    has_attachments: Option<bool>,
    #[schema(default = false)]
    has_remote_content: Option<bool>,
    has_precondition: Option<HasPrecondition>,
    #[schema(min_length = 1)]
    original_sender: Option<String>,
    #[schema(format = "date-time")]
    original_receipt_date: Option<String>,
    #[schema(min_length = 1)]
    summary: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code, clippy::upper_case_acronyms, reason = "words of the contract")]
enum HasPrecondition {
    ALWAYS,
    ONCE,
    NEVER,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct EuCovidCert {
    auth_code: String,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct PrescriptionData {
    #[schema(min_length = 15, max_length = 15)]
    nre: String,
    #[schema(min_length = 1, max_length = 16)]
    iup: Option<String>,
    prescriber_fiscal_code: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct LegalData {
    #[schema(min_length = 1)]
    sender_mail_from: String,
    #[schema(default = false)]
    has_attachment: Option<bool>,
    #[schema(min_length = 1)]
    message_unique_id: String,
    #[schema(min_length = 1)]
    original_message_url: Option<String>,
    #[schema(min_length = 1)]
    pec_server_service_id: Option<String>,
}

/// A message and what became of it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
pub struct MessageResponse {
    message: SentMessage,
    status: MessageStatusValue,
    rejection_reason: Option<RejectionReason>,
    notification: Option<NotificationStatus>,
    read_status: Option<ReadStatus>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct SentMessage {
    id: String,
    fiscal_code: String,
    #[schema(format = "date-time")]
    created_at: String,
    sender_service_id: String,
    feature_level_type: Option<FeatureLevelType>,
    time_to_live: Option<u32>,
    content: Option<MessageContent>,
}

/// PROCESSED: in the citizen's inbox, whether or not anybody could be notified.
#[derive(ToSchema)]
#[allow(dead_code, clippy::upper_case_acronyms, reason = "words of the contract")]
enum MessageStatusValue {
    ACCEPTED,
    FAILED,
    PROCESSED,
    REJECTED,
}

#[derive(ToSchema)]
#[allow(dead_code, non_camel_case_types, reason = "words of the contract")]
enum RejectionReason {
    SERVICE_NOT_ALLOWED,
    USER_NOT_FOUND,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "for the description")]
struct NotificationStatus {
    email: Option<NotificationChannelStatus>,
    /// Push.
    webhook: Option<NotificationChannelStatus>,
}

#[derive(ToSchema)]
#[allow(dead_code, clippy::upper_case_acronyms, reason = "words of the contract")]
enum NotificationChannelStatus {
    SENT,
    THROTTLED,
    EXPIRED,
    FAILED,
}

#[derive(ToSchema)]
#[allow(dead_code, clippy::upper_case_acronyms, reason = "words of the contract")]
enum ReadStatus {
    READ,
    UNREAD,
    UNAVAILABLE,
}

struct SubscriptionKey;

impl Modify for SubscriptionKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let value = ApiKeyValue::with_description(
            "Ocp-Apim-Subscription-Key",
            "A key of the service in whose name is sent; it has two, equivalent.",
        );
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(value));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("SubscriptionKey", scheme);
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Staffetta sender API",
        description = "Messages from public administrations to citizens.",
        license(name = "EUPL-1.2", identifier = "EUPL-1.2")
    ),
    servers((url = "/api/v1")),
    paths(
        super::messages::submit,
        super::messages::submit_to,
        super::reading::get_message,
        super::profiles::by_body,
        super::profiles::by_path,
        crate::batch::http::create,
        crate::batch::http::put_rows,
        crate::batch::http::get_batch,
        crate::batch::http::results,
        crate::batch::http::complete,
        crate::batch::http::pause,
        crate::batch::http::resume,
        crate::batch::http::cancel
    ),
    components(schemas(GatewayError)),
    modifiers(&SubscriptionKey)
)]
struct Document;

/// The description as served at `/api/v1/openapi.json`.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub async fn serve() -> Response {
    Json(document()).into_response()
}
