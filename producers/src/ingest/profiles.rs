//! `/profiles`: may this service write to this citizen?

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use policy::admit::read::{IncompleteServices, ProfileOf, may_read_profile};
use policy::admit::service::Category;
use policy::admit::{Caller, Problem};
use policy::consent::{Citizen, sender_allowed};

use super::answers::{self, GatewayError};
use super::gate::Pass;
use super::messages::{as_body, path_text};
use super::openapi::{LimitedProfile, ProblemJson, ProfileRequest};
use super::router::Ingest;
use crate::http::read_body;

/// Words of the contract; a profile may hold others.
const LANGUAGES: [&str; 5] = ["it_IT", "en_GB", "es_ES", "de_DE", "fr_FR"];

/// Says whether the service may write to the citizen; the fiscal code stands in the body.
#[utoipa::path(
    post, path = "/profiles", operation_id = "getProfileByPOST", tag = "profiles",
    request_body = ProfileRequest,
    responses(
        (status = 200, description = "The citizen is on board", body = LimitedProfile),
        (status = 400, description = "Not understood", body = ProblemJson, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = GatewayError),
        (status = 403, description = "Not allowed", body = ProblemJson, content_type = "application/problem+json"),
        (status = 404, description = "Not on board", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests, or the view is not ready", body = GatewayError),
        (status = 500, description = "Ours", body = ProblemJson, content_type = "application/problem+json"),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn by_body(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    body: HttpBody,
) -> Response {
    let read = read_body(body, ingest.config.body()).await;
    answer(&ingest, &pass, ProfileOf::Body(as_body(&read))).await
}

/// Says whether the service may write to the citizen. Deprecated: the fiscal code stands in the path.
#[utoipa::path(
    get, path = "/profiles/{fiscal_code}", operation_id = "getProfile", tag = "profiles",
    params(("fiscal_code" = String, Path, description = "The citizen")),
    responses(
        (status = 200, description = "The citizen is on board", body = LimitedProfile),
        (status = 400, description = "Not understood", body = ProblemJson, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = GatewayError),
        (status = 403, description = "Not allowed", body = ProblemJson, content_type = "application/problem+json"),
        (status = 404, description = "Not on board", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests, or the view is not ready", body = GatewayError),
        (status = 500, description = "Ours", body = ProblemJson, content_type = "application/problem+json"),
    ),
    security(("SubscriptionKey" = []))
)]
pub async fn by_path(
    State(ingest): State<Arc<Ingest>>,
    Extension(pass): Extension<Pass>,
    code: Result<Path<String>, PathRejection>,
) -> Response {
    answer(&ingest, &pass, ProfileOf::Path(&path_text(code))).await
}

async fn answer(ingest: &Ingest, pass: &Pass, of: ProfileOf<'_>) -> Response {
    let service = &pass.service;
    let config = &ingest.config;
    let incomplete = if config.refuse_incomplete_services {
        IncompleteServices::Refused { except: &config.incomplete_services_excepted }
    } else {
        IncompleteServices::Allowed
    };
    let caller = Caller::of(service);
    let pseudonym_of = |code: &_| ingest.sealer.pseudonym_of(code);
    let asked =
        may_read_profile(&caller, Some(service), pass.client_ip, of, incomplete, &pseudonym_of);
    let pseudonym = match asked {
        Ok(pseudonym) => pseudonym,
        Err(problem) => return answers::problem(&problem),
    };
    let Ok(citizen) = ingest.profiles.citizen(pseudonym, &service.service_id).await else {
        return answers::not_taken();
    };
    let special = service.category == Category::Special;
    let allowed = sender_allowed(&citizen, &service.service_id, special, ingest.world.now());
    match allowed {
        None => answers::problem(&Problem::profile_not_found()),
        Some(sender_allowed) => {
            Json(LimitedProfile { sender_allowed, preferred_languages: languages(&citizen) })
                .into_response()
        }
    }
}

fn languages(citizen: &Citizen) -> Vec<String> {
    let held = citizen.profile.iter().flat_map(|profile| &profile.languages);
    held.filter(|language| LANGUAGES.contains(&language.as_str())).cloned().collect()
}
