//! From bytes to sealed chunks, on a thread of its own: unpacked, read row by row, checked.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;
use policy::admit::{Body, Caller, Lookups, Submission, admit};
use tokio::sync::mpsc::{Receiver, Sender};

use super::super::chunk::{self, Refused, Row, Rows};
use super::super::rows::{self, Format, Unreadable};
use super::remembered::{Before, Seen, hash};
use crate::ingest::{Ingest, Pass};

/// The largest window of a zstd frame that is unpacked: what `zstd -19` makes, not what `--ultra` does.
const ZSTD_WINDOW_LOG: u32 = 24;
/// Characters of a reason that are kept.
const LONGEST_REASON: usize = 500;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Plain,
    Gzip,
    Zstd,
}

impl Encoding {
    /// Nothing for one that is not known.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let Some(named) = headers.get(CONTENT_ENCODING) else { return Some(Self::Plain) };
        match named.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Plain),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What is to be read.
pub struct Intake {
    pub batch: String,
    /// Number of the next chunk, and rows before it.
    pub number: i32,
    pub rows: i64,
    pub format: Format,
    pub encoding: Encoding,
    pub seen: Seen,
    pub pass: Pass,
}

/// Rows, sealed.
pub struct SealedRows {
    pub number: i32,
    pub rows: i64,
    pub refused: i64,
    pub repeated: i64,
    pub wrapped_key: Vec<u8>,
    pub sealed: Vec<u8>,
}

pub enum Piece {
    Rows(SealedRows),
    End(Result<(), Stop>),
}

/// Why no further row was read.
pub enum Stop {
    /// The body ended before its end, or fell silent.
    Cut,
    /// A sentence without its full stop; says nothing of what stands in a row.
    Unreadable(String),
    /// Ours.
    Unsealed,
}

/// Reads all of `raw`; whole rows before its end become chunks, however it ends.
pub fn run(
    ingest: &Arc<Ingest>,
    intake: Intake,
    raw: Receiver<io::Result<Bytes>>,
    pieces: &Sender<Piece>,
) {
    let input = Pieces { raw, at: Bytes::new() };
    let format = intake.format.clone();
    let unpacked: io::Result<Box<dyn Read + Send>> = match intake.encoding {
        Encoding::Plain => Ok(Box::new(input)),
        Encoding::Gzip => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(input)))),
        Encoding::Zstd => zstd::stream::read::Decoder::new(input).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Ok(Box::new(decoder) as Box<dyn Read + Send>)
        }),
    };
    let mut packing = Packing { ingest, intake, pieces, held: Held::default() };
    let read = unpacked.map_err(Unreadable::Io).and_then(|input| rows::rows(input, &format));
    let end = match read {
        Ok(rows) => packing.all(rows),
        Err(why) => Err(Left::Stopped(packing.stop(&why))),
    };
    let end = match end {
        Ok(()) => Ok(()),
        Err(Left::Stopped(stop)) => Err(stop),
        Err(Left::Nobody) => return,
    };
    let _ = pieces.blocking_send(Piece::End(end));
}

/// Why packing ended early.
enum Left {
    Stopped(Stop),
    /// Nobody waits for the rows any more.
    Nobody,
}

#[derive(Default)]
struct Held {
    rows: Vec<Row>,
    bytes: usize,
    refused: i64,
    repeated: i64,
}

struct Packing<'a> {
    ingest: &'a Ingest,
    intake: Intake,
    pieces: &'a Sender<Piece>,
    held: Held,
}

