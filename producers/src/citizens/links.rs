//! The links in our mails. Opening one changes nothing: mail programs and scanners open links; only a
//! POST does, from the page's button or from the mail program's own (RFC 8058).

use std::sync::Arc;

use axum::extract::{Path, State};
use hyper::StatusCode;
use schemas::records::Unsubscribe;
use sealing::MailboxClaim;

use super::answers::{Refused, Stranger, Trouble, page};
use super::api::{Answer, CitizenApi};
use super::mailbox::validate;
use super::ports::Dossier;
use super::records::put;

#[utoipa::path(get, path = "/unsubscribe/{token}", tag = "links", params(("token" = String, Path)), responses((status = 200, description = "A page; nothing is changed", body = String, content_type = "text/html"), (status = 404, description = "not valid, or not any more: a page", body = String, content_type = "text/html"), (status = 400, description = "the path cannot be read", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")))]
pub(super) async fn unsubscribe_page(
    State(api): State<Arc<CitizenApi>>,
    Path(token): Path<String>,
) -> Answer {
    if api.keyring.tokens().open_unsubscribe(&token).is_err() {
        return Ok(no_longer());
    }
    Ok(page(
        StatusCode::OK,
        "Vuoi smettere di ricevere email da questo servizio?",
        "Do you want no more email from this service?",
        Some("Sì, basta email"),
    ))
}

/// Stops email from one service, in every mode, also to persons not on board.
#[utoipa::path(post, path = "/unsubscribe/{token}", tag = "links", params(("token" = String, Path)), responses((status = 200, description = "In force: a page", body = String, content_type = "text/html"), (status = 404, description = "not valid, or not any more: a page", body = String, content_type = "text/html"), (status = 400, description = "the path cannot be read", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")))]
pub(super) async fn unsubscribe(
    State(api): State<Arc<CitizenApi>>,
    Path(token): Path<String>,
) -> Answer {
    let Ok((citizen, service_id)) = api.keyring.tokens().open_unsubscribe(&token) else {
        return Ok(no_longer());
    };
    api.count(citizen)?;
    api.change(citizen, service_id, |api, turn, service_id| async move {
        // Asked of no dossier: a refusal is taken down whatever else is wrong with it.
        let at = api.world.now();
        let citizen = turn.citizen();
        let record = Unsubscribe { citizen, service_id: (*service_id).clone(), at };
        turn.settle(vec![put(&api.world.codec, &record)]).await?;
        Ok(page(
            StatusCode::OK,
            "Fatto: da questo servizio non riceverai altre email.",
            "Done: this service will send you no more email.",
            None,
        ))
    })
    .await
}

#[utoipa::path(get, path = "/mailbox/{token}", tag = "links", params(("token" = String, Path)), responses((status = 200, description = "A page; nothing is changed", body = String, content_type = "text/html"), (status = 404, description = "not valid, or not any more: a page", body = String, content_type = "text/html"), (status = 400, description = "the path cannot be read", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")))]
pub(super) async fn mailbox_page(
    State(api): State<Arc<CitizenApi>>,
    Path(token): Path<String>,
) -> Answer {
    if api.keyring.tokens().open_mailbox(&token, api.world.now()).is_err() {
        return Ok(no_longer());
    }
    Ok(page(
        StatusCode::OK,
        "Confermi che questo indirizzo email è tuo?",
        "Is this email address yours?",
        Some("Confermo"),
    ))
}

/// Validates the address that the token was mailed to, if it is still the profile's.
#[utoipa::path(post, path = "/mailbox/{token}", tag = "links", params(("token" = String, Path)), responses((status = 200, description = "In force: a page", body = String, content_type = "text/html"), (status = 404, description = "not valid, or not any more: a page", body = String, content_type = "text/html"), (status = 400, description = "the path cannot be read", body = Refused, content_type = "application/problem+json"), (status = 429, description = "too many: `Retry-After` says until when", body = Refused, content_type = "application/problem+json"), (status = 503, description = "not ready or not in force yet: try again", body = Refused, content_type = "application/problem+json")))]
pub(super) async fn mailbox(
    State(api): State<Arc<CitizenApi>>,
    Path(token): Path<String>,
) -> Answer {
    let Ok(claim) = api.keyring.tokens().open_mailbox(&token, api.world.now()) else {
        return Ok(no_longer());
    };
    api.count(claim.citizen)?;
    api.change(claim.citizen, claim, |api, turn, claim| async move {
        let dossier = turn.dossier().await?;
        if !is_still_theirs(&api, &dossier, &claim)? {
            return Ok(no_longer());
        }
        let Some(mut profile) = dossier.profile else { return Ok(no_longer()) };
        if !profile.email_validated {
            validate(&api, &mut profile);
            turn.settle(vec![put(&api.world.codec, &profile)]).await?;
        }
        Ok(page(
            StatusCode::OK,
            "Fatto: il tuo indirizzo email è confermato.",
            "Done: your email address is confirmed.",
            None,
        ))
    })
    .await
}

fn is_still_theirs(
    api: &CitizenApi,
    dossier: &Dossier,
    claim: &MailboxClaim,
) -> Result<bool, Trouble> {
    let Some(profile) = dossier.profile.as_ref().filter(|it| it.generation == claim.generation)
    else {
        return Ok(false);
    };
    let address = api.address(profile, &api.key(dossier, profile.generation)?)?;
    Ok(address.is_some_and(|address| api.keyring.tokens().is_for(claim, &address)))
}

fn no_longer() -> axum::response::Response {
    let mut page = page(
        StatusCode::NOT_FOUND,
        "Questo collegamento non è valido, o non lo è più.",
        "This link is not valid, or not any more.",
        None,
    );
    page.extensions_mut().insert(Stranger);
    page
}
