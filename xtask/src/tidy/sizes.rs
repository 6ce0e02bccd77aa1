//! How long files and functions may be.

use super::exceptions::{EXCEPTIONS, Exception};
use super::rust;
use super::tree::{File, Finding, Tree};

const FILE: usize = 500;
const FUNCTION: usize = 70;

pub fn a_file_fits_its_limit(tree: &Tree) -> Vec<Finding> {
    files(tree, EXCEPTIONS)
}

fn files(tree: &Tree, exceptions: &[Exception]) -> Vec<Finding> {
    let finding = |file: &File| {
        let (lines, limit) = (lines(file), limit(exceptions, &file.path, None, FILE));
        (lines > limit).then(|| file.finding(0, format!("{lines} lines, at most {limit}")))
    };
    tree.rust().filter_map(finding).collect()
}

pub fn a_function_fits_its_limit(tree: &Tree) -> Vec<Finding> {
    functions(tree, EXCEPTIONS)
}

fn functions(tree: &Tree, exceptions: &[Exception]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for function in rust::functions(&file.text) {
            let limit = limit(exceptions, &file.path, Some(&function.name), FUNCTION);
            if function.lines > limit {
                let what = format!("{}: {} lines, at most {limit}", function.name, function.lines);
                findings.push(file.finding(function.line, what));
            }
        }
    }
    findings
}

pub fn an_exception_is_still_needed(tree: &Tree) -> Vec<Finding> {
    needless(tree, EXCEPTIONS)
}

fn needless(tree: &Tree, exceptions: &[Exception]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for exception in exceptions {
        let file = tree.file(exception.path);
        let (found, limit) = match (file, exception.function) {
            (None, _) => (0, FILE),
            (Some(file), None) => (lines(file), FILE),
            (Some(file), Some(name)) => {
                let all = rust::functions(&file.text);
                let same = all.iter().filter(|function| function.name == name);
                (same.map(|function| function.lines).max().unwrap_or(0), FUNCTION)
            }
        };
        if found <= limit || exception.why.trim().is_empty() {
            findings.push(Finding {
                path: exception.path.to_owned(),
                line: 0,
                what: format!("its exception is no longer needed, or lacks a reason ({found})"),
            });
        }
    }
    findings
}

fn limit(exceptions: &[Exception], path: &str, function: Option<&str>, usual: usize) -> usize {
    exceptions
        .iter()
        .find(|exception| exception.path == path && exception.function == function)
        .map_or(usual, |exception| exception.lines)
}

fn lines(file: &File) -> usize {
    file.text.lines().count()
}

/// The median and the longest, for the eye.
#[must_use]
pub fn summary(tree: &Tree) -> String {
    let mut all: Vec<(usize, &str)> =
        tree.rust().map(|file| (lines(file), file.path.as_str())).collect();
    all.sort_unstable();
    let median = all.get(all.len() / 2).map_or(0, |(lines, _)| *lines);
    let (most, path) = all.last().copied().unwrap_or_default();
    format!("{} Rust files, median {median} lines, longest {most} ({path})", all.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "a();\n".repeat(lines - 2))
    }

    fn exception(function: Option<&'static str>, lines: usize) -> [Exception; 1] {
        [Exception { path: "a.rs", function, lines, why: "A catalogue." }]
    }

    #[test]
    fn a_file_beyond_the_limit_is_found() {
        let found = |lines| files(&Tree::planted(&[("a.rs", &long(lines))]), &[]).len();
        assert_eq!((found(500), found(501)), (0, 1));
    }

    #[test]
    fn a_function_beyond_the_limit_is_found() {
        let found = |lines| functions(&Tree::planted(&[("a.rs", &long(lines))]), &[]).len();
        assert_eq!((found(70), found(71)), (0, 1));
    }

    #[test]
    fn an_exception_lifts_the_limit_to_its_size_only() {
        let found = |lines| {
            let tree = Tree::planted(&[("a.rs", &long(lines))]);
            (
                files(&tree, &exception(None, 600)).len(),
                functions(&tree, &exception(Some("f"), 600)),
            )
        };
        assert_eq!(found(600).0, 0);
        assert!(found(600).1.is_empty());
        assert_eq!(found(601).0, 1);
        assert_eq!(found(601).1.len(), 1);
    }

    #[test]
    fn an_exception_no_longer_needed_is_found() {
        let found = |lines, function| {
            needless(&Tree::planted(&[("a.rs", &long(lines))]), &exception(function, 600)).len()
        };
        assert_eq!((found(501, None), found(500, None)), (0, 1));
        assert_eq!((found(71, Some("f")), found(70, Some("f"))), (0, 1));
        assert_eq!(found(71, Some("g")), 1);
    }
}
