//! The results file: one line of JSON a row, appended when the row has its end and put into the order
//! of rows when the run ends. It is the journal as well: the next run of the same sending reads it and
//! goes on with the rows that have no end in it.
//!
//! It holds no person. A line is given to the operating system before the next row may take its place,
//! so it survives the end of this process; a power cut may cost the last ones, whose rows are then sent
//! again under their old keys.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{
    self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _,
};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::order;
use super::request::Sending;
use super::watch::Outcome;

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub row: u64,
    /// Its `Idempotency-Key`.
    pub key: String,
    pub status: Standing,
    /// The answer's code; absent where the row never left, or no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<u16>,
    /// The message's id, where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What the message came to, where it was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The endpoint has it.
    Taken,
    /// By the endpoint, or here because it is no message at all. Final: the row must be mended.
    Refused,
    /// Tried as often as allowed. The next run tries it again.
    Failed,
}

/// Why a results file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("another send writes to it")]
    Held,
    #[error("line {0} is no result of a send; it is left alone, name another file by --results")]
    Foreign(usize),
    #[error(
        "line {0} is of another sending: another input, template or label, or this one was changed \
         since. Name another file by --results; rows that were mended belong into a file of their own"
    )]
    OtherSending(usize),
}

/// The results file, open and held by this process alone.
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

/// Options of a file that only its owner may read.
pub(super) fn private(create: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).mode(0o600);
    options
}

impl Journal {
    /// Opens or makes the file, in order, and what earlier runs left in it.
    ///
    /// # Errors
    /// [`JournalFault`]. A file that is not this sending's is not touched.
    pub fn open(path: &Path, sending: &Sending) -> Result<(Self, Earlier), JournalFault> {
        let file = private(true).open(path)?;
        hold(&file)?;
        let whole = checked(&file, sending)?;
        file.set_len(whole)?;
        let journal = Self { path: path.to_owned(), file: Mutex::new(file) };
        journal.order()?;
        let length = journal.file.lock().seek(SeekFrom::End(0))?;
        let lines = BufReader::new(File::open(path)?.take(length));
        Ok((journal, Earlier { lines, next: None }))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.lock().write_all(&text)
    }

    /// Puts the lines into order, the last of each row; the file is replaced at once or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn order(&self) -> io::Result<()> {
        let mut file = self.file.lock();
        file.rewind()?;
        if order::is_ordered(&mut *file)? {
            file.seek(SeekFrom::End(0))?;
            return Ok(());
        }
        let mut name = self.path.as_os_str().to_owned();
        name.push(".ordering");
        let beside = PathBuf::from(name);
        let replacement = private(true).truncate(true).open(&beside)?;
        // Held before it has the name: no other run finds the new file free.
        replacement.lock()?;
        file.rewind()?;
        let mut output = BufWriter::new(&replacement);
        order::order(&mut BufReader::new(&*file), &mut output, &beside, order::HELD)?;
        output.flush()?;
        drop(output);
        replacement.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        *file = replacement;
        Ok(())
    }
}

fn hold(file: &File) -> Result<(), JournalFault> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => JournalFault::Held,
        TryLockError::Error(error) => JournalFault::Io(error),
    })
}

/// How long the file is without a line that a run did not finish writing.
fn checked(file: &File, sending: &Sending) -> Result<u64, JournalFault> {
    let mut reader = BufReader::new(file);
    let (mut whole, mut text, mut number) = (0, Vec::new(), 0);
    loop {
        text.clear();
        number += 1;
        let length = reader.read_until(b'\n', &mut text)?;
        if length == 0 {
            return Ok(whole);
        }
        if text.last() != Some(&b'\n') {
            // Ours, cut short; of anything else not a byte is taken away.
            let ours = text.starts_with(BEGINNING) || BEGINNING.starts_with(&text);
            return if ours { Ok(whole) } else { Err(JournalFault::Foreign(number)) };
        }
        let line: Line =
            serde_json::from_slice(&text).map_err(|_| JournalFault::Foreign(number))?;
        if line.key != sending.key(line.row) {
            return Err(JournalFault::OtherSending(number));
        }
        whole += u64::try_from(length).unwrap_or(0);
    }
}

/// How each line begins.
const BEGINNING: &[u8] = b"{\"row\":";

/// The results of earlier runs, read beside the rows: both in order, so that nothing is held.
pub struct Earlier {
    lines: BufReader<io::Take<File>>,
    next: Option<Line>,
}

