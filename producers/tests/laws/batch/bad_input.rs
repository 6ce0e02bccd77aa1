//! A file that is not what it should be: told by row, its other rows unharmed, totals that add up.

use serde_json::{Value, json};

use super::bed::{Bed, row, rows};
use crate::ingest::support::PLAIN;

const TEMPLATE: &str =
    r#"{"fiscal_code": "{{cf}}", "content": {"subject": "{{oggetto}}", "markdown": "{{testo}}"}}"#;

fn line(subject: &str) -> String {
    format!("AAAAAA00A00A000A,{subject},{}\n", "b".repeat(90))
}

/// Puts `body` into a batch of that template; `refused` rows (from 1) with a part of the reason.
async fn check(template: Option<&str>, body: Vec<u8>, rows: usize, refused: &[(usize, &str)]) {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&template.map_or(json!({}), |it| json!({"template": it}))).await;
    let response = bed.put(&batch, "", body).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    let good = rows - refused.len();
    let shown = bed.look_until(&batch, |it| it["counters"]["in_progress"] == good).await;
    assert_eq!(shown["counters"]["rows"], rows);
    let results = bed.results(&batch).await;
    assert_eq!(results.len(), rows);
    for (line, number) in results.iter().zip(1..) {
        let why = refused.iter().find(|(row, _)| *row == number).map(|(_, why)| *why);
        let reason = line["reason"].as_str().unwrap();
        assert_eq!(line["status"] == "REFUSED", why.is_some(), "{line}");
        assert!(reason.contains(why.unwrap_or_default()), "{line}");
        assert!(!reason.contains("AAAAAA"), "{line}");
    }
    assert_eq!(bed.released().len(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_of_csv_do_not_stop_their_neighbours() {
    let mut body = b"\xef\xbb\xbfcf,oggetto,testo\n".to_vec();
    body.extend(line("Un oggetto buono").bytes());
    body.extend(b"AAAAAA00A00A000A,solo due\n");
    body.extend(line("Un altro,di troppo").bytes());
    body.extend(line("Citt\u{e0} di prova").bytes());
    // The same in Latin-1.
    body.extend(b"AAAAAA00A00A000A,Citt\xe0 di prova,");
    body.extend([b'b'; 90]);
    body.push(b'\n');
    body.extend(line("corto").bytes());
    body.extend(line("\"Con \"\"virgolette\"\" e\na capo\"").bytes());
    body.extend(line("L'ultimo oggetto").bytes());
    let refused = [
        (2, "2 fields under a header of 3"),
        (3, "4 fields under a header of 3"),
        (5, "save the file in that encoding"),
        (6, "Invalid message structure"),
    ];
    check(Some(TEMPLATE), body, 8, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_of_ndjson_do_not_stop_their_neighbours() {
    let long = format!("{{\"content\": \"{}\"}}\n", "x".repeat(10 << 20));
    let foreign = row(3).to_string().replace("\"AAAAAA00A00A000A\"", "\"not a code\"");
    let body = [rows(0..1), long, "[]\n".into(), format!("{foreign}\n"), rows(4..6)].concat();
    let refused = [(2, "longer than"), (3, "not a JSON object"), (4, "Invalid message structure")];
    check(None, body.into_bytes(), 6, &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_without_its_columns_is_refused_before_any_row() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({"template": TEMPLATE})).await;
    let response = bed.put(&batch, "", "cf,oggetto\nAAAAAA00A00A000A,b\n").await;
    assert_eq!(response.status(), 400);
    let problem: Value = response.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("no column \"testo\"") && detail.contains("0 rows are durable"));
    // The batch waits for a better file.
    let body = "cf,oggetto,testo\n".to_owned() + &line("Un oggetto buono");
    assert_eq!(bed.put(&batch, "", body).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quotation_mark_left_open_is_named_by_its_row_and_the_rows_before_it_stay() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    let batch = bed.made(&json!({"template": TEMPLATE})).await;
    let good = line("Un oggetto buono");
    let mut body = format!("cf,oggetto,testo\n{good}{good}AAAAAA00A00A000A,\"aperto,");
    body.push_str(&"y".repeat(3 << 20));
    let response = bed.put(&batch, "", body).await;
    assert_eq!(response.status(), 400);
    let detail = response.text().await.unwrap();
    assert!(detail.contains("Row 3 finds no end") && detail.contains("?from=2"), "{detail}");
    assert_eq!(bed.look(&batch).await["next_row"], 2);
    let rest = format!("cf,oggetto,testo\n{good}");
    assert_eq!(bed.put(&batch, "?from=2", rest).await.status(), 200);
    let shown = bed.look_until(&batch, |it| it["counters"]["in_progress"] == 3).await;
    assert_eq!(shown["counters"]["repeated"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_followed_makes_no_batch() {
    let bed = Bed::start().await;
    let _owner = bed.own();
    for (request, word) in [
        (json!({"template": "{{a"}), "template"),
        (json!({"template": []}), "template"),
        (json!({"delimiter": ";"}), "delimiter"),
        (json!({"template": TEMPLATE, "delimiter": ";;"}), "delimiter"),
        (json!({"id_column": "a"}), "id_column"),
        (json!({"not_before": "tomorrow"}), "not_before"),
        (json!({"not_before": "2999-01-01T00:00:00Z"}), "29 days"),
        (json!({"window": {"from": "8", "to": "20:00"}}), "window"),
        (json!({"window": {"from": "08:00", "to": "08:00"}}), "window"),
        (json!({"reference": ""}), "reference"),
        (json!({"reference": "x".repeat(201)}), "reference"),
        (json!({"refrence": "x"}), "object with"),
        (json!([]), "object with"),
    ] {
        let response = bed.create(&request).await;
        assert_eq!(response.status(), 400, "{request}");
        let problem: Value = response.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(word), "{request}: {problem}");
    }
    let csv = bed.request("POST", PLAIN, "/batches").header("Content-Type", "text/csv").body("a\n");
    assert_eq!(csv.send().await.unwrap().status(), 415);
    let unknown = bed.request("GET", PLAIN, "/batches/nothing").send().await.unwrap();
    assert_eq!(unknown.status(), 404);
}
