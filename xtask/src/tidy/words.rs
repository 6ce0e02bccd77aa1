//! Words that live in one place: a supplier's names, our topics, our metrics.

use std::collections::{BTreeMap, BTreeSet};

use super::rust::{self, Kind};
use super::tree::{File, Finding, Tree};

/// A word of a supplier, and the only places whose code may say it.
struct Foreign {
    word: &'static str,
    places: &'static [&'static str],
}

const FOREIGN: [Foreign; 3] = [
    Foreign {
        word: "rdkafka",
        places: &["pipeline/runtime/src/kafka", "pipeline/chaos/src/source/kafka.rs"],
    },
    Foreign { word: "fjall", places: &["pipeline/runtime/src/embedded"] },
    Foreign { word: "lettre", places: &["consumers/src/email"] },
];

pub fn a_foreign_word_lives_in_one_place(tree: &Tree) -> Vec<Finding> {
    FOREIGN.iter().flat_map(|foreign| outside(tree, foreign)).collect()
}

fn outside(tree: &Tree, foreign: &Foreign) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut at_home = false;
    for file in tree.rust() {
        let home = foreign.places.iter().any(|place| file.path.starts_with(place));
        let code = rust::code(&file.text);
        for at in rust::words(&code, foreign.word) {
            at_home |= home;
            if !home {
                let what = format!("{} belongs to {}", foreign.word, foreign.places.join(", "));
                findings.push(file.finding(rust::line_of(&code, at), what));
            }
        }
    }
    if !at_home {
        let what = format!("nothing says {} where it belongs: is the rule true?", foreign.word);
        findings.push(Finding { path: foreign.places.join(", "), line: 0, what });
    }
    findings
}

const TOPICS: &str = "schemas/src/topics.rs";

/// The names are read from the one file that may spell them. Topics of one plain word are left out:
/// that word has other uses.
pub fn a_topic_is_spelt_once(tree: &Tree) -> Vec<Finding> {
    let Some(home) = tree.file(TOPICS) else {
        return vec![Finding { path: TOPICS.to_owned(), line: 0, what: "is missing".to_owned() }];
    };
    let names: BTreeSet<&str> =
        literals(home).map(|(text, _)| text).filter(|text| is_dotted(text)).collect();
    if names.is_empty() {
        return vec![home.finding(0, "spells no topic")];
    }
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| file.path != TOPICS) {
        for (text, line) in literals(file).filter(|(text, _)| spells(&names, text)) {
            findings.push(file.finding(line, format!("spells the topic {text:?}: ask `schemas`")));
        }
    }
    findings
}

fn is_dotted(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.contains('.') && text.split('.').all(|part| !part.is_empty() && part.chars().all(plain))
}

/// A whole name, a name without its lane, or the beginning of one that is put together.
fn spells(names: &BTreeSet<&str>, text: &str) -> bool {
    names.iter().any(|name| {
        let family = name.split('.').next().unwrap_or(name);
        let assembled = text.strip_prefix(family).and_then(|rest| rest.strip_prefix('.'));
        text == *name
            || name.strip_prefix(text).is_some_and(|lane| lane == ".live" || lane == ".bulk")
            || assembled.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
    })
}

/// Metrics are declared in files of this name.
const METRICS: &str = "metrics.rs";

/// Tests may say what an operator sees; everything else asks the file that declares the metric.
pub fn a_metric_is_spelt_in_one_file(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut declared: BTreeMap<&str, &str> = BTreeMap::new();
    let production = |file: &File, line: usize| !file.is_test_line(line);
    let (homes, others): (Vec<&File>, Vec<&File>) =
        tree.rust().partition(|file| file.path.ends_with(METRICS));
    for file in homes {
        for (text, line) in literals(file).filter(|(text, _)| is_metric(text)) {
            if !production(file, line) {
                continue;
            }
            let home = *declared.entry(text).or_insert(&file.path);
            if home != file.path {
                findings.push(file.finding(line, format!("{text} is declared in {home} already")));
            }
        }
    }
    if declared.is_empty() {
        let what = format!("no {METRICS} declares a metric");
        findings.push(Finding { path: METRICS.to_owned(), line: 0, what });
    }
    for file in others {
        for (text, line) in literals(file) {
            let known = declared.contains_key(text);
            let stray = text.ends_with("_total") && is_metric(text);
            if (known || stray) && production(file, line) {
                findings.push(file.finding(line, format!("{text} belongs into a {METRICS}")));
            }
        }
    }
    findings
}

fn is_metric(text: &str) -> bool {
    let unit = ["_total", "_seconds", "_bytes", "_records", "_ratio"];
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && text.matches('_').count() >= 2
        && unit.iter().any(|unit| text.ends_with(unit))
}

fn literals(file: &File) -> impl Iterator<Item = (&str, usize)> {
    rust::pieces(&file.text)
        .into_iter()
        .filter(|piece| piece.kind == Kind::Literal)
        .map(|piece| (piece.text, piece.line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(findings: &[Finding]) -> Vec<(&str, usize)> {
        findings.iter().map(|finding| (finding.path.as_str(), finding.line)).collect()
    }

    #[test]
    fn a_foreign_word_elsewhere_is_found() {
        let rule = Foreign { word: "quux", places: &["home"] };
        let home = ("home/a.rs", "use quux::A;");
        let prose = ("b.rs", "// quux is foreign\nlet a = \"quux\"; let quuxes = 1;");
        assert_eq!(outside(&Tree::planted(&[home, prose]), &rule), []);
        let stray = ("c.rs", "\nquux::send();");
        assert_eq!(lines(&outside(&Tree::planted(&[home, stray]), &rule)), [("c.rs", 2)]);
        assert_eq!(lines(&outside(&Tree::planted(&[prose]), &rule)), [("home", 0)]);
    }

    #[test]
    fn a_topic_spelt_elsewhere_is_found() {
        let home = (TOPICS, "[\"letter.posted.live\", \"letter.posted.bulk\", \"office\"]");
        let check = |text: &str, expected: usize| {
            let found = a_topic_is_spelt_once(&Tree::planted(&[home, ("b.rs", text)]));
            assert_eq!(found.len(), expected, "{text}");
        };
        check("\"letter.posted.live\"", 1);
        check("\"letter.posted\"", 1);
        check("format!(\"letter.{kind}\")", 1);
        check("\"letter.\"", 1);
        check("\"office\"; \"letters\"; \"reads letter.posted\" // \"letter.posted\"", 0);
        assert_eq!(a_topic_is_spelt_once(&Tree::planted(&[(TOPICS, "\"a\"")])).len(), 1);
    }

    #[test]
    fn a_metric_spelt_elsewhere_is_found() {
        let home = ("a/metrics.rs", "[\"door_letters_total\", \"door_wait_seconds\"]");
        let check = |text: &str, expected: usize| {
            let found = a_metric_is_spelt_in_one_file(&Tree::planted(&[home, ("b.rs", text)]));
            assert_eq!(found.len(), expected, "{text}");
        };
        check("\"door_wait_seconds\"", 1);
        check("\"door_other_total\"", 1);
        check("\"retry_after_seconds\"", 0);
        check("#[cfg(test)]\nmod tests {\n\"door_letters_total\"\n}", 0);
        let twice = ("c/metrics.rs", "\"door_wait_seconds\"");
        assert_eq!(a_metric_is_spelt_in_one_file(&Tree::planted(&[home, twice])).len(), 1);
        assert_eq!(a_metric_is_spelt_in_one_file(&Tree::planted(&[("b.rs", "")])).len(), 1);
    }
}
