//! What the documents promise about the tree.

use std::collections::BTreeSet;

use super::tree::{File, Finding, Tree};

/// These must be there; every path they name in code marks or links must be there too.
const DOCUMENTS: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md", "DISASTER.md"];
/// A word with one of these endings is a path even without a slash.
const ENDINGS: [&str; 8] = [".rs", ".md", ".toml", ".yaml", ".yml", ".json", ".avsc", ".ndjson"];
/// Made on the developer's machine, not kept.
const MADE: [&str; 2] = [".staffetta", "target"];

pub fn a_path_in_a_document_exists(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in DOCUMENTS {
        if tree.file(path).is_none() {
            findings.push(Finding { path: path.to_owned(), line: 0, what: "is missing".into() });
        }
    }
    let more = |file: &&File| file.path.ends_with("/README.md") || DOCUMENTS.contains(&&*file.path);
    for file in tree.files.iter().filter(more) {
        for (line, text) in (1..).zip(file.text.lines()) {
            for path in paths(tree, text) {
                if !resolves(tree, &file.path, path) {
                    findings.push(file.finding(line, format!("{path} does not exist")));
                }
            }
        }
    }
    findings
}

/// As seen from the workspace, or from the document's own folder.
fn resolves(tree: &Tree, document: &str, path: &str) -> bool {
    let folder = document.rsplit_once('/').map(|(folder, _)| format!("{folder}/{path}"));
    tree.has(path) || folder.is_some_and(|path| tree.has(&path))
}

/// What stands in code marks or as a link's target and looks like a path of ours.
fn paths<'a>(tree: &Tree, line: &'a str) -> Vec<&'a str> {
    let marked = line.split('`').skip(1).step_by(2);
    let linked = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let is_path = |word: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/<>*".contains(c);
        let first = word.split('/').next().unwrap_or_default();
        !word.is_empty()
            && word.chars().all(plain)
            && !word.starts_with(['/', '.', '*'])
            && !MADE.contains(&first)
            && (ENDINGS.iter().any(|ending| word.ends_with(ending) && *word != *ending)
                || (word.contains('/') && tree.has(first)))
    };
    marked.chain(linked).filter(is_path).collect()
}

const DEFAULTS: &str = "pipeline/src/config/default.toml";
const README: &str = "README.md";

/// Every key of the defaults stands in the README's configuration table, and no other does.
pub fn configuration_keys_equal_the_table(tree: &Tree) -> Vec<Finding> {
    let (Some(defaults), Some(readme)) = (tree.file(DEFAULTS), tree.file(README)) else {
        let what = format!("{README} or {DEFAULTS} is missing");
        return vec![Finding { path: DEFAULTS.to_owned(), line: 0, what }];
    };
    let Ok(table) = defaults.text.parse::<toml::Table>() else {
        return vec![defaults.finding(0, "is no TOML")];
    };
    let mut keys = BTreeSet::new();
    flatten("", &table, &mut keys);
    let rows = table_keys(&readme.text);
    let absent = keys.difference(&rows).map(|key| readme.finding(0, format!("lacks {key}")));
    let unknown = rows.difference(&keys);
    let unknown = unknown.map(|key| readme.finding(0, format!("names {key}, which is no key")));
    let mut findings: Vec<Finding> = absent.chain(unknown).collect();
    if keys.is_empty() {
        findings.push(defaults.finding(0, "holds no key"));
    }
    findings
}

fn flatten(prefix: &str, table: &toml::Table, keys: &mut BTreeSet<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        // An empty table is a key that takes any names.
        match value.as_table().filter(|inner| !inner.is_empty()) {
            Some(inner) => flatten(&key, inner, keys),
            None => drop(keys.insert(key)),
        }
    }
}

/// The first cells, in code marks, of the tables under a heading that speaks of configuration.
fn table_keys(readme: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut keys = BTreeSet::new();
    for line in readme.lines() {
        if line.starts_with('#') {
            inside = line.to_lowercase().contains("configuration");
        }
        let cell = line.strip_prefix('|').and_then(|row| row.split('|').next()).map(str::trim);
        let key = cell.and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
        if let (true, Some(key)) = (inside, key) {
            keys.insert(key.to_owned());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_paths(line: &str, expected: &[&str]) {
        let mut files: Vec<_> = DOCUMENTS.iter().skip(1).map(|path| (*path, "")).collect();
        files.extend([("pipeline/a/src/b.rs", ""), (README, line)]);
        let found = a_path_in_a_document_exists(&Tree::planted(&files));
        let found: Vec<String> = found.into_iter().map(|finding| finding.what).collect();
        let expected: Vec<_> =
            expected.iter().map(|path| format!("{path} does not exist")).collect();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn a_path_that_does_not_exist_is_found() {
        check_paths(
            "`pipeline/a/src/c.rs` and `pipeline/b/`",
            &["pipeline/a/src/c.rs", "pipeline/b/"],
        );
        check_paths("`gone.toml`, [x](gone.md#y)", &["gone.toml", "gone.md"]);
        check_paths("`pipeline/a/src/b.rs` `pipeline/<crate>/src/b.rs` [x](SECURITY.md)", &[]);
        check_paths("`/api/v1/x` `application/json` `acks=all` `target/a.rs` `a b/c.rs`", &[]);
    }

    #[test]
    fn a_missing_document_is_found() {
        assert_eq!(a_path_in_a_document_exists(&Tree::planted(&[(README, "")])).len(), 4);
    }

    #[test]
    fn a_key_without_its_row_is_found_and_a_row_without_its_key() {
        let check = |toml: &str, readme: &str, expected: &[&str]| {
            let tree = Tree::planted(&[(DEFAULTS, toml), (README, readme)]);
            let found = configuration_keys_equal_the_table(&tree);
            let found: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
            assert_eq!(found, expected);
        };
        let rows = "## Configuration\n| Key | Why |\n| --- | --- |\n| `a.b` | x |\n| `c` | y |\n";
        check("c = 1\n[a]\nb = 2\n", rows, &[]);
        check("c = 1\n", rows, &["names a.b, which is no key"]);
        check("c = 1\nd = 2\n[a]\nb = 2\n", rows, &["lacks d"]);
        check("c = {}\n[a]\nb = 2\n", rows, &[]);
        check("c = 1\n", "## Topics\n| `c` | y |\n", &["lacks c"]);
        assert_eq!(configuration_keys_equal_the_table(&Tree::planted(&[])).len(), 1);
    }
}
