//! The rows of a file, one after another: NDJSON of whole messages, or CSV that fills a template.
//!
//! Read alike by the sender API and by `staffetta send`. Bounded: at most one row is held, and none longer than [`LONGEST_ROW`].

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::ByteRecord;
use policy::batch::template::{NotBare, Template, Unbound, is_object};

/// In bytes. The contract's longest message has about 60 KB.
pub const LONGEST_ROW: usize = 1 << 20;

/// One row as it would be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// From 1; neither a header nor an empty line counts.
    pub number: u64,
    /// What stands in the column that tells rows apart, where the format names one.
    pub id: Option<String>,
    pub body: Result<String, RowFault>,
}

/// Why a row cannot be sent at all. Says nothing of what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    #[error("not a JSON object")]
    NotAnObject,
    #[error("not UTF-8: save the file in that encoding")]
    NotUtf8,
    #[error("longer than {LONGEST_ROW} bytes")]
    TooLong,
    #[error("{found} fields under a header of {expected}")]
    Fields { found: usize, expected: usize },
    #[error(transparent)]
    NotBare(#[from] NotBare),
}

/// Why no further row can be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("{0}")]
    Io(io::Error),
    #[error(
        "row {0} is longer than {LONGEST_ROW} bytes: is a quotation mark left open there, or is the \
         delimiter another one (--delimiter)?"
    )]
    Endless(u64),
    #[error("the template does not fit: {0}")]
    Unbound(#[from] Unbound),
}

/// How a file is to be read.
#[derive(Debug, Clone)]
pub enum Format {
    /// A whole message a line.
    Ndjson,
    /// A header, and rows that fill the template. The delimiter is one ASCII character.
    Csv {
        template: Arc<Template>,
        delimiter: u8,
        /// The column that tells rows apart.
        id: Option<String>,
    },
}

/// Opens the rows of `input`.
///
/// # Errors
/// The header cannot be read, or the template asks for what it does not have.
pub fn rows<'a>(input: impl Read + Send + 'a, format: &Format) -> Result<Rows<'a>, Unreadable> {
    let kind = match format {
        Format::Ndjson => Kind::Ndjson(Box::new(BufReader::with_capacity(1 << 16, input))),
        Format::Csv { template, delimiter, id } => {
            let input = Box::new(input);
            let template = Arc::clone(template);
            Kind::Csv(Box::new(CsvRows::open(input, template, *delimiter, id.as_deref())?))
        }
    };
    Ok(Rows { kind, number: 0, begun: false })
}

/// An iterator over rows; it ends with the first error.
pub struct Rows<'a> {
    kind: Kind<'a>,
    number: u64,
    begun: bool,
}

enum Kind<'a> {
    Ndjson(Box<dyn BufRead + Send + 'a>),
    Csv(Box<CsvRows<'a>>),
    Ended,
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = match &mut self.kind {
            Kind::Ndjson(input) => message(input, !std::mem::replace(&mut self.begun, true)),
            Kind::Csv(rows) => rows.next(self.number + 1),
            Kind::Ended => return None,
        };
        match read {
            Ok(Some(body)) => {
                self.number += 1;
                let id = match &self.kind {
                    Kind::Csv(rows) => rows.id(),
                    Kind::Ndjson(_) | Kind::Ended => None,
                };
                Some(Ok(Row { number: self.number, id, body }))
            }
            Ok(None) => {
                self.kind = Kind::Ended;
                None
            }
            Err(error) => {
                self.kind = Kind::Ended;
                Some(Err(error))
            }
        }
    }
}

/// A body or the row's fault; nothing at the end.
type Body = Option<Result<String, RowFault>>;

fn message(input: &mut dyn BufRead, first: bool) -> Result<Body, Unreadable> {
    let mut at_start = first;
    loop {
        let Some(line) = line(input).map_err(Unreadable::Io)? else { return Ok(None) };
        let Some(line) = line else { return Ok(Some(Err(RowFault::TooLong))) };
        let Ok(text) = String::from_utf8(line) else { return Ok(Some(Err(RowFault::NotUtf8))) };
        let text = if at_start { text.trim_start_matches('\u{feff}') } else { &text };
        at_start = false;
        let text = text.trim();
        if !text.is_empty() {
            let body =
                if is_object(text) { Ok(text.to_owned()) } else { Err(RowFault::NotAnObject) };
            return Ok(Some(body));
        }
    }
}

