//! The files that belong to the project: everything that git tracks or would track.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::rust;
use crate::process;

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub path: String,
    /// Counted from one; 0 where the whole file is meant.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// A text file; its path is relative to the workspace, with `/`.
#[derive(Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines that are compiled for tests only.
    #[must_use]
    pub fn test_lines(&self) -> Vec<std::ops::RangeInclusive<usize>> {
        let whole = self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        if whole { vec![1..=self.text.lines().count()] } else { rust::test_modules(&self.text) }
    }

    #[must_use]
    pub fn is_test_line(&self, line: usize) -> bool {
        self.test_lines().iter().any(|range| range.contains(&line))
    }

    #[must_use]
    pub fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into() }
    }
}

#[derive(Debug, Default)]
pub struct Tree {
    pub files: Vec<File>,
    /// Every path, files that are no text included.
    paths: BTreeSet<String>,
}

impl Tree {
    pub fn of(root: &Path) -> Result<Self> {
        let list = process::output(Command::new("git").arg("-C").arg(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut tree = Self::default();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            let Ok(bytes) = std::fs::read(root.join(path)) else { continue }; // removed, not committed
            tree.paths.insert(path.to_owned());
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(File { path: path.to_owned(), text });
            }
        }
        Ok(tree)
    }

    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    #[must_use]
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A file or folder of that path; `*` and `<word>` stand for any one segment.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        self.paths.iter().any(|path| {
            let mut segments = path.split('/');
            wanted.iter().all(|wanted| {
                let any = *wanted == "*" || (wanted.starts_with('<') && wanted.ends_with('>'));
                segments.next().is_some_and(|segment| any || segment == *wanted)
            })
        })
    }

    /// A tree of planted files.
    #[cfg(test)]
    pub fn planted(files: &[(&str, &str)]) -> Self {
        let planted = files
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() });
        Self {
            files: planted.collect(),
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_file_a_folder_or_a_pattern() {
        let tree = Tree::planted(&[("a/b/c.rs", ""), ("a/d/c.rs", "")]);
        for path in ["a", "a/", "a/b", "a/b/c.rs", "a/<stage>/c.rs", "a/*/c.rs"] {
            assert!(tree.has(path), "{path}");
        }
        for path in ["b", "a/b/c", "a/e/c.rs", "a/<stage>/d.rs", "a/b/c.rs/d"] {
            assert!(!tree.has(path), "{path}");
        }
    }

    #[test]
    fn this_file_is_in_the_tree() {
        assert!(Tree::of(&process::workspace()).unwrap().has("xtask/src/tidy/tree.rs"));
    }
}
