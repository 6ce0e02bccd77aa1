//! Paths of the sender API.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post, put};
use runtime::world::World;

use super::config::IngestConfig;
use super::gate::gate;
use super::limiter::Limiter;
use super::metrics::{IngestMetrics, Operation};
use super::ports::{Accept, Claims, Contents, Profiles, Statuses};
use super::registry::Registry;
use super::seal::Sealer;
use super::{answers, messages, openapi, profiles, reading};
use crate::batch::{Batches, http as batches};
use crate::http::{Door, secured};

/// Everything the sender API is made of.
pub struct Ingest {
    pub world: World,
    pub config: IngestConfig,
    pub registry: Arc<Registry>,
    pub limiter: Arc<Limiter>,
    pub sealer: Sealer,
    pub metrics: IngestMetrics,
    pub accept: Arc<dyn Accept>,
    pub statuses: Arc<dyn Statuses>,
    pub contents: Arc<dyn Contents>,
    pub profiles: Arc<dyn Profiles>,
    pub claims: Arc<dyn Claims>,
    pub batches: Arc<Batches>,
}

/// The whole API under `/api/v1`, with its headers on every answer. A path or an operation that does not
/// exist answers 404 as IO's gateway does, before any key is asked for.
pub fn router(ingest: Arc<Ingest>) -> Router {
    let guard = |operation: Operation, routes: MethodRouter<Arc<Ingest>>| {
        let state = (Arc::clone(&ingest), operation);
        routes.route_layer(from_fn_with_state(state, gate)).fallback(answers::unknown_path)
    };
    let submit = || guard(Operation::SubmitMessage, post(messages::submit));
    let submit_to = || guard(Operation::SubmitMessage, post(messages::submit_to));
    let profile = || guard(Operation::GetProfile, post(profiles::by_body));
    let order = Operation::OrderBatch;
    let api = Router::new()
        .route("/batches", guard(Operation::CreateBatch, post(batches::create)))
        .route("/batches/{id}", guard(Operation::GetBatch, get(batches::get_batch)))
        .route("/batches/{id}/rows", guard(Operation::PutRows, put(batches::put_rows)))
        .route("/batches/{id}/results", guard(Operation::GetResults, get(batches::results)))
        .route("/batches/{id}/complete", guard(order, post(batches::complete)))
        .route("/batches/{id}/pause", guard(order, post(batches::pause)))
        .route("/batches/{id}/resume", guard(order, post(batches::resume)))
        .route("/batches/{id}/cancel", guard(order, post(batches::cancel)))
        .route("/messages", submit())
        .route("/messages/", submit())
        .route("/messages/{fiscal_code}", submit_to())
        .route("/messages/{fiscal_code}/", submit_to())
        .route(
            "/messages/{fiscal_code}/{id}",
            guard(Operation::GetMessage, get(reading::get_message)),
        )
        .route("/profiles", profile())
        .route("/profiles/", profile())
        .route("/profiles/{fiscal_code}", guard(Operation::GetProfile, get(profiles::by_path)))
        .route("/openapi.json", get(openapi::serve).fallback(answers::unknown_path))
        .with_state(Arc::clone(&ingest));
    let whole = Router::new().nest("/api/v1", api).fallback(answers::unknown_path);
    secured(whole, Door::AnyOrigin)
}
