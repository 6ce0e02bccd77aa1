//! Nothing readable at rest: what is planted is found on no disk, in no log line, in no metric.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use runtime::embedded::{self, EmbeddedLog};
use runtime::log::Log;
use runtime::world::World;
use schemas::codec::Codec;
use schemas::records::MessageStatus;
use schemas::topics::Topic;
use sha2::Digest as _;

use crate::installation::{Doors, Installation};
use crate::kafka::in_clear;
use crate::planted::{Planted, letters};
use crate::search::{Find, Needle, Search, everything};
use crate::traffic::Traffic;

/// Enough that every decision, every segment and most scripted answers are among them.
pub const MESSAGES: usize = 150;

/// Services and citizens are known, and everything runs.
pub async fn onboarded(installation: &mut Installation, planted: &Planted) -> Doors {
    let services = installation.outside("services.json", &planted.services.to_string());
    installation.command("services", &["services", "apply", &services]);
    let lines: Vec<_> = planted.citizens.iter().map(ToString::to_string).collect();
    let citizens = installation.outside("citizens.ndjson", &lines.join("\n"));
    installation.command("citizens", &["citizens", "load", &citizens]);
    installation.run().await
}

/// Onboards, sends, reads, misbehaves; ends the installation. Gives searches for what was planted and for
/// the messages' ids, which lie in clear: a search that finds these sees into what it is shown.
pub async fn lived_in(installation: &mut Installation) -> (Search, Search) {
    let mut planted = Planted::sample(MESSAGES);
    let doors = onboarded(installation, &planted).await;
    let traffic = Traffic::new(installation, &doors);
    let ids = traffic.send(&planted).await;
    traffic.misbehave(&mut planted).await;
    traffic.live(&mut planted).await;
    traffic.quiet().await;
    traffic.ask(&planted, &ids).await;
    assert!(traffic.read_inboxes(&mut planted).await > MESSAGES / 2, "inboxes were read");
    assert!(traffic.unsubscribe(&mut planted).await > 5, "mails came and were answered");
    let metrics = traffic.metrics().await;
    std::fs::write(installation.said().join("metrics"), metrics).unwrap();
    installation.end();
    installation.command("why", &["why", &ids[0]]);
    let id = |id| Needle { what: "a message's id".into(), text: id };
    let open: Vec<_> = ids.into_iter().map(id).collect();
    (Search::new(&planted.needles), Search::new(&open))
}

/// Every accepted message has exactly one end: what was searched is a whole run.
pub fn all_ended(log: &dyn Log) -> bool {
    let ends = everything(log, &[Topic::Status]).into_iter().filter(|record| {
        let value = record.value.as_deref().unwrap_or_default();
        Codec::default().decode::<MessageStatus>(value).unwrap().status.is_final()
    });
    ends.count() == MESSAGES
}

pub fn none(found: &BTreeSet<Find>) {
    let some: Vec<_> = found.iter().take(20).map(ToString::to_string).collect();
    assert!(
        some.is_empty(),
        "{} places hold what they must not:\n{}",
        found.len(),
        some.join("\n")
    );
}

fn world() -> World {
    World::real(tokio::runtime::Handle::current(), Codec::default(), 1.0)
}

pub fn embedded_log(folder: &std::path::Path) -> EmbeddedLog {
    let settings = embedded::Settings { partitions: 2, ..embedded::Settings::default() };
    EmbeddedLog::open(folder, world(), settings).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_canaries_are_found_nowhere() {
    let mut installation = Installation::prepare(&[]).await;
    let (secret, open) = lived_in(&mut installation).await;
    tokio::task::block_in_place(|| {
        let (found, bytes) = secret.folder(&installation.data());
        none(&found);
        assert!(bytes > 1 << 20, "the log lies where it was sought: {bytes} bytes");
        none(&secret.folder(&installation.said()).0);
        assert!(!open.folder(&installation.data()).0.is_empty(), "the search sees into the files");
        let log = embedded_log(&installation.data().join("log"));
        let (found, records) = secret.records(&log);
        none(&found);
        assert!(records > 5 * MESSAGES, "{records} records were read");
        assert!(all_ended(&log));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_in_clear_is_found() {
    let word = letters(16);
    let search = Search::new(&[Needle { what: "the canary".into(), text: word.clone() }]);
    assert!(search.bytes("here", letters(1_000).as_bytes()).is_empty());
    for disguised in disguises(&word) {
        assert!(!search.bytes("here", &disguised).is_empty(), "{disguised:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    tokio::task::block_in_place(|| {
        let log = embedded_log(folder.path());
        log.apply(&Topic::all(), 2, &[]).unwrap();
        log.writer("canary").unwrap().write(vec![in_clear(&word)]).unwrap();
        assert_eq!(search.records(&log).0.len(), 1);
        drop(log);
        assert!(!search.folder(folder.path()).0.is_empty());
    });
}

/// The word in the middle of something, as programs write things down.
fn disguises(word: &str) -> Vec<Vec<u8>> {
    let shifted = ["a", "ab", "abc"].map(|before| STANDARD.encode(format!("{before}{word}, that")));
    let utf16 = || format!("so: {word}!").encode_utf16().collect::<Vec<_>>();
    let text = format!("{} {word} {}", letters(300), letters(300));
    let mut disguises = vec![
        word.to_uppercase().into_bytes(),
        hex::encode(format!("so: {word}!")).into_bytes(),
        hex::encode_upper(word.to_uppercase()).into_bytes(),
        URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"{word}\"}}")).into_bytes(),
        utf16().into_iter().flat_map(u16::to_le_bytes).collect(),
        utf16().into_iter().flat_map(u16::to_be_bytes).collect(),
        zstd::encode_all(text.as_bytes(), 3).unwrap(),
        [vec![0; 10_000], text.into_bytes(), vec![0; 10_000]].concat(),
        sha2::Sha256::digest(word).to_vec(),
    ];
    disguises.extend(shifted.map(String::into_bytes));
    disguises
}
