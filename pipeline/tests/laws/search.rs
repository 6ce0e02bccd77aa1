//! Looks for planted texts in every form in which a program might have written them down.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use runtime::log::{Incoming, Log, Start};
use schemas::topics::Topic;
use sha2::{Digest as _, Sha256};

/// A planted text, and what it is to a reader of the report, who must not need the text itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needle {
    pub what: String,
    pub text: String,
}

/// Where what was found, in which form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Find {
    pub place: String,
    pub what: String,
    pub form: &'static str,
}

impl fmt::Display for Find {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} ({})", self.what, self.place, self.form)
    }
}

/// All needles in all forms, sought in one pass.
pub struct Search {
    machine: AhoCorasick,
    meanings: Vec<(String, &'static str)>,
}

/// Texts beyond this length are sought by pieces, so that a shortened one is found as well.
const WHOLE: usize = 40;
const PIECE: usize = 24;
/// Every zstd frame begins with this (RFC 8878 §3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// So much of a frame is looked into.
const UNPACKED: u64 = 1 << 22;
/// Files that grow in steps are mostly zeros; no pattern holds so many of them.
const HOLE: [u8; 4_096] = [0; 4_096];

impl Search {
    pub fn new(needles: &[Needle]) -> Self {
        let (mut patterns, mut meanings) = (Vec::new(), Vec::new());
        for needle in needles {
            for piece in pieces(&needle.text) {
                for (form, bytes) in forms(piece) {
                    patterns.push(bytes);
                    meanings.push((needle.what.clone(), form));
                }
            }
        }
        patterns.push(ZSTD.to_vec()); // the only one without a meaning
        let machine = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostFirst)
            .build(patterns)
            .unwrap();
        Self { machine, meanings }
    }

    /// In these bytes, and in whatever is compressed among them.
    pub fn bytes(&self, place: &str, bytes: &[u8]) -> BTreeSet<Find> {
        let mut found = BTreeSet::new();
        for part in without_holes(bytes) {
            for hit in self.machine.find_iter(part) {
                match self.meanings.get(hit.pattern().as_usize()) {
                    Some((what, form)) => {
                        let (place, what) = (place.to_owned(), what.clone());
                        found.insert(Find { place, what, form });
                    }
                    None => found.extend(self.unpacked(place, &part[hit.start()..])),
                }
            }
        }
        found
    }

    fn unpacked(&self, place: &str, frame: &[u8]) -> BTreeSet<Find> {
        let Ok(decoder) = zstd::stream::read::Decoder::new(frame) else { return BTreeSet::new() };
        let mut plain = Vec::new();
        // What follows a frame is none, and its magic may stand anywhere by chance: errors are expected.
        let _ = decoder.take(UNPACKED).read_to_end(&mut plain);
        self.bytes(&format!("{place}, unpacked"), &plain)
    }

    /// In the name and every byte of every file below `folder`, and how many bytes that were.
    pub fn folder(&self, folder: &Path) -> (BTreeSet<Find>, u64) {
        let (mut found, mut total) = (BTreeSet::new(), 0);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let place = path.display().to_string();
            found.extend(self.bytes("a file's name", place.as_bytes()));
            if path.is_dir() {
                let (more, bytes) = self.folder(&path);
                found.extend(more);
                total += bytes;
            } else if let Ok(bytes) = std::fs::read(&path) {
                // A file may go between the listing and the reading; its successor is listed.
                total += bytes.len() as u64;
                found.extend(self.bytes(&place, &bytes));
            }
        }
        (found, total)
    }

    /// In key, value and headers of every record of every topic, as a reader gets them: whatever the
    /// store or the broker has compressed is open here. Also how many records that were.
    pub fn records(&self, log: &dyn Log) -> (BTreeSet<Find>, usize) {
        let mut found = BTreeSet::new();
        let records = everything(log, &Topic::all());
        let count = records.len();
        for record in records {
            let topic = record.position.at.topic;
            let place = |part: &str| format!("the {part} of a record on {topic}");
            found.extend(self.bytes(&place("key"), &record.key));
            found.extend(self.bytes(&place("value"), &record.value.unwrap_or_default()));
            for (name, value) in &record.headers {
                found.extend(self.bytes(&place("header"), name.as_bytes()));
                found.extend(self.bytes(&place("header"), value));
            }
        }
        (found, count)
    }
}

/// Every committed record of some topics.
pub fn everything(log: &dyn Log, topics: &[Topic]) -> Vec<Incoming> {
    let mut reader = log.reader(topics, &Start::Beginning).unwrap();
    let all = |topic: &Topic| {
        let (topic, count) = (*topic, log.partitions(*topic).unwrap());
        (0..count).map(move |number| (topic, number))
    };
    let mut open: BTreeSet<(Topic, u32)> = topics.iter().flat_map(all).collect();
    let mut records = Vec::new();
    let patience = Instant::now() + Duration::from_secs(30);
    while !open.is_empty() {
        assert!(Instant::now() < patience, "no end of {open:?}");
        let read = reader.poll(5_000, Duration::from_millis(100)).unwrap();
        records.extend(read.records);
        for (at, _) in read.ended {
            open.remove(&(at.topic, at.partition));
        }
    }
    records
}

fn without_holes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while let Some(after) = rest.strip_prefix(&HOLE) {
            rest = after;
        }
        let holes = rest.chunks_exact(HOLE.len()).take_while(|chunk| *chunk != HOLE).count();
        let end = if holes == rest.len() / HOLE.len() { rest.len() } else { holes * HOLE.len() };
        let part;
        (part, rest) = rest.split_at(end);
        (!part.is_empty()).then_some(part)
    })
}

fn pieces(text: &str) -> Vec<&str> {
    if text.len() <= WHOLE {
        return vec![text];
    }
    let middle = (text.len() - PIECE) / 2;
    vec![&text[..PIECE], &text[middle..middle + PIECE], &text[text.len() - PIECE..]]
}

/// As it is, in capitals and in small letters come from the search itself, which does not tell them
/// apart; where the case is hidden by an encoding, each is written out.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("in clear", text.as_bytes().to_vec())];
    let cases = BTreeSet::from([text.to_owned(), text.to_uppercase(), text.to_lowercase()]);
    for text in &cases {
        forms.push(("hex", hex::encode(text).into_bytes()));
        forms.push(("SHA-256", Sha256::digest(text).to_vec()));
        forms.push(("SHA-256 in hex", hex::encode(Sha256::digest(text)).into_bytes()));
        let units = || text.encode_utf16();
        forms.push(("UTF-16LE", units().flat_map(u16::to_le_bytes).collect()));
        // Without the leading zero byte, so that no pattern begins with one: files are full of them.
        forms.push(("UTF-16BE", units().flat_map(u16::to_be_bytes).skip(1).collect()));
        for shift in 0..3 {
            for (form, engine) in [("base64", STANDARD_NO_PAD), ("base64url", URL_SAFE_NO_PAD)] {
                let encoded = engine.encode([&vec![0; shift], text.as_bytes()].concat());
                // The digits at both ends depend on the neighbours.
                let inner = &encoded[[0, 2, 3][shift]..encoded.len() - 1];
                forms.push((form, inner.as_bytes().to_vec()));
            }
        }
    }
    let escaped: String = url_escaped(text);
    if escaped != text {
        forms.push(("percent-encoded", escaped.into_bytes()));
    }
    let mut seen = BTreeSet::new();
    forms.retain(|(_, bytes)| seen.insert(bytes.clone()));
    forms
}

fn url_escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