impl Earlier {
    /// What earlier runs say of a row; asked for in rising order.
    ///
    /// # Errors
    /// The disk's.
    pub fn of(&mut self, row: u64) -> io::Result<Option<Line>> {
        loop {
            if self.next.is_none() {
                let mut text = String::new();
                if self.lines.read_line(&mut text)? == 0 {
                    return Ok(None);
                }
                self.next = Some(serde_json::from_str(&text)?);
            }
            match &self.next {
                Some(line) if line.row > row => return Ok(None),
                Some(line) if line.row == row => return Ok(self.next.take()),
                Some(_) | None => self.next = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Identity;
    use super::*;

    struct Bed {
        folder: tempfile::TempDir,
        sending: Sending,
    }

    impl Bed {
        fn new() -> Self {
            let sending = Identity::new("", None).finish();
            Self { folder: tempfile::tempdir().unwrap(), sending }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("results.ndjson")
        }

        fn line(&self, row: u64, status: Standing) -> Line {
            let id = (status == Standing::Taken).then(|| format!("id-{row}"));
            let key = self.sending.key(row);
            Line { row, key, status, http: None, id, title: None, detail: None, outcome: None }
        }

        fn open(&self) -> Result<(Journal, Earlier), JournalFault> {
            Journal::open(&self.path(), &self.sending)
        }

        /// The rows and standings that the next run finds among the first ten.
        fn found(&self) -> Vec<(u64, Standing)> {
            let (_journal, mut earlier) = self.open().unwrap();
            let lines = (1..=10).filter_map(|row| earlier.of(row).unwrap());
            lines.map(|line| (line.row, line.status)).collect()
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.path()).unwrap()
        }
    }

    use Standing::{Failed, Refused, Taken};

    #[test]
    fn the_next_run_finds_the_last_word_on_each_row_in_order() {
        let bed = Bed::new();
        assert_eq!(bed.found(), []);
        let (journal, _) = bed.open().unwrap();
        for (row, status) in [(7, Taken), (2, Failed), (4, Refused), (2, Taken)] {
            journal.write(&bed.line(row, status)).unwrap();
        }
        drop(journal);
        assert_eq!(bed.found(), [(2, Taken), (4, Refused), (7, Taken)]);
        let rows: Vec<u64> = bed.text().lines().map(|line| order::row_of(line).unwrap()).collect();
        assert_eq!(rows, [2, 4, 7]);
    }

    #[test]
    fn what_is_written_after_an_ordering_is_kept() {
        let bed = Bed::new();
        let (journal, _) = bed.open().unwrap();
        journal.write(&bed.line(9, Taken)).unwrap();
        journal.write(&bed.line(1, Taken)).unwrap();
        journal.order().unwrap();
        journal.write(&bed.line(5, Taken)).unwrap();
        drop(journal);
        assert_eq!(bed.found(), [(1, Taken), (5, Taken), (9, Taken)]);
    }

    #[test]
    fn a_line_that_was_cut_short_is_as_if_never_written() {
        let bed = Bed::new();
        let (journal, _) = bed.open().unwrap();
        journal.write(&bed.line(1, Taken)).unwrap();
        journal.write(&bed.line(2, Taken)).unwrap();
        drop(journal);
        let whole = bed.text();
        let first = whole.find('\n').unwrap() + 1;
        for length in first..whole.len() {
            std::fs::write(bed.path(), &whole[..length]).unwrap();
            assert_eq!(bed.found(), [(1, Taken)], "{length}");
            assert_eq!(bed.text(), whole[..first]);
        }
    }

    #[test]
    fn a_file_that_is_not_this_sendings_is_refused_and_not_touched() {
        let bed = Bed::new();
        let check = |text: &str, expected: &str| {
            std::fs::write(bed.path(), text).unwrap();
            let Err(fault) = bed.open() else { panic!("taken: {text}") };
            assert!(fault.to_string().starts_with(expected), "{fault}");
            assert_eq!(bed.text(), text);
        };
        check("somebody's notes", "line 1 is no result");
        check("{\"fiscal_code\":\"x\"}\n", "line 1 is no result");
        let other = Identity::new("other", None).finish();
        let line = Line { key: other.key(1), ..bed.line(1, Taken) };
        let text = format!("{}\n", serde_json::to_string(&line).unwrap());
        check(&text, "line 1 is of another sending");
    }

    #[test]
    fn two_runs_do_not_write_to_one_file() {
        let bed = Bed::new();
        let (journal, _) = bed.open().unwrap();
        assert!(matches!(bed.open(), Err(JournalFault::Held)));
        journal.write(&bed.line(2, Taken)).unwrap();
        journal.write(&bed.line(1, Taken)).unwrap();
        journal.order().unwrap();
        assert!(matches!(bed.open(), Err(JournalFault::Held)), "nor after it was put in order");
        drop(journal);
        assert!(bed.open().is_ok());
    }

    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let bed = Bed::new();
        drop(bed.open().unwrap());
        assert_eq!(std::fs::metadata(bed.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