/// The next line without its end; `Some(None)` for one that is too long, of which nothing is kept.
fn line(input: &mut dyn BufRead) -> io::Result<Option<Option<Vec<u8>>>> {
    let (mut line, mut length) = (Vec::new(), 0);
    loop {
        let held = input.fill_buf()?;
        if held.is_empty() {
            let kept = if length > LONGEST_ROW { None } else { Some(line) };
            return Ok((length > 0).then_some(kept));
        }
        let end = held.iter().position(|byte| *byte == b'\n');
        let piece = &held[..end.unwrap_or(held.len())];
        length += piece.len();
        if length <= LONGEST_ROW {
            line.extend_from_slice(piece);
        }
        let read = piece.len() + usize::from(end.is_some());
        input.consume(read);
        if end.is_some() {
            return Ok(Some(if length > LONGEST_ROW { None } else { Some(line) }));
        }
    }
}

struct CsvRows<'a> {
    reader: csv::Reader<Watched<Box<dyn Read + Send + 'a>>>,
    record: ByteRecord,
    read: Arc<AtomicU64>,
    template: Arc<Template>,
    columns: Vec<usize>,
    id: Option<usize>,
    width: usize,
}

impl<'a> CsvRows<'a> {
    fn open(
        input: Box<dyn Read + Send + 'a>,
        template: Arc<Template>,
        delimiter: u8,
        id: Option<&str>,
    ) -> Result<Self, Unreadable> {
        let read = Arc::new(AtomicU64::new(0));
        let input = Watched { inner: input, read: Arc::clone(&read) };
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(input);
        let header = reader.byte_headers().map_err(|error| unreadable(error, 0))?;
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let columns = template.bind(&names)?;
        let width = names.len();
        let place = |id: &str| names.iter().position(|name| name == id);
        let missing = |id: &str| Unbound::Missing { missing: vec![id.to_owned()], columns: width };
        let id = id.map(|id| place(id).ok_or_else(|| missing(id))).transpose()?;
        Ok(Self { reader, record: ByteRecord::new(), read, template, columns, id, width })
    }

    /// Of the row that was read last.
    fn id(&self) -> Option<String> {
        let field = self.record.get(self.id?)?;
        std::str::from_utf8(field).ok().map(|text| text.trim().to_owned())
    }

    fn next(&mut self, number: u64) -> Result<Body, Unreadable> {
        self.read.store(0, Ordering::Relaxed);
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|error| unreadable(error, number))? {
            return Ok(None);
        }
        if self.record.len() != self.width {
            let (found, expected) = (self.record.len(), self.width);
            return Ok(Some(Err(RowFault::Fields { found, expected })));
        }
        let used = self.columns.iter().map(|column| &self.record[*column]);
        let Ok(used) = used.map(std::str::from_utf8).collect::<Result<Vec<_>, _>>() else {
            return Ok(Some(Err(RowFault::NotUtf8)));
        };
        let body = self.template.filled(|name| used[name]).map_err(RowFault::from);
        Ok(Some(body.and_then(|body| {
            if body.len() > LONGEST_ROW { Err(RowFault::TooLong) } else { Ok(body) }
        })))
    }
}

fn unreadable(error: csv::Error, row: u64) -> Unreadable {
    // Of the other kinds none comes of reading bytes into a flexible record; their texts would quote the
    // row.
    let csv::ErrorKind::Io(error) = error.into_kind() else {
        return Unreadable::Io(io::Error::other("not CSV"));
    };
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Unreadable::Endless(row);
    }
    Unreadable::Io(error)
}

/// Ends the reading of a row that finds no end: an open quotation mark swallows the rest of a file.
struct Watched<R> {
    inner: R,
    /// Bytes since the row began.
    read: Arc<AtomicU64>,
}

