//! What went wrong elsewhere: a numbered table, each line with the law that it must not here.

use std::collections::BTreeMap;

use super::tree::{File, Finding, Tree};

const DOCUMENT: &str = "ARCHITECTURE.md";
const SECTION: &str = "## What went wrong elsewhere";
/// How many there are; the numbers are H1 and on.
const COUNT: usize = 25;
/// What a line says that has no law yet, and why.
const NOT_DUE: &str = "not yet due";

/// Every hazard stands in the table once, with a law whose comment bears its number (so that whoever reads
/// the test knows where it was seen), or with the word that it is not yet due.
pub fn every_hazard_has_its_law(tree: &Tree) -> Vec<Finding> {
    let Some(document) = tree.file(DOCUMENT) else {
        return vec![Finding { path: DOCUMENT.to_owned(), line: 0, what: "is missing".into() }];
    };
    let marked = marked(tree);
    let mut findings = Vec::new();
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for (line, text) in section(&document.text) {
        let Some((number, rest)) = row(text) else { continue };
        *seen.entry(number).or_default() += 1;
        let mut laws = rest.split('`').skip(1).step_by(2);
        let proved = laws.any(|law| marked.get(law).is_some_and(|all| all.contains(&number)));
        if !proved && !rest.contains(NOT_DUE) {
            let what = format!("H{number} names no law whose comment bears its number");
            findings.push(document.finding(line, what));
        }
    }
    for number in 1..=COUNT {
        let times = seen.get(&number).copied().unwrap_or(0);
        if times != 1 {
            findings.push(document.finding(0, format!("H{number} stands there {times} times")));
        }
    }
    findings
}

/// The lines of the section, with their numbers.
fn section(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines()).skip_while(|(_, line)| !line.starts_with(SECTION));
    let mut lines = lines.peekable();
    lines.next();
    lines.take_while(|(_, line)| !line.starts_with("## "))
}

/// A row of the table: its hazard's number, and what follows.
fn row(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.strip_prefix("| H")?.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// Functions whose comment directly above names hazards, and which.
fn marked(tree: &Tree) -> BTreeMap<&str, Vec<usize>> {
    tree.rust().flat_map(of_file).collect()
}

fn of_file(file: &File) -> Vec<(&str, Vec<usize>)> {
    let mut found = Vec::new();
    let mut numbers = Vec::new();
    for line in file.text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            numbers.extend(numbers_in(comment));
        } else if !line.starts_with("#[") {
            let name = line.split_once("fn ").and_then(|(_, rest)| rest.split('(').next());
            if let (Some(name), false) = (name, numbers.is_empty()) {
                found.push((name, std::mem::take(&mut numbers)));
            }
            numbers.clear();
        }
    }
    found
}

fn numbers_in(comment: &str) -> impl Iterator<Item = usize> {
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix('H')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, code: &str, expected: &[&str]) {
        let others = (2..=COUNT).map(|number| format!("| H{number} | x | not yet due |"));
        let others: Vec<_> = others.collect();
        let document =
            format!("{SECTION}\n\n{row}\n{}\n## More\n| H1 | `z` |\n", others.join("\n"));
        let tree = Tree::planted(&[(DOCUMENT, &document), ("a.rs", code)]);
        let found = every_hazard_has_its_law(&tree);
        let found: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(found, expected, "{row} {code}");
    }

    #[test]
    fn a_hazard_without_a_law_that_bears_its_number_is_found() {
        let law = "/// Hazards H1 and H7, seen in Elsewhere.\n#[test]\nfn no_cat_barks() {}";
        let unproved = &["H1 names no law whose comment bears its number"];
        check("| H1 | a cat barks | `no_cat_barks` |", law, &[]);
        check("| H1 | a cat barks | `no_dog_meows` |", law, unproved);
        check("| H1 | a cat barks | `no_cat_barks` |", "fn no_cat_barks() {}", unproved);
        check(
            "| H1 | a cat barks | `no_cat_barks` |",
            "/// H1\nlet a = 1;\nfn no_cat_barks() {}",
            unproved,
        );
        check("| H1 | a cat barks | `no_cat_barks` |", "/// H11\nfn no_cat_barks() {}", unproved);
    }

    #[test]
    fn a_hazard_that_is_missing_or_twice_is_found() {
        check("", "", &["H1 stands there 0 times"]);
        check(
            "| H1 | x | not yet due |\n| H1 | y | not yet due |",
            "",
            &["H1 stands there 2 times"],
        );
    }
}
