//! Counting what passed, what failed and what was not tried.

use std::fmt;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u64,
    failed: u64,
    skipped: Vec<String>,
}

impl Tally {
    /// One check that passed or failed.
    #[must_use]
    pub fn one(good: bool) -> Self {
        Self { passed: u64::from(good), failed: u64::from(!good), skipped: Vec::new() }
    }

    #[must_use]
    pub fn failed() -> Self {
        Self::one(false)
    }

    /// Not tried; never counted as passed.
    pub fn skip(&mut self, what: String) {
        self.skipped.push(what);
    }

    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failed == 0
    }

    /// Something was counted.
    #[must_use]
    pub fn has_any(&self) -> bool {
        self.passed + self.failed > 0
    }

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }

    /// Takes a line of a test program: `test result: ok. 3 passed; 0 failed; 1 ignored; …`. Anything
    /// else counts nothing.
    pub fn read(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        let counts = counts.split_once(". ").map_or(counts, |(_, rest)| rest);
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|count| count.parse::<u64>().ok());
            match (count, words.next()) {
                (Some(count), Some("passed")) => self.passed += count,
                (Some(count), Some("failed")) => self.failed += count,
                (Some(count), Some("ignored")) if count > 0 => {
                    self.skip(format!("{count} test(s) marked as ignored"));
                }
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &str) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        assert_eq!(tally.to_string(), expected);
        tally
    }

    #[test]
    fn results_of_several_programs_add_up() {
        check(
            &[
                "test a::b ... ok",
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out",
                "test result: \u{1b}[31mFAILED\u{1b}[0m. 4 passed; 2 failed; 0 ignored; 0 measured",
            ],
            "7 passed, 2 failed",
        );
    }

    #[test]
    fn an_ignored_test_is_skipped_not_passed() {
        let tally =
            check(&["test result: ok. 1 passed; 0 failed; 2 ignored"], "1 passed, 0 failed");
        assert_eq!(tally.skipped().len(), 1);
    }

    #[test]
    fn no_result_is_no_success() {
        assert!(!check(&["error: could not compile"], "0 passed, 0 failed").has_any());
    }

    #[test]
    fn one_failure_makes_the_whole_bad() {
        let mut total = Tally::one(true);
        total.add(Tally::failed());
        assert!(!total.is_good());
        assert_eq!(total.to_string(), "1 passed, 1 failed");
    }
}
