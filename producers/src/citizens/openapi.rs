//! The citizen API's own description, generated from its shapes.

use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use hyper::header::CONTENT_TYPE;
use utoipa::OpenApi;

use super::inbox::{Inbox, Item, Opened};
use super::installations::{Done, Installation};
use super::shape::{Blocked, Language, Profile, Reminder, ServicePreference, Settings};

#[derive(OpenApi)]
#[openapi(
    info(title = "Staffetta citizen API", description = "Profile, preferences, devices, inbox."),
    components(schemas(
        Profile,
        Settings,
        Language,
        Reminder,
        Blocked,
        ServicePreference,
        Installation,
        Done,
        Inbox,
        Item,
        Opened
    ))
)]
struct Described;

pub(super) async fn serve() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| Described::openapi().to_json().unwrap_or_default());
    ([(CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}
