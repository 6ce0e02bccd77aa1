//! Puts lines that begin as they ended into the order of their rows, the last of each row only.
//!
//! Bounded: `held` lines are in memory at once; more go through files beside the result, which are
//! merged and removed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Lines held at once: some 50 MB of results.
pub const HELD: usize = 1 << 17;

#[derive(Deserialize)]
struct Numbered {
    row: u64,
}

/// The row that a line is about.
///
/// # Errors
/// The line says none.
pub fn row_of(line: &str) -> io::Result<u64> {
    let numbered: Numbered = serde_json::from_str(line)?;
    Ok(numbered.row)
}

/// Writes the lines of `input` to `output`, in order of their rows. `beside` begins the names of files
/// for what does not fit into memory.
///
/// # Errors
/// The files', or a line without a row.
pub fn order(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    beside: &Path,
    held: usize,
) -> io::Result<()> {
    let mut lines = input.lines();
    let mut spilled = Spilled::default();
    loop {
        let chunk = lines.by_ref().take(held).collect::<io::Result<Vec<_>>>()?;
        let is_last = chunk.len() < held;
        let chunk = sorted(chunk)?;
        if is_last && spilled.files.is_empty() {
            return write(&chunk, output);
        }
        spilled.add(&chunk, beside)?;
        if is_last {
            return spilled.merge(output);
        }
    }
}

fn sorted(lines: Vec<String>) -> io::Result<Vec<(u64, String)>> {
    let numbered = lines.into_iter().map(|line| Ok((row_of(&line)?, line)));
    let mut lines = numbered.collect::<io::Result<Vec<_>>>()?;
    // Stable: of two lines of a row the later stays behind the earlier, and is the one kept.
    lines.sort_by_key(|(row, _)| *row);
    lines.reverse();
    lines.dedup_by_key(|(row, _)| *row);
    lines.reverse();
    Ok(lines)
}

fn write(lines: &[(u64, String)], output: &mut dyn Write) -> io::Result<()> {
    lines.iter().try_for_each(|(_, line)| writeln!(output, "{line}"))
}

/// Sorted pieces on disk, the later ones newer; they leave with this value.
#[derive(Default)]
struct Spilled {
    files: Vec<(PathBuf, BufReader<File>)>,
}

impl Spilled {
    fn add(&mut self, lines: &[(u64, String)], beside: &Path) -> io::Result<()> {
        let mut name = beside.as_os_str().to_owned();
        name.push(format!(".{}", self.files.len()));
        let path = PathBuf::from(name);
        let file = super::journal::private(true).truncate(true).open(&path)?;
        self.files.push((path, BufReader::new(file.try_clone()?)));
        let mut writer = BufWriter::new(file);
        write(lines, &mut writer)?;
        writer.flush()?;
        writer.get_mut().rewind()
    }

    fn merge(mut self, output: &mut dyn Write) -> io::Result<()> {
        // The smallest row first; of equal rows the newest file first.
        let mut heads = BinaryHeap::new();
        for file in 0..self.files.len() {
            self.advance(file, &mut heads)?;
        }
        let mut written = None;
        while let Some(Reverse((row, Reverse(file), line))) = heads.pop() {
            if written != Some(row) {
                writeln!(output, "{line}")?;
                written = Some(row);
            }
            self.advance(file, &mut heads)?;
        }
        Ok(())
    }

    fn advance(&mut self, file: usize, heads: &mut BinaryHeap<Head>) -> io::Result<()> {
        let mut line = String::new();
        if self.files[file].1.read_line(&mut line)? > 0 {
            line.truncate(line.trim_end().len());
            heads.push(Reverse((row_of(&line)?, Reverse(file), line)));
        }
        Ok(())
    }
}

/// Row, file, line.
type Head = Reverse<(u64, Reverse<usize>, String)>;

impl Drop for Spilled {
    fn drop(&mut self) {
        for (path, _) in &self.files {
            // What stays behind is overwritten by the next run.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether the lines stand in order already, each row once.
///
/// # Errors
/// As [`order`].
pub fn is_ordered(input: &mut dyn Read) -> io::Result<bool> {
    let mut before = None;
    for line in BufReader::new(input).lines() {
        let row = row_of(&line?)?;
        if before.is_some_and(|before| before >= row) {
            return Ok(false);
        }
        before = Some(row);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn text(lines: &[(u64, u32)]) -> String {
        lines.iter().map(|(row, n)| format!("{{\"row\":{row},\"n\":{n}}}\n")).collect()
    }

    fn ordered(lines: &[(u64, u32)], held: usize) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Vec::new();
        order(&mut text(lines).as_bytes(), &mut output, &folder.path().join("o"), held).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays behind");
        String::from_utf8(output).unwrap()
    }

    proptest! {
        #[test]
        fn the_last_line_of_each_row_stays_in_order_of_rows(
            rows in prop::collection::vec(0_u64..40, 0..120), held in 1_usize..50,
        ) {
            let lines: Vec<(u64, u32)> = rows.into_iter().zip(0..).collect();
            let naive: BTreeMap<u64, u32> = lines.iter().copied().collect();
            let naive: Vec<(u64, u32)> = naive.into_iter().collect();
            let found = ordered(&lines, held);
            prop_assert!(is_ordered(&mut found.as_bytes()).unwrap());
            prop_assert_eq!(found, text(&naive));
        }
    }

    #[test]
    fn a_piece_full_of_one_row_is_not_the_last_piece() {
        assert_eq!(ordered(&[(0, 1), (0, 2), (0, 3)], 2), text(&[(0, 3)]));
        assert_eq!(ordered(&[(7, 1), (7, 2), (3, 3), (9, 4)], 2), text(&[(3, 3), (7, 2), (9, 4)]));
    }

    #[test]
    fn what_is_not_in_order_is_seen() {
        let check = |lines: &[(u64, u32)], expected: bool| {
            assert_eq!(is_ordered(&mut text(lines).as_bytes()).unwrap(), expected, "{lines:?}");
        };
        check(&[], true);
        check(&[(1, 0), (2, 0), (9, 0)], true);
        check(&[(1, 0), (9, 0), (2, 0)], false);
        check(&[(1, 0), (1, 0)], false);
    }

    #[test]
    fn a_line_without_a_row_is_refused() {
        assert!(row_of("{\"n\":1}").is_err() && row_of("").is_err());
    }
}
