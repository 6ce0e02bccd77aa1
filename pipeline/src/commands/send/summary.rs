//! What a run came to, counted from its results.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use super::journal::{Line, Standing};

/// Kinds of refusals that are told apart; the others are counted together.
const KINDS: usize = 20;

/// Refusals by their cause, and outcomes by their status, as lines of text.
///
/// # Errors
/// The file's.
pub fn of(results: &Path) -> io::Result<Vec<String>> {
    let mut tally = Tally::default();
    for line in BufReader::new(File::open(results)?).lines() {
        tally.take(&serde_json::from_str(&line?)?);
    }
    Ok(tally.lines())
}

#[derive(Default)]
struct Tally {
    /// Cause: how many, and the first row.
    causes: BTreeMap<String, (u64, u64)>,
    outcomes: BTreeMap<String, u64>,
}

impl Tally {
    fn take(&mut self, line: &Line) {
        if line.status != Standing::Taken {
            let title = line.title.as_deref().unwrap_or_default();
            let http = line.http.map(|code| format!("{code} ")).unwrap_or_default();
            let mut cause = format!("{http}{title}");
            if self.causes.len() >= KINDS && !self.causes.contains_key(&cause) {
                cause = "for other causes".to_owned();
            }
            self.causes.entry(cause).or_insert((0, line.row)).0 += 1;
        }
        if let Some(outcome) = &line.outcome {
            let moving = if outcome.is_final { "" } else { ", not at its end" };
            let outcome = format!("{}{moving}", outcome.status);
            // Words of one enumeration: few, whoever answers.
            if self.outcomes.len() < KINDS || self.outcomes.contains_key(&outcome) {
                *self.outcomes.entry(outcome).or_default() += 1;
            }
        }
    }

    fn lines(self) -> Vec<String> {
        let causes = self.causes.into_iter().map(|(cause, (count, first))| match count {
            1 => format!("  row {first}: {cause}"),
            _ => format!("  {count} rows from row {first} on: {cause}"),
        });
        let outcomes =
            self.outcomes.into_iter().map(|(outcome, count)| format!("  {count} {outcome}"));
        causes.chain(outcomes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::watch::Outcome;
    use super::*;

    fn line(row: u64, http: Option<u16>, title: &str) -> Line {
        Line {
            row,
            key: String::new(),
            status: Standing::Refused,
            http,
            id: None,
            title: Some(title.to_owned()),
            detail: None,
            outcome: None,
        }
    }

    fn told(lines: &[Line]) -> Vec<String> {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.take(line));
        tally.lines()
    }

    #[test]
    fn refusals_are_told_by_cause_with_the_first_row() {
        let lines = [
            line(3, Some(403), "Forbidden"),
            line(4, None, "Not sent"),
            line(9, Some(403), "Forbidden"),
        ];
        assert_eq!(told(&lines), ["  2 rows from row 3 on: 403 Forbidden", "  row 4: Not sent"]);
    }

    #[test]
    fn outcomes_are_told_by_status() {
        let outcome = |status: &str, is_final| {
            let status = status.to_owned();
            let outcome =
                Outcome { status, rejection_reason: None, webhook: None, email: None, is_final };
            Line { status: Standing::Taken, outcome: Some(outcome), ..line(1, None, "") }
        };
        let lines =
            [outcome("PROCESSED", true), outcome("ACCEPTED", false), outcome("PROCESSED", true)];
        assert_eq!(told(&lines), ["  1 ACCEPTED, not at its end", "  2 PROCESSED"]);
    }

    #[test]
    fn a_thousand_causes_are_not_a_thousand_lines() {
        let lines: Vec<Line> = (0..1_000).map(|n| line(n, None, &n.to_string())).collect();
        assert_eq!(told(&lines).len(), KINDS + 1);
    }
}
