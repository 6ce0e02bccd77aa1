//! The citizen API's own description, generated from its handlers and shapes.

use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use hyper::header::CONTENT_TYPE;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{inbox, installations, leave, links, mailbox, preferences, profile};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Staffetta citizen API",
        description = "Profile, preferences, devices and inbox of a citizen, and the links in mails. \
                       A change that was answered with success is in force for every send that \
                       starts later."
    ),
    servers((url = "/api/v1")),
    paths(
        profile::read, profile::write, mailbox::ask_again, leave::leave, preferences::read,
        preferences::write, installations::register, installations::remove, inbox::list,
        inbox::open, links::unsubscribe_page, links::unsubscribe, links::mailbox_page,
        links::mailbox,
    ),
    modifiers(&Login)
)]
struct Described;

/// The bearer token.
struct Login;

impl Modify for Login {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("login", SecurityScheme::Http(bearer));
    }
}

pub(super) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| Described::openapi().to_json().unwrap_or_default())
}

pub(super) async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], text()).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn every_path_is_described_with_its_refusals() {
        let described: Value = serde_json::from_str(super::text()).expect("JSON");
        let paths = described["paths"].as_object().expect("paths");
        let operations: usize =
            paths.values().map(|it| it.as_object().map_or(0, |o| o.len())).sum();
        assert_eq!((paths.len(), operations), (8, 14));
        let update = &paths["/profile"]["put"];
        assert!(update["responses"]["409"].is_object() && update["security"].is_array());
        assert!(described["components"]["schemas"]["Refused"].is_object());
    }
}
