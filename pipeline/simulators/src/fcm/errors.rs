//! Google's error bodies: `google.rpc.Status` as JSON, with details. Sources: Firebase,
//! "ErrorCode"; beste/firebase-php#308 (BadRequest beside FcmError); olucurious/PyFCM#371
//! (ErrorInfo).

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// A field that is wrong, by its path in the request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) field: String,
    pub(super) description: String,
}

/// What a request is refused with.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    /// How `/counts` calls it, after the status.
    name: &'static str,
    canonical: &'static str,
    message: String,
    details: Vec<Value>,
    pub(super) has_retry_after: bool,
}

impl Failure {
    /// An FCM error code, with nothing but the code in the details.
    pub(super) fn code(name: &str) -> Option<Failure> {
        let failure = |status: u16, name, canonical, message: &str| Failure {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            name,
            canonical,
            message: message.into(),
            details: vec![json!({"@type": FCM_ERROR, "errorCode": name})],
            has_retry_after: false,
        };
        Some(match name {
            "INVALID_ARGUMENT" => failure(
                400,
                "INVALID_ARGUMENT",
                "INVALID_ARGUMENT",
                "The registration token is not a valid FCM registration token",
            ),
            "UNREGISTERED" => {
                failure(404, "UNREGISTERED", "NOT_FOUND", "Requested entity was not found.")
            }
            "SENDER_ID_MISMATCH" => {
                failure(403, "SENDER_ID_MISMATCH", "PERMISSION_DENIED", "SenderId mismatch")
            }
            "THIRD_PARTY_AUTH_ERROR" => failure(
                401,
                "THIRD_PARTY_AUTH_ERROR",
                "UNAUTHENTICATED",
                "Auth error from APNS or Web Push Service",
            ),
            "QUOTA_EXCEEDED" => failure(
                429,
                "QUOTA_EXCEEDED",
                "RESOURCE_EXHAUSTED",
                "Quota exceeded for quota metric 'Sending requests'.",
            ),
            "UNAVAILABLE" => {
                failure(503, "UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable.")
            }
            "INTERNAL" => failure(500, "INTERNAL", "INTERNAL", "Internal error encountered."),
            "UNSPECIFIED_ERROR" => failure(500, "UNSPECIFIED_ERROR", "UNKNOWN", "Unknown error."),
            // These never carry an FCM error code: they come from Google's front, not from FCM.
            "PERMISSION_DENIED" => Failure::permission_denied("staffetta-sample"),
            "UNAUTHENTICATED" => Failure::unauthenticated(Credential::Invalid),
            "NOT_FOUND" => Failure::not_found(),
            _ => return None,
        })
    }

    pub(super) fn with_retry_after(mut self) -> Failure {
        self.has_retry_after = true;
        self
    }

    /// The request does not fit the schema: no FCM error code, since FCM never saw it.
    pub(super) fn malformed(violations: Vec<Violation>) -> Failure {
        let texts: Vec<&str> = violations.iter().map(|wrong| wrong.description.as_str()).collect();
        let message = texts.join("\n");
        let details = vec![bad_request(&violations)];
        Failure::invalid_argument(message, details)
    }

    /// The body is no JSON.
    pub(super) fn unparsable() -> Failure {
        let message = "Invalid JSON payload received. Unexpected token.".to_owned();
        Failure::invalid_argument(message, Vec::new())
    }

    /// The request fits the schema, and FCM refuses a value in it.
    pub(super) fn rejected(violation: Violation) -> Failure {
        let message = violation.description.clone();
        let code = json!({"@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT"});
        Failure::invalid_argument(message, vec![bad_request(&[violation]), code])
    }

    fn invalid_argument(message: String, details: Vec<Value>) -> Failure {
        Failure {
            status: StatusCode::BAD_REQUEST,
            name: "INVALID_ARGUMENT",
            canonical: "INVALID_ARGUMENT",
            message,
            details,
            has_retry_after: false,
        }
    }

    pub(super) fn unauthenticated(credential: Credential) -> Failure {
        let (message, reason) = match credential {
            Credential::Missing => {
                ("Request is missing required authentication credential.", "CREDENTIALS_MISSING")
            }
            Credential::Invalid => {
                ("Request had invalid authentication credentials.", "ACCESS_TOKEN_TYPE_UNSUPPORTED")
            }
            Credential::Expired => {
                ("Request had invalid authentication credentials.", "ACCESS_TOKEN_EXPIRED")
            }
        };
        let message = format!(
            "{message} Expected OAuth 2 access token, login cookie or other valid authentication \
             credential."
        );
        Failure {
            status: StatusCode::UNAUTHORIZED,
            name: "UNAUTHENTICATED",
            canonical: "UNAUTHENTICATED",
            message,
            details: vec![error_info(reason)],
            has_retry_after: false,
        }
    }

    pub(super) fn permission_denied(project_id: &str) -> Failure {
        let message = format!(
            "Permission 'cloudmessaging.messages.create' denied on resource \
             '//cloudresourcemanager.googleapis.com/projects/{project_id}' (or it may not exist)."
        );
        Failure::forbidden(message, "IAM_PERMISSION_DENIED")
    }

    pub(super) fn scope_insufficient() -> Failure {
        let message = "Request had insufficient authentication scopes.".to_owned();
        Failure::forbidden(message, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
    }

    fn forbidden(message: String, reason: &str) -> Failure {
        Failure {
            status: StatusCode::FORBIDDEN,
            name: "PERMISSION_DENIED",
            canonical: "PERMISSION_DENIED",
            message,
            details: vec![error_info(reason)],
            has_retry_after: false,
        }
    }

    /// A project that does not exist: the same status as UNREGISTERED, without an FCM error code.
    pub(super) fn not_found() -> Failure {
        Failure {
            status: StatusCode::NOT_FOUND,
            name: "NOT_FOUND",
            canonical: "NOT_FOUND",
            message: "Requested entity was not found.".into(),
            details: Vec::new(),
            has_retry_after: false,
        }
    }

    pub(super) fn label(&self) -> Cow<'static, str> {
        format!("{} {}", self.status.as_u16(), self.name).into()
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let mut error = json!({
            "code": self.status.as_u16(),
            "message": self.message,
            "status": self.canonical,
        });
        if !self.details.is_empty() {
            error["details"] = self.details.clone().into();
        }
        let mut response = json_response(self.status, &json!({"error": error}));
        if self.canonical == "UNAUTHENTICATED" {
            let challenge = "Bearer realm=\"https://accounts.google.com/\"";
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert("www-authenticate", challenge);
        }
        response
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    Missing,
    Invalid,
    Expired,
}

fn error_info(reason: &str) -> Value {
    json!({
        "@type": ERROR_INFO,
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "fcm.googleapis.com"},
    })
}

fn bad_request(violations: &[Violation]) -> Value {
    let violations: Vec<Value> = violations
        .iter()
        .map(|wrong| json!({"field": wrong.field, "description": wrong.description}))
        .collect();
    json!({"@type": BAD_REQUEST, "fieldViolations": violations})
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{body:#}\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert("content-type", kind);
    response
}
