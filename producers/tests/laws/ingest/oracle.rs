//! What a sender learns of a citizen by sending.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::profiles::on_board;
use super::support::{Api, PLAIN, SANDBOX, a_body};

/// An answer without what must differ: the message's own id and moment.
async fn answer(api: &Api, body: &Value) -> String {
    let answer = api.submit(PLAIN, body).await;
    let mut headers: Vec<_> = answer.headers().keys().map(ToString::to_string).collect();
    headers.sort();
    let status = answer.status();
    let mut said: Value = answer.json().await.unwrap();
    let id = said["id"].take();
    assert!(id.is_string());
    said["created_at"].take();
    said["fiscal_code"].take();
    format!("{status} {headers:?} {said}")
}

/// Hazards H19, seen in IO (a check for each fiscal code, and lists of plain hashes of codes), and H22, seen
/// in Convoy and OneSignal (the accept path waits for a database): whoever sends is told the same, after the
/// same work, whether the recipient is unknown, on board, off, or nobody at all; for nobody is looked up.
#[tokio::test]
async fn accepting_asks_nobody_and_tells_nothing_of_the_recipient() {
    let api = Api::start().await;
    let mut answers = HashSet::new();
    answers.insert(answer(&api, &a_body()).await);
    on_board(&api, true);
    answers.insert(answer(&api, &a_body()).await);
    on_board(&api, false);
    answers.insert(answer(&api, &a_body()).await);
    let mut to_nobody = a_body();
    to_nobody["fiscal_code"] = json!("ZZZZZZ99T71Z999Z");
    answers.insert(answer(&api, &to_nobody).await);
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(api.view.lookups.load(Ordering::SeqCst), 0, "the directory was asked");
    assert_eq!(api.log.len(), 4);

    // The search would have seen one.
    let found = api.get(PLAIN, &format!("/profiles/{SANDBOX}")).send().await.unwrap();
    assert_eq!((found.status().as_u16(), api.view.lookups.load(Ordering::SeqCst)), (404, 1));
}