/// What the CSV reader takes in advance is not the row's.
const IN_ADVANCE: u64 = 1 << 16;

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        let length = u64::try_from(read).unwrap_or(u64::MAX);
        let before = self.read.fetch_add(length, Ordering::Relaxed);
        if before > LONGEST_ROW as u64 + IN_ADVANCE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(template: &str, delimiter: u8) -> Format {
        Format::Csv { template: Arc::new(Template::parse(template).unwrap()), delimiter, id: None }
    }

    fn read(input: &[u8], format: &Format) -> Vec<Result<Row, String>> {
        match rows(input, format) {
            Ok(rows) => rows.map(|row| row.map_err(|error| error.to_string())).collect(),
            Err(error) => vec![Err(error.to_string())],
        }
    }

    /// `expected`: bodies, or a part of what the row's fault says.
    fn check(input: &[u8], format: &Format, expected: &[Result<&str, &str>]) {
        let found = read(input, format);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (place, (found, expected)) in found.into_iter().zip(expected).enumerate() {
            let found = found.unwrap();
            assert_eq!(found.number, place as u64 + 1);
            match (found.body, expected) {
                (Ok(body), Ok(expected)) => assert_eq!(body, *expected),
                (Err(fault), Err(part)) => assert!(fault.to_string().contains(part), "{fault}"),
                (body, expected) => panic!("{body:?} for {expected:?}"),
            }
        }
    }

    #[test]
    fn each_line_of_ndjson_is_sent_as_it_stands() {
        let input = "\u{feff}{\"a\": 1}\r\n\n  {\"b\":[]}  \n\t\n{\"c\":\"\\n\"}";
        let bodies = [Ok("{\"a\": 1}"), Ok("{\"b\":[]}"), Ok("{\"c\":\"\\n\"}")];
        check(input.as_bytes(), &Format::Ndjson, &bodies);
        check(b"", &Format::Ndjson, &[]);
    }

    #[test]
    fn a_bad_line_of_ndjson_is_a_fault_of_its_own() {
        let input = b"[1]\n{\"a\":\n{\"b\":1}\n\"\xff\"\n{\"c\":1}";
        let object = "not a JSON object";
        let expected = [Err(object), Err(object), Ok("{\"b\":1}"), Err("UTF-8"), Ok("{\"c\":1}")];
        check(input, &Format::Ndjson, &expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_not_held_and_its_neighbours_pass() {
        let mut input = b"{\"a\":1}\n".to_vec();
        input.extend(std::iter::repeat_n(b' ', LONGEST_ROW + 1));
        input.extend(b"\n{\"b\":1}");
        check(&input, &Format::Ndjson, &[Ok("{\"a\":1}"), Err("longer"), Ok("{\"b\":1}")]);
        check(&input[..LONGEST_ROW + 9], &Format::Ndjson, &[Ok("{\"a\":1}"), Err("longer")]);
    }

    #[test]
    fn a_row_of_csv_fills_the_template() {
        let format = csv(r#"{"f":"{{code}}","n":{{n}}}"#, b',');
        let input = "\u{feff}code, n ,other\r\nA,1,x\r\n\r\n\"B \"\"b\"\",\nc\",2,\r\n";
        let second = r#"{"f":"B \"b\",\nc","n":2}"#;
        check(input.as_bytes(), &format, &[Ok(r#"{"f":"A","n":1}"#), Ok(second)]);
        check(b"code;n\nA,;1\n", &csv(r#"{"f":"{{code}}"}"#, b';'), &[Ok(r#"{"f":"A,"}"#)]);
        check(b"code,n\n", &format, &[]);
    }

    #[test]
    fn a_bad_row_of_csv_is_a_fault_of_its_own() {
        let format = csv(r#"{"f":"{{code}}","n":{{n}}}"#, b',');
        let input = b"code,n\nA\nB,1,2\nC,x\n\xff,1\nD,1\n";
        let expected = [
            Err("1 fields under a header of 2"),
            Err("3 fields"),
            Err("column \"n\""),
            Err("UTF-8"),
            Ok(r#"{"f":"D","n":1}"#),
        ];
        check(input, &format, &expected);
    }

    #[test]
    fn a_header_without_the_template_s_columns_gives_no_row() {
        let format = csv(r#"{"f":"{{code}}"}"#, b',');
        for input in ["AAAAAA00A00A000A;1\nB;2\n", ""] {
            let found = read(input.as_bytes(), &format);
            let Err(fault) = &found[0] else { panic!("{found:?}") };
            assert!(fault.contains("no column \"code\"") && !fault.contains("AAAAAA"), "{fault}");
        }
    }

    #[test]
    fn an_open_quotation_mark_ends_the_reading_and_not_the_memory() {
        let format = csv(r#"{"f":"{{code}}"}"#, b',');
        let head = b"code\nA\n\"B\n".chain(io::repeat(b'x'));
        let mut rows = rows(head, &format).unwrap();
        assert!(rows.next().unwrap().is_ok());
        assert!(matches!(rows.next(), Some(Err(Unreadable::Endless(2)))));
        assert!(rows.next().is_none());
    }

    #[test]
    fn a_fault_never_says_what_stands_in_the_row() {
        let format = csv(r#"{"n":{{n}}}"#, b',');
        for row in read(b"n\nAAAAAA00A00A000A\n", &format) {
            let fault = row.unwrap().body.unwrap_err();
            assert!(!format!("{fault} {fault:?}").contains("AAAAAA"), "{fault:?}");
        }
    }
}
