//! Refusals, with IO's titles and details (spelling included).

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// An `application/problem+json` answer. `detail` may quote what the sender sent, so it goes to the sender
/// and is never printed.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub detail: Cow<'static, str>,
    pub status: u16,
    pub title: Cow<'static, str>,
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.title)
    }
}

const NOT_ALLOWED: &str = "You are not allowed here";

impl Problem {
    #[must_use]
    pub fn new(
        status: u16,
        title: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, title: title.into(), detail: detail.into() }
    }

    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(
            403,
            "Anonymous user",
            "The request could not be associated to a user, missing userId or subscriptionId.",
        )
    }

    #[must_use]
    pub fn no_scopes() -> Self {
        Self::new(
            403,
            "User has no valid scopes",
            "You are not part of any valid scope, you should ask the administrator to give you the \
             required permissions.",
        )
    }

    #[must_use]
    pub fn not_allowed() -> Self {
        Self::new(
            403,
            NOT_ALLOWED,
            "You do not have enough permission to complete the operation you requested",
        )
    }

    /// A gate: `what` is "a Premium message" and the like.
    #[must_use]
    pub fn gate(what: &'static str) -> Self {
        Self::new(403, NOT_ALLOWED, format!("You do not have enough permissions to send {what}"))
    }

    #[must_use]
    pub fn not_the_sender() -> Self {
        Self::new(
            403,
            NOT_ALLOWED,
            "You are not allowed to read this message, you can only read messages that you have sent",
        )
    }

    #[must_use]
    pub fn invalid_message(detail: String) -> Self {
        Self::new(400, "Invalid message structure", detail)
    }

    #[must_use]
    pub fn recipient_in_both() -> Self {
        Self::new(
            400,
            "Bad parameters",
            "The fiscalcode parameter must be specified in the path or in the payload but not in both",
        )
    }

    #[must_use]
    pub fn recipient_in_neither() -> Self {
        Self::new(
            400,
            "Bad parameters",
            "The fiscalcode parameter must be specified in the path or in the payload",
        )
    }

    #[must_use]
    pub fn no_configuration_id() -> Self {
        Self::new(
            403,
            "No configuration id for remote content",
            "You did not send any configuration id for your remote content in third_party_data",
        )
    }

    #[must_use]
    pub fn configuration_not_found() -> Self {
        Self::new(
            404,
            "Remote Content Configuration NOT FOUND",
            "Cannot find any Remote Content Configuration with the given id",
        )
    }

    #[must_use]
    pub fn not_your_configuration() -> Self {
        Self::new(
            403,
            "Not your configuration",
            "You're not the owner of the configuration related to the given configuration_id",
        )
    }

    #[must_use]
    pub fn attachments() -> Self {
        Self::new(
            403,
            "Attachments call forbidden",
            "You are not allowed to send messages with attachmens with STANDARD messages, please use \
             ADVANCED",
        )
    }

    #[must_use]
    pub fn production_forbidden() -> Self {
        Self::new(
            403,
            "Production call forbidden",
            "You are not allowed to issue production calls at this time.",
        )
    }

    #[must_use]
    pub fn recipient_forbidden() -> Self {
        Self::new(
            403,
            "Recipient forbidden",
            "You are not allowed to issue requests for the recipient.",
        )
    }

    #[must_use]
    pub fn amount(requested: u64, allowed: u64) -> Self {
        Self::new(
            400,
            "Error while sending payment metadata",
            format!(
                "The requested amount ({requested} cents) exceeds the maximum allowed for this service \
                 ({allowed} cents)"
            ),
        )
    }

    #[must_use]
    pub fn message_not_found() -> Self {
        Self::new(
            404,
            "Message not found",
            "The message that you requested was not found in the system.",
        )
    }

    #[must_use]
    pub fn profile_not_found() -> Self {
        Self::new(
            404,
            "Profile not found",
            "The profile you requested was not found in the system.",
        )
    }

    #[must_use]
    pub fn conflict(detail: &'static str) -> Self {
        Self::new(409, "Conflict", detail)
    }

    #[must_use]
    pub fn internal(detail: &'static str) -> Self {
        Self::new(500, "Internal server error", detail)
    }
}
