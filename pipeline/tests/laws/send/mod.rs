//! `staffetta send` as a sender runs it, against the real router of the sender API.

mod api;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use api::{Api, LIMITED_RATE, Mood, PLAIN};

const CODE: &str = "AAAAAA00A00A000A";

/// A folder with an input, and the API that it is sent to.
struct Bed {
    api: Api,
    folder: TempDir,
}

impl Bed {
    async fn new(calls: u32) -> Self {
        Self { api: Api::start(calls).await, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `send FILE` with the key of `service`, and what else is said.
    fn send(&self, file: &Path, service: &str, more: &[&str]) -> Command {
        let mut command = bare(&[]);
        command.arg(file).arg("--url").arg(format!("http://{}", self.api.address));
        command.env("STAFFETTA_API_KEY", self.api.key(service)).args(more);
        command
    }

    /// The lines of `NAME.results.ndjson`.
    fn results(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(&format!("{name}.results.ndjson"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staffetta"));
    command.arg("send").args(arguments).env_remove("STAFFETTA_CONFIG").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn message(n: usize) -> Value {
    json!({
        "fiscal_code": CODE,
        "content": { "subject": format!("Comunicazione numero {n}"), "markdown": "a".repeat(80) }
    })
}

fn messages(count: usize) -> String {
    (1..=count).map(|n| format!("{}\n", message(n))).collect()
}

/// What was said, and the exit code; nothing that was said names the citizen.
async fn done(command: &mut Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    let said = [stdout, stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(status.code(), Some(code), "{said}");
    assert!(!said.contains(CODE), "{said}");
    said
}

fn rows(results: &[Value]) -> Vec<u64> {
    results.iter().map(|line| line["row"].as_u64().unwrap()).collect()
}

fn ids(results: &[Value]) -> BTreeSet<&str> {
    results.iter().filter_map(|line| line["id"].as_str()).collect()
}

#[tokio::test]
async fn every_row_is_taken_once_and_told_in_order() {
    let bed = Bed::new(150).await;
    let file = bed.write("in.ndjson", &messages(300));
    let said = done(&mut bed.send(&file, PLAIN, &[]), 0).await;
    assert!(said.contains("300 rows: 300 taken, 0 refused, 0 failed"), "{said}");
    let results = bed.results("in.ndjson");
    assert_eq!(rows(&results), (1..=300).collect::<Vec<_>>());
    assert_eq!(ids(&results).len(), 300);
    assert_eq!(bed.api.behind.messages(), (300, 300));
    // Another run finds nothing left to do.
    done(&mut bed.send(&file, PLAIN, &[]), 0).await;
    assert_eq!(bed.api.behind.messages(), (300, 300));
    assert_eq!(bed.results("in.ndjson"), results);
}

#[tokio::test]
async fn a_refused_row_stops_no_other_and_the_exit_code_says_so() {
    let bed = Bed::new(150).await;
    let mut short = message(2);
    short["content"]["subject"] = json!("short");
    let lower = json!({ "fiscal_code": CODE.to_lowercase(), "content": message(4)["content"] });
    let text = format!("{}\n{short}\nnot json\n{lower}\n{}\n", message(1), message(5));
    let file = bed.write("in.ndjson", &text);
    done(&mut bed.send(&file, PLAIN, &[]), 4).await;
    let results = bed.results("in.ndjson");
    let told: Vec<_> =
        results.iter().map(|it| (it["status"].as_str().unwrap(), &it["http"])).collect();
    let (taken, refused) = (("taken", &json!(201)), ("refused", &json!(400)));
    assert_eq!(told, [taken, refused, ("refused", &Value::Null), refused, taken]);
    assert_eq!(results[1]["title"], "Invalid message structure");
    assert!(results[1]["detail"].as_str().unwrap().contains("at root.content.subject"));
    let all = std::fs::read_to_string(bed.path("in.ndjson.results.ndjson")).unwrap();
    assert!(!all.to_uppercase().contains(CODE), "{all}");
}

const TEMPLATE: &str = r#"{
  "fiscal_code": "{{cf}}", "time_to_live": {{ttl}},
  "content": {"subject": "Avviso per \"{{nome}}\"", "markdown": "{{testo}}"}
}"#;

#[tokio::test]
async fn rows_of_a_csv_fill_a_template_and_a_preview_sends_nothing() {
    let bed = Bed::new(150).await;
    let text = "b".repeat(80);
    let csv =
        format!("cf;nome;testo;ttl\n{CODE};\"Ann \"\"A\"\"\";{text};3600\n{CODE};B;{text};x\n");
    let (file, template) = (bed.write("in.csv", &csv), bed.write("t.json", TEMPLATE));
    let more = ["--template", template.to_str().unwrap(), "--delimiter", ";"];
    let preview = bed.send(&file, PLAIN, &more).args(["--preview", "5"]).output().await.unwrap();
    let shown = String::from_utf8(preview.stdout).unwrap();
    assert_eq!(preview.status.code(), Some(4), "{shown}");
    assert!(shown.contains(r#""Avviso per \"Ann \"A\"\"""#), "{shown}");
    assert!(shown.contains("# not sent: column \"ttl\""), "{shown}");
    assert_eq!(bed.api.behind.messages(), (0, 0));
    assert!(!bed.path("in.csv.results.ndjson").exists());
    done(&mut bed.send(&file, PLAIN, &more), 4).await;
    let results = bed.results("in.csv");
    assert_eq!(
        (&results[0]["status"], &results[1]["status"]),
        (&json!("taken"), &json!("refused"))
    );
    assert_eq!(bed.api.behind.messages(), (1, 1));
}

#[tokio::test]
async fn told_to_slow_down_it_waits_and_every_row_is_taken() {
    let bed = Bed::new(20).await;
    let file = bed.write("in.ndjson", &messages(50));
    done(&mut bed.send(&file, LIMITED_RATE, &["--tries", "1"]), 0).await;
    assert_eq!(bed.api.behind.messages(), (50, 50));
    let slowed = bed.api.answered("429");
    assert!((1.0..100.0).contains(&slowed), "{slowed} requests were told to slow down");
}

/// Hazards H5 and H23, seen in ANPR (italia/anpr, issue 4748) and parlaConIO (its issues 3 and 5): rows are
/// missing from the result, and one error loses what the whole run had reached.
#[tokio::test]
async fn killed_in_the_middle_the_next_run_goes_on_and_nothing_is_doubled() {
    let bed = Bed::new(150).await;
    let file = bed.write("in.ndjson", &messages(200));
    bed.api.behind.set(Mood::StopsAfter(100));
    let mut first = bed.send(&file, PLAIN, &["--concurrency", "8"]).spawn().unwrap();
    bed.api.behind.reached(100).await;
    first.kill().await.unwrap();
    bed.api.behind.set(Mood::Takes);
    let told = bed.results("in.ndjson").len();
    assert!((92..=100).contains(&told), "{told} results survive the kill");
    done(&mut bed.send(&file, PLAIN, &[]), 0).await;
    let results = bed.results("in.ndjson");
    assert_eq!(rows(&results), (1..=200).collect::<Vec<_>>());
    assert_eq!((ids(&results).len(), bed.api.behind.messages().0), (200, 200));
}

#[tokio::test]
async fn a_row_whose_answer_was_lost_is_sent_again_under_its_own_key() {
    let bed = Bed::new(150).await;
    let file = bed.write("in.ndjson", &messages(30));
    bed.api.behind.set(Mood::Forgets);
    done(&mut bed.send(&file, PLAIN, &[]), 0).await;
    let (messages, appends) = bed.api.behind.messages();
    assert_eq!(messages, 30);
    assert!(appends > 30, "no answer was lost");
    assert_eq!(ids(&bed.results("in.ndjson")).len(), 30);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_a_failure_that_the_next_run_mends() {
    let bed = Bed::new(150).await;
    let file = bed.write("in.ndjson", &messages(20));
    let mut nowhere = bare(&["--url", "http://127.0.0.1:9", "--tries", "1"]);
    let said = done(nowhere.arg(&file).env("STAFFETTA_API_KEY", "k"), 1).await;
    assert!(said.contains("ended early"), "{said}");
    assert!(bed.results("in.ndjson").iter().all(|line| line["status"] == "failed"));
    done(&mut bed.send(&file, PLAIN, &[]), 0).await;
    assert_eq!(rows(&bed.results("in.ndjson")), (1..=20).collect::<Vec<_>>());
    assert_eq!(bed.api.behind.messages(), (20, 20));
}

#[tokio::test]
async fn a_wrong_key_ends_the_run_and_refuses_no_row() {
    let bed = Bed::new(150).await;
    let file = bed.write("in.ndjson", &messages(20));
    let key = bed.write("key", "no-such-key\n");
    let said = done(&mut bed.send(&file, PLAIN, &["--key-file", key.to_str().unwrap()]), 1).await;
    assert!(said.contains("refuses the key") && !said.contains("no-such-key"), "{said}");
    assert_eq!(bed.results("in.ndjson"), Vec::<Value>::new());
}

#[tokio::test]
async fn what_a_message_came_to_is_added_when_it_is_watched_even_by_a_later_run() {
    let bed = Bed::new(150).await;
    let file = bed.write("in.ndjson", &messages(5));
    done(&mut bed.send(&file, PLAIN, &[]), 0).await;
    assert!(bed.results("in.ndjson").iter().all(|line| line.get("outcome").is_none()));
    let said = done(&mut bed.send(&file, PLAIN, &["--watch"]), 0).await;
    assert!(said.contains("5 PROCESSED"), "{said}");
    let expected = json!({"status": "PROCESSED", "webhook": "SENT", "is_final": true});
    let results = bed.results("in.ndjson");
    assert_eq!(rows(&results), [1, 2, 3, 4, 5]);
    assert!(results.iter().all(|line| line["outcome"] == expected), "{results:?}");
    assert_eq!(bed.api.behind.messages(), (5, 5));
}

#[tokio::test]
async fn standard_input_is_sent_under_its_label_and_not_doubled_by_another_run() {
    let bed = Bed::new(150).await;
    let input = bed.write("in", &messages(40));
    let results = bed.path("-.results.ndjson");
    let more = ["--label", "a sending", "--results", results.to_str().unwrap()];
    for _ in 0..2 {
        let mut command = bed.send(Path::new("-"), PLAIN, &more);
        command.stdin(std::fs::File::open(&input).unwrap());
        done(&mut command, 0).await;
        // The results are lost as well: only the keys are left to know the rows by.
        std::fs::remove_file(&results).unwrap();
    }
    assert_eq!(bed.api.behind.messages(), (40, 40));
}

#[tokio::test]
async fn a_command_line_that_is_wrong_sends_nothing_and_ends_with_2() {
    let bed = Bed::new(150).await;
    let file = bed.write("in.ndjson", &messages(1));
    let csv = bed.write("in.csv", &format!("codice\n{CODE}\n"));
    let template = bed.write("t.json", r#"{"fiscal_code": "{{cf}}"}"#);
    let broken = bed.write("broken.json", r#"{"fiscal_code": "{{cf"}"#);
    let (template, broken) = (template.to_str().unwrap(), broken.to_str().unwrap());
    let check = async |file: &Path, more: &[&str], code: i32, word: &str| {
        let said = done(&mut bed.send(file, PLAIN, more), code).await;
        assert!(said.contains(word), "{said}");
    };
    check(&csv, &[], 2, "--template").await;
    check(&csv, &["--template", template], 2, "no column \"cf\"").await;
    check(&csv, &["--template", broken], 2, "line 1").await;
    check(&csv, &["--template", template, "--delimiter", "ab"], 2, "--delimiter").await;
    check(&file, &["--rate", "0"], 2, "--rate").await;
    check(&file, &["--url", "http://api.example"], 2, "used multiple times").await;
    check(Path::new("-"), &["--results", "r"], 2, "--label").await;
    check(Path::new("-"), &["--label", "l"], 2, "--results").await;
    check(&bed.path("nowhere.ndjson"), &[], 1, "nowhere.ndjson").await;
    check(&file, &["--results", csv.to_str().unwrap()], 1, "is no result of a send").await;
    let mut in_clear = bare(&["--url", "http://api.example"]);
    let said = done(in_clear.arg(&file).env("STAFFETTA_API_KEY", "k"), 2).await;
    assert!(said.contains("--plain-http"), "{said}");
    let mut keyless = bare(&["--url", "http://127.0.0.1:9"]);
    let said = done(keyless.arg(&file).env_remove("STAFFETTA_API_KEY"), 2).await;
    assert!(said.contains("--key-file"), "{said}");
    assert_eq!(bed.api.behind.messages(), (0, 0));
    assert!(!bed.path("nowhere.ndjson.results.ndjson").exists());
}