impl Packing<'_> {
    fn all(&mut self, rows: rows::Rows<'_>) -> Result<(), Left> {
        for row in rows {
            match row {
                Ok(row) => self.take(row)?,
                Err(why) => {
                    let stop = self.stop(&why);
                    self.flush()?;
                    return Err(Left::Stopped(stop));
                }
            }
        }
        self.flush()
    }

    fn stop(&self, why: &Unreadable) -> Stop {
        let number = |row: u64| u64::try_from(self.intake.rows).unwrap_or(0) + row;
        match why {
            Unreadable::Io(error) if error.kind() == io::ErrorKind::ConnectionAborted => Stop::Cut,
            Unreadable::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Stop::Cut,
            Unreadable::Io(_) => Stop::Unreadable(
                "The body is not what its Content-Encoding says, or was packed with a window of more \
                 than 16 MiB"
                    .to_owned(),
            ),
            Unreadable::Endless(row) => Stop::Unreadable(format!(
                "Row {} finds no end: is a quotation mark left open there, or is the delimiter another \
                 one",
                number(*row)
            )),
            Unreadable::Unbound(unbound) => {
                Stop::Unreadable(format!("The template does not fit: {unbound}"))
            }
        }
    }

    fn take(&mut self, row: rows::Row) -> Result<(), Left> {
        let row = self.checked(row);
        let reason = row.refused.as_ref().map_or(0, |it| it.title.len() + it.detail.len());
        self.held.bytes += row.body.len() + reason + 64;
        self.held.refused += i64::from(row.refused.is_some());
        self.held.repeated += i64::from(row.repeated);
        self.held.rows.push(row);
        let config = &self.ingest.batches.config;
        // Escapes within JSON may double a body.
        let is_full = self.held.bytes * 2 >= config.chunk_bytes;
        if is_full || self.held.rows.len() >= config.chunk_rows { self.flush() } else { Ok(()) }
    }

    fn checked(&mut self, row: rows::Row) -> Row {
        let refuse = |id, title: &str, detail: String| {
            // It may quote the row, however long that is.
            let detail = detail.chars().take(LONGEST_REASON).collect();
            let refused = Some(Refused { title: title.to_owned(), detail });
            Row { id, body: String::new(), refused, repeated: false }
        };
        let body = match row.body {
            Ok(body) => body,
            Err(fault) => return refuse(row.id, "Invalid row", format!("{fault}.")),
        };
        if let Err(problem) = self.admitted(&body) {
            return refuse(row.id, &problem.title, problem.detail.into_owned());
        }
        let known = hash(self.ingest, &self.intake.batch, row.id.as_deref(), &body);
        match (self.intake.seen.take(known), row.id.is_some()) {
            (Before::New, _) | (Before::Full, false) => {
                Row { id: row.id, body, refused: None, repeated: false }
            }
            (Before::Repeated, false) => Row { id: row.id, body, refused: None, repeated: true },
            (Before::Repeated, true) => Row {
                repeated: true,
                ..refuse(row.id, "Repeated row", "An earlier row has the same id.".to_owned())
            },
            (Before::Full, true) => {
                let detail = "So many rows cannot be told apart by an id; begin another batch.";
                refuse(row.id, "Too many rows", detail.to_owned())
            }
        }
    }

    /// Every rule of a single call.
    fn admitted(&self, body: &str) -> Result<(), policy::admit::Problem> {
        let (ingest, pass) = (self.ingest, &self.intake.pass);
        let submission = Submission {
            caller: Caller::of(&pass.service),
            service: Some(&pass.service),
            client_ip: pass.client_ip,
            path_code: None,
            body: Body::Whole(body.as_bytes()),
        };
        let lookups = Lookups {
            pseudonym_of: &|code| ingest.sealer.pseudonym_of(code),
            owner_of: &|configuration| ingest.registry.owner_of(configuration),
        };
        admit(&submission, &lookups).map(|_| ())
    }

    fn flush(&mut self) -> Result<(), Left> {
        let held = std::mem::take(&mut self.held);
        if held.rows.is_empty() {
            return Ok(());
        }
        let count = i64::try_from(held.rows.len()).unwrap_or(i64::MAX);
        let rows = Rows { client_ip: self.intake.pass.client_ip, rows: held.rows };
        let (ingest, number) = (self.ingest, self.intake.number);
        let sealed = chunk::seal(&ingest.sealer, &ingest.world, &self.intake.batch, number, &rows);
        let (wrapped_key, sealed) = sealed.map_err(|_| Left::Stopped(Stop::Unsealed))?;
        let (refused, repeated) = (held.refused, held.repeated);
        let rows = SealedRows { number, rows: count, refused, repeated, wrapped_key, sealed };
        self.intake.number += 1;
        self.intake.rows += count;
        self.pieces.blocking_send(Piece::Rows(rows)).map_err(|_| Left::Nobody)
    }
}

/// A body as a reader that blocks.
struct Pieces {
    raw: Receiver<io::Result<Bytes>>,
    at: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at.is_empty() {
            match self.raw.blocking_recv() {
                Some(piece) => self.at = piece?,
                None => return Ok(0),
            }
        }
        let length = self.at.len().min(into.len());
        self.at.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}
