//! Requests drawn from the served description, valid and broken: every answer is a documented one, none is a
//! failure of ours, and no log line names anybody.

use std::collections::BTreeMap;

use super::privacy::is_logged;
use super::profiles::on_board;
use super::support::{ADVANCED, Api, PLAIN, READ_ONLY};
use crate::described::{Asked, Described};

const REQUESTS: usize = 1_500;
/// Of nobody else in these tests, so that a log line that holds one is of these requests.
const CODES: [&str; 3] = ["HSTLRQ80A01H501U", "HSTLRQ80A41H501Y", "AAAAAA00A00A000A"];

async fn ask(api: &Api, service: &str, asked: &Asked) -> (u16, String, Vec<u8>) {
    let method = asked.method.parse().unwrap();
    let mut request = api.client.request(method, api.url(&asked.path));
    let key = if service.is_empty() { "nobodys-key" } else { api.key(service) };
    request = request.header("Ocp-Apim-Subscription-Key", key);
    if let Some(body) = &asked.body {
        request = request.header("content-type", "application/json").body(body.clone());
    }
    let answer = request.send().await.unwrap();
    let kind = answer.headers().get("content-type").map(|it| it.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    (status, kind.unwrap_or_default(), answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn every_answer_to_a_request_drawn_from_the_description_is_a_documented_one() {
    let api = Api::start().await;
    on_board(&api, true);
    let mut known: Vec<_> = CODES.map(|code| ("fiscal_code", code.to_owned())).to_vec();
    for (name, value) in [
        ("email", "qualcuno@example.org"),
        ("due_date", "2026-12-01T00:00:00.000Z"),
        ("notice_number", "301000000012345678"),
    ] {
        known.push((name, value.to_owned()));
    }
    for _ in 0..3 {
        known.push(("id", api.accepted(PLAIN).await.to_string()));
    }
    let document = api.client.get(api.url("/openapi.json")).send().await.unwrap();
    let mut described = Described::new(&document.text().await.unwrap(), 20_261_125, known);
    // Batches are files, which nothing here draws yet.
    let mut operations = described.operations();
    operations.retain(|operation| !operation.contains("/batches"));
    // What a message comes to is waited for by the clock of the test, which stands.
    for id in api.log.ids() {
        api.view.set(id, |standing| standing.stored = true);
    }
    let (mut seen, mut wrong) = (BTreeMap::new(), BTreeMap::new());
    for nth in 0..REQUESTS {
        let operation = &operations[nth % operations.len()];
        let asked = described.ask(operation);
        let service = [PLAIN, ADVANCED, READ_ONLY, PLAIN, ""][nth / operations.len() % 5];
        let (status, kind, body) = ask(&api, service, &asked).await;
        *seen.entry((operation.clone(), status)).or_insert(0) += 1;
        if let Err(why) = described.check(&asked, status, &kind, &body) {
            wrong.entry(why).or_insert(asked);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (operation, status) in [
        ("post /messages", 201),
        ("post /messages", 400),
        ("post /messages", 401),
        ("post /messages/{fiscal_code}", 201),
        ("get /messages/{fiscal_code}/{id}", 200),
        ("get /messages/{fiscal_code}/{id}", 404),
        ("get /profiles/{fiscal_code}", 200),
    ] {
        let count = seen.get(&(operation.to_owned(), status)).copied().unwrap_or(0);
        assert!(count > 0, "{operation} never ended with {status}: {seen:?}");
    }
    for code in &CODES[..2] {
        assert!(!is_logged(code), "a fiscal code is in a log line");
    }
}
