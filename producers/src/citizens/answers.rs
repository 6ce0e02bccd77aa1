//! Answers on the wire: problems, JSON and the small pages behind the links in our mails.

use axum::Json;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use policy::admit::Problem;

use super::login::Denied;
use super::rates::Wait;
use super::rules::Refusal;

/// Why a request does not end as its caller wished.
#[derive(Debug)]
pub(super) enum Trouble {
    Denied(Denied),
    Refused(Refusal),
    /// The view cannot be asked, or does not yet show what was written before.
    NotReady,
    /// Certainly not written.
    NotTaken,
    /// Written, but not in force yet: the view does not show it in time.
    NotInForce,
    /// It left and no answer came.
    Unknown,
    /// Another process took the pen: nothing was written, decide anew.
    PenTaken,
    /// More than the rate allows.
    TooMany(Wait),
    /// An undecodable record stands in this citizen's way; operators have been told.
    Held,
    /// Sealing failed: ours.
    Sealing,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Wait> for Trouble {
    fn from(wait: Wait) -> Self {
        Self::TooMany(wait)
    }
}

impl From<Denied> for Trouble {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<super::NotReady> for Trouble {
    fn from(_: super::NotReady) -> Self {
        Self::NotReady
    }
}

impl From<sealing::SealError> for Trouble {
    fn from(error: sealing::SealError) -> Self {
        tracing::error!(%error, "a citizen's value cannot be sealed or opened");
        Self::Sealing
    }
}

impl Trouble {
    fn problem(&self) -> Problem {
        match self {
            Self::Denied(denied) => Problem::new(401, "Not logged in", denied.to_string()),
            Self::Refused(Refusal::Bad(why)) => Problem::new(400, "Bad request", *why),
            Self::Refused(Refusal::Conflict(why)) => Problem::new(409, "Conflict", *why),
            Self::Refused(Refusal::NotFound(why)) => Problem::new(404, "Not Found", *why),
            Self::NotReady => Problem::new(503, "Not ready", "Try again shortly."),
            Self::TooMany(_) => {
                Problem::new(429, "Too many requests", "Nothing was changed. Try again later.")
            }
            Self::NotTaken | Self::PenTaken => {
                Problem::new(503, "Not written", "Nothing was changed. Try again.")
            }
            Self::NotInForce => Problem::new(
                503,
                "Not in force yet",
                "The change is written and not yet seen everywhere. Read again shortly.",
            ),
            Self::Unknown => Problem::new(
                500,
                "Outcome unknown",
                "The change may or may not be written. Read again before repeating it.",
            ),
            Self::Held => Problem::new(503, "Held", "This profile needs the operators' attention."),
            Self::Sealing => Problem::new(500, "Internal error", "Nothing was changed."),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let problem = self.problem();
        let mut response = problem_response(&problem);
        let headers = response.headers_mut();
        if problem.status == 503 {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Self::TooMany(Wait(seconds)) = self {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Self::Denied(_) = self {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response.extensions_mut().insert(Stranger);
        }
        response
    }
}

/// An extension of answers to whoever bore nothing valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stranger;

/// The shape of a refusal (RFC 9457), for the description.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is described, `Problem` is sent")]
pub(super) struct Refused {
    status: u16,
    title: String,
    detail: String,
}

pub(super) fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

pub(super) async fn unknown_path() -> Response {
    problem_response(&Problem::new(404, "Not Found", "There is no such path."))
}

pub(super) async fn wrong_method() -> Response {
    problem_response(&Problem::new(405, "Method Not Allowed", "This path takes other methods."))
}

/// A page of two sentences, Italian and English; with a button where something is to be confirmed.
pub(super) fn page(
    status: StatusCode,
    italian: &str,
    english: &str,
    button: Option<&str>,
) -> Response {
    let form = button.map_or_else(String::new, |label| {
        // The action is the page's own address, so the token stands in no markup.
        format!(
            "<form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" \
             value=\"One-Click\"><button>{label}</button></form>"
        )
    });
    let body = format!(
        "<!doctype html><html lang=\"it\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Staffetta</title><p>{italian}</p>\
         <p lang=\"en\">{english}</p>{form}</html>"
    );
    let mut response = (status, body).into_response();
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
