//! What must not be in the tree at all.

use super::rust::{self, Kind};
use super::tree::{File, Finding, Tree};

/// Written in two parts, so that the rules do not find themselves.
const HOSTS: [&str; 10] = [
    concat!("repo.maven", ".apache.org"),
    concat!("repo1.maven", ".org"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("registry.npmjs", ".org"),
    concat!("files.pythonhosted", ".org"),
    concat!("pypi", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("docker", ".io"),
];

const FOLDERS: [&str; 4] =
    [concat!("/", "work"), concat!("/", "root"), concat!("/", "home"), concat!("/", "tmp")];

/// Written by cargo, with the registry's name in every entry.
const LOCK: &str = "Cargo.lock";

/// Which registry or mirror serves a package is the business of the machine that builds.
pub fn no_registry_host_is_named(tree: &Tree) -> Vec<Finding> {
    in_every_line(tree, |line| HOSTS.into_iter().find(|host| line.contains(host)))
}

pub fn no_path_of_a_machine_is_named(tree: &Tree) -> Vec<Finding> {
    in_every_line(tree, |line| FOLDERS.into_iter().find(|folder| names_folder(line, folder)))
}

/// The folder stands at the beginning of a path, and is its whole first segment.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        let inside = |c: char| c.is_alphanumeric() || "_-./>})*".contains(c);
        let goes_on = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        !before.is_some_and(inside) && !after.is_some_and(goes_on)
    })
}

fn in_every_line(tree: &Tree, breach: impl Fn(&str) -> Option<&'static str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path != LOCK) {
        for (line, text) in (1..).zip(file.text.lines()) {
            if let Some(word) = breach(text) {
                findings.push(file.finding(line, format!("names {word}")));
            }
        }
    }
    findings
}

const MARKS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const MACROS: [&str; 2] = ["todo!", "unimplemented!"];
const ATTRIBUTES: [&str; 2] = ["#[ignore", "#[should_panic"];

/// No mark that postpones, no hole that panics, no test that is left out.
pub fn nothing_is_left_unfinished(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().flat_map(unfinished).collect()
}

fn unfinished(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |text: &str, first_line: usize, words: &[&str]| {
        for word in words {
            for (at, _) in text.match_indices(word) {
                let line = first_line + rust::line_of(text, at) - 1;
                let longer = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                if !longer {
                    findings.push(file.finding(line, format!("has {word}")));
                }
            }
        }
    };
    if !file.is_rust() {
        look(&file.text, 1, &MARKS);
        return findings;
    }
    for piece in rust::pieces(&file.text) {
        match piece.kind {
            Kind::Comment => look(piece.text, piece.line, &MARKS),
            Kind::Code => look(piece.text, piece.line, &[MACROS, ATTRIBUTES].concat()),
            Kind::Literal => {}
        }
    }
    findings
}

/// A test waits on a condition, a channel or a clock that it moves itself.
pub fn no_test_sleeps(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let code = rust::code(&file.text);
        let tests = file.test_lines();
        for word in ["sleep", "sleep_until"] {
            for at in rust::words(&code, word) {
                let line = rust::line_of(&code, at);
                let called = code[at + word.len()..].starts_with('(');
                let defined = code[..at].trim_end().ends_with("fn");
                // A world's clock is one that the test moves.
                let moved = code[..at].ends_with("world.");
                if called && !defined && !moved && tests.iter().any(|range| range.contains(&line)) {
                    findings.push(file.finding(line, "a test sleeps"));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, path: &str, text: &str, expected: &[usize]) {
        let found = rule(&Tree::planted(&[(path, text)]));
        let lines: Vec<usize> = found.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn a_registry_host_is_found() {
        let text = format!("a\nsee https://{}/x\n", HOSTS[0]);
        check(no_registry_host_is_named, "a.md", &text, &[2]);
        check(no_registry_host_is_named, LOCK, &text, &[]);
    }

    #[test]
    fn a_path_of_a_machine_is_found() {
        for folder in FOLDERS {
            check(no_path_of_a_machine_is_named, "a.sh", &format!("cd {folder}/x"), &[1]);
            check(no_path_of_a_machine_is_named, "a.rs", &format!("\"{folder}\""), &[1]);
            check(no_path_of_a_machine_is_named, "a.rs", &format!("x{folder}/y"), &[]);
            check(no_path_of_a_machine_is_named, "a.rs", &format!("{folder}space/y"), &[]);
        }
    }

    #[test]
    fn what_is_unfinished_is_found() {
        let rule = nothing_is_left_unfinished;
        check(rule, "a.md", &format!("x\n{}: later", MARKS[0]), &[2]);
        check(rule, "a.rs", &format!("a();\n// {} b\n", MARKS[1]), &[2]);
        check(rule, "a.rs", "fn f() {\n  todo!()\n}", &[2]);
        check(rule, "a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", &[2]);
        check(rule, "a.rs", "#[test]\n#[should_panic]\nfn f() {}", &[2]);
        check(rule, "a.rs", &format!("\"todo! {}\"; // do all\n", MARKS[0]), &[]);
    }

    #[test]
    fn a_test_that_sleeps_is_found() {
        let rule = no_test_sleeps;
        check(rule, "a/tests/laws.rs", "fn f() {\n time::sleep(one);\n}", &[2]);
        check(rule, "a/src/b.rs", "#[cfg(test)]\nmod tests {\n sleep_until(x);\n}", &[3]);
        check(rule, "a/src/b.rs", "fn f() { sleep(x); }\n#[cfg(test)]\nmod tests {}", &[]);
        check(rule, "a/tests/laws.rs", "fn no_sleep() { sleep_less(); } fn sleep() {}", &[]);
    }
}
