//! What `send` may be told, and what is wrong with it before anything is read.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::drive::Limits;
use super::request::{PlainHttp, endpoint};
use crate::commands::Misuse;
use policy::batch::template::Template;
use producers::batch::rows::Format;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// NDJSON, a whole message a line; with --template CSV, a header and rows. `-` is standard input.
    pub file: PathBuf,
    /// JSON with {{columns}} of the CSV. Inside quotes a value is escaped; outside them only a number,
    /// true, false or null may stand.
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// What stands between the columns: one character, or `tab`.
    #[arg(long, default_value = ",", value_parser = delimiter)]
    delimiter: u8,
    /// The sender API; `/api/v1` is added unless it stands there.
    #[arg(long, value_name = "URL", required_unless_present = "preview")]
    url: Option<String>,
    /// File that holds the key and nothing else; without it `STAFFETTA_API_KEY` is asked.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// PEM file with the authorities to trust instead of this machine's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Allow http:// to other machines than this one.
    #[arg(long)]
    plain_http: bool,
    /// Show the first N rows as they would be sent, and send nothing.
    #[arg(long, value_name = "N")]
    pub preview: Option<usize>,
    /// Requests a second at most; without it as fast as the endpoint answers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// Rows in flight at most.
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = clap::value_parser!(u32).range(1..=1_024))]
    concurrency: u32,
    /// How often a row is sent before it is given up, not counting "slow down".
    #[arg(long, value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// Results, a line a row; the same file again goes on where a run ended. FILE.results.ndjson where
    /// not given; needed for standard input.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Names this sending: the same file under another label is another sending. Needed for standard
    /// input, whose rows are recognised by label and number.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub label: String,
    /// Follow each message until nothing more is to come, and add its outcome to the results.
    #[arg(long)]
    watch: bool,
    /// For how long.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "watch",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch_for: u64,
}

const EXAMPLES: &str = "\
Examples:
  staffetta send messages.ndjson --url https://api.example --key-file key --preview 3
  staffetta send avvisi.csv --delimiter ';' --template avviso.json --url https://api.example \\
      --key-file key --rate 25 --watch
  producer | STAFFETTA_API_KEY=… staffetta send - --label tari-2026 --results tari.ndjson \\
      --url http://127.0.0.1:8080

A template: {\"fiscal_code\": \"{{cf}}\", \"content\": {\"subject\": \"Avviso {{numero}} del Comune\",
  \"markdown\": \"…\", \"payment_data\": {\"amount\": {{centesimi}}, \"notice_number\": \"{{avviso}}\"}}}

Each line of the results holds row (from 1, without the header), key, status (taken, refused, failed),
http, and id or title and detail, without what stood in the row. Lines are appended as rows end, and put
into the order of rows when the run ends. Run the same command again after a failure: rows that have
their end are left alone, the others are sent under the same Idempotency-Key, so that none is doubled
where the endpoint remembers that header (Staffetta with Redis for seven days; IO not at all). Refused rows are
final: mend them in a file of their own.

Exit codes: 0 every row taken, 1 failed or ended early (network, file, a row given up), 2 wrong command
line, template or key, 4 every row has its end and some were refused.";

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && *byte != b'"' => Ok(*byte),
        _ => Err("one character, such as ; or tab".to_owned()),
    }
}

/// How the input is to be read.
pub struct Reading {
    pub format: Format,
    /// The template's text; part of what makes the sending what it is.
    pub template: Option<String>,
}

/// Where the rows go.
pub struct Target {
    pub base: Url,
    pub key: HeaderValue,
    pub authorities: Option<Vec<u8>>,
}

impl Options {
    /// # Errors
    /// [`Misuse`]; the template cannot be read.
    pub fn reading(&self) -> anyhow::Result<Reading> {
        let Some(path) = &self.template else {
            if self.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
                return Err(Misuse("a CSV needs --template FILE".to_owned()).into());
            }
            return Ok(Reading { format: Format::Ndjson, template: None });
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("--template {}: {error}", path.display()))?;
        let template = Template::parse(&text)
            .map_err(|fault| Misuse(format!("--template {}: {fault}", path.display())))?;
        let template = Arc::new(template);
        let format = Format::Csv { template, delimiter: self.delimiter, id: None };
        Ok(Reading { format, template: Some(text) })
    }

    #[must_use]
    pub fn is_standard_input(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    /// # Errors
    /// [`Misuse`]; a file cannot be read.
    pub fn target(&self) -> anyhow::Result<Target> {
        let plain = if self.plain_http { PlainHttp::Anywhere } else { PlainHttp::ToThisMachine };
        let url = self.url.as_deref().unwrap_or_default();
        let base = endpoint(url, plain).map_err(|fault| Misuse(format!("--url: {fault}")))?;
        let authorities = self.ca_file.as_ref().map(std::fs::read).transpose();
        let authorities = authorities.map_err(|error| anyhow::anyhow!("--ca-file: {error}"))?;
        Ok(Target { base, key: self.key()?, authorities })
    }

    fn key(&self) -> anyhow::Result<HeaderValue> {
        let (text, place) = match &self.key_file {
            Some(path) => (
                std::fs::read_to_string(path)
                    .map_err(|error| anyhow::anyhow!("--key-file {}: {error}", path.display()))?,
                "--key-file",
            ),
            None => (std::env::var(KEY_VARIABLE).unwrap_or_default(), KEY_VARIABLE),
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(Misuse(format!(
                "{place}: no key; name a file that holds it by --key-file, or set {KEY_VARIABLE}"
            ))
            .into());
        }
        let mut key = HeaderValue::from_str(text)
            .map_err(|_| Misuse(format!("{place}: holds more than a key")))?;
        key.set_sensitive(true);
        Ok(key)
    }

    /// # Errors
    /// [`Misuse`]: standard input has no name that results could be called after.
    pub fn results(&self) -> Result<PathBuf, Misuse> {
        match &self.results {
            Some(path) => Ok(path.clone()),
            None if self.is_standard_input() => Err(Misuse(
                "standard input needs --results FILE, by which another run goes on".to_owned(),
            )),
            None => {
                let mut name = self.file.as_os_str().to_owned();
                name.push(".results.ndjson");
                Ok(name.into())
            }
        }
    }

    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            rate: self.rate,
            at_once: self.concurrency as usize,
            tries: self.tries,
            watch: self.watch.then(|| Duration::from_secs(self.watch_for)),
        }
    }
}

const KEY_VARIABLE: &str = "STAFFETTA_API_KEY";
