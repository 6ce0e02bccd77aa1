//! What the documents prove by a test's name.

use std::collections::BTreeSet;

use super::rust;
use super::tree::{File, Finding, Tree};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const INVARIANTS: &str = "## What there is not";
/// Elsewhere a word of so many parts is taken for a law; shorter ones may be keys or metrics.
const PARTS: usize = 5;

/// Every law that a document names is a function of the tree, and every absence that ARCHITECTURE.md
/// claims names its proof or says that it has none.
pub fn a_law_in_a_document_exists(tree: &Tree) -> Vec<Finding> {
    let functions = functions(tree);
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let mut among_invariants = false;
        for (line, text) in (1..).zip(file.text.lines()) {
            if text.starts_with("## ") {
                among_invariants = file.path == ARCHITECTURE && text.starts_with(INVARIANTS);
            }
            let parts = if among_invariants { 3 } else { PARTS };
            for law in laws(text, parts).filter(|law| !functions.contains(*law)) {
                findings.push(file.finding(line, format!("no function is called {law}")));
            }
            if among_invariants && is_unproved(text) {
                findings.push(file.finding(line, "claims an absence without a proof"));
            }
        }
    }
    let claims = tree.file(ARCHITECTURE).filter(|file| file.text.contains(INVARIANTS));
    if claims.is_none() {
        let what = format!("has no section {INVARIANTS}");
        findings.push(Finding { path: ARCHITECTURE.to_owned(), line: 0, what });
    }
    findings
}

fn functions(tree: &Tree) -> BTreeSet<String> {
    tree.rust().flat_map(of_file).collect()
}

fn of_file(file: &File) -> Vec<String> {
    let code = rust::code(&file.text);
    let names = rust::words(&code, "fn").filter_map(|at| {
        let rest = code[at + 2..].trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        Some(rest[..end].to_owned())
    });
    names.collect()
}

/// Words of at least `parts` parts in code marks, spelt like a function.
fn laws(line: &str, parts: usize) -> impl Iterator<Item = &str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(move |word| word.chars().all(plain) && word.split('_').count() >= parts)
}

/// A row of the table whose proof is neither a command, a law nor a path, and that does not confess it.
fn is_unproved(line: &str) -> bool {
    let Some((claim, proof)) = line.trim_matches('|').split_once(" | ") else { return false };
    let is_row = line.starts_with('|') && !claim.starts_with(" ---") && proof.trim() != "Proof";
    is_row && !proof.contains('`') && !proof.contains("not tested")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        "## What there is not, and how\n\n| There is no … | Proof |\n| --- | --- |\n";

    fn check(row: &str, elsewhere: &str, expected: &[&str]) {
        let document = format!("{TABLE}{row}\n## Words\n{elsewhere}\n");
        let code = "fn no_cat_barks() {} // fn no_dog_meows() {}";
        let tree = Tree::planted(&[(ARCHITECTURE, &document), ("a.rs", code)]);
        let found = a_law_in_a_document_exists(&tree);
        let found: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(found, expected, "{row} {elsewhere}");
    }

    #[test]
    fn a_law_that_is_no_function_is_found() {
        check("| cat that barks | `no_cat_barks` |", "", &[]);
        check("| dog that meows | `no_dog_meows` |", "", &["no function is called no_dog_meows"]);
        check("| x | `x`, in `a.rs`, `cargo tree` |", "`no_dog_meows` is three words", &[]);
        check("| x | `x` |", "`a_b_c_d_e`", &["no function is called a_b_c_d_e"]);
    }

    #[test]
    fn a_claim_without_a_proof_is_found() {
        check("| cat that barks | we think |", "", &["claims an absence without a proof"]);
        check("| cat that barks | not tested |", "", &[]);
    }

    #[test]
    fn a_document_without_the_table_proves_nothing() {
        assert_eq!(a_law_in_a_document_exists(&Tree::planted(&[("a.rs", "")])).len(), 1);
    }
}
