//! A store that is behind its log.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::Value;

use super::town::Town;

const CODE: &str = "RSSMRA80A01H501U";

/// Every file below the store.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.flat_map(|entry| match entry.path() {
        path if path.is_dir() => objects(&path),
        path => vec![path],
    });
    each.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_missing_is_a_message_without_content_and_comes_back_with_it() {
    let town = Town::start().await;
    town.register(CODE, "qualcuno@example.org", &"a1".repeat(32)).await;
    let id = town.send(CODE, "Un avviso di prova").await;
    let path = format!("/inbox/{id}");
    let open = async |status| town.as_citizen(CODE, Method::GET, &path, Value::Null, status).await;
    open(200).await;
    let store = town.folder.path().join("data/objects");
    let kept: Vec<_> =
        objects(&store).into_iter().map(|file| (std::fs::read(&file), file)).collect();
    assert!(!kept.is_empty());
    for (_, file) in &kept {
        std::fs::remove_file(file).expect("removed");
    }
    open(404).await;
    assert_eq!(town.inbox(CODE).await, std::slice::from_ref(&id), "it stays in the list");
    for (bytes, file) in kept {
        std::fs::write(file, bytes.expect("read")).expect("restored");
    }
    let again = open(200).await;
    assert_eq!(again["content"]["subject"], "Un avviso di prova");
}
