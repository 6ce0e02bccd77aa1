//! A file's bytes, read as `send` reads them, for crate `fuzz`.

use std::sync::Arc;

use policy::batch::template::Template;
use producers::batch::rows::{Format, rows};

/// One row: what would be sent, unless the row is at fault.
pub struct Read {
    pub number: u64,
    pub body: Option<String>,
}

/// Of columns in all three places where a template may have a gap.
const TEMPLATE: &str = r#"{"fiscal_code": "{{code}}", "time_to_live": {{ttl}}, "content": {"subject": "{{subject}}"}}"#;

/// A message a line.
#[must_use]
pub fn ndjson(bytes: &[u8]) -> Vec<Read> {
    read(bytes, &Format::Ndjson)
}

/// A header with the columns `code`, `ttl` and `subject`, and rows.
///
/// # Panics
/// Never: the template is one.
#[must_use]
pub fn csv(bytes: &[u8], delimiter: u8) -> Vec<Read> {
    let template = Template::parse(TEMPLATE).unwrap_or_else(|fault| panic!("{fault}"));
    read(bytes, &Format::Csv { template: Arc::new(template), delimiter, id: None })
}

fn read(bytes: &[u8], format: &Format) -> Vec<Read> {
    let rows = rows(bytes, format).into_iter().flatten();
    let read = rows.map_while(Result::ok);
    read.map(|row| Read { number: row.number, body: row.body.ok() }).collect()
}
