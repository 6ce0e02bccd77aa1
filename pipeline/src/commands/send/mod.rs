//! `send FILE|-`: many messages by single calls, to any endpoint that speaks IO's sender API.
//!
//! Promise: each row has one end, told in the results file; a row that was sent and not answered is sent
//! again under the same `Idempotency-Key`, in this run or the next; a refused row stops no other; memory
//! does not grow with the file; no text that leaves here holds anything of a row.

mod drive;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod journal;
mod judge;
mod options;
mod order;
mod post;
mod progress;
mod request;

mod said;
mod summary;

mod watch;

use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use runtime::world::World;
use schemas::codec::Codec;

pub use options::Options;

use super::{Misuse, executor, print, say, stopped};
use drive::Run;
use journal::Journal;
use judge::Stop;
use options::Reading;
use post::Endpoint;
use producers::batch::rows::{Row, RowFault, Rows, Unreadable, rows};
use progress::{Counts, Progress};
use request::{Identity, Sending};

/// Every row has its end, and some were refused.
const SOME_REFUSED: u8 = 4;

/// Carries it out.
///
/// # Errors
/// [`Misuse`]; files that cannot be read or written.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let reading = options.reading()?;
    if let Some(count) = options.preview {
        return preview(options, &reading, count);
    }
    let target = options.target()?;
    let results = options.results()?;
    if !is_read_again(options)? && options.label.is_empty() {
        let why = "what can be read only once needs --label TEXT: by it another run knows the rows";
        return Err(Misuse(why.to_owned()).into());
    }
    let survey = survey(options, &reading)?;
    if let Some(total) = &survey.total {
        tell_faulty(&survey.faulty, *total);
    }
    let (journal, earlier) = Journal::open(&results, &survey.sending)
        .with_context(|| format!("--results {}", results.display()))?;
    let endpoint = Endpoint::open(target.base, target.key, target.authorities.as_deref())?;
    let rows = open(options, &reading)?;
    let executor = executor()?;
    let world = World::real(executor.handle().clone(), Codec::default(), 1.0);
    let progress = Progress::new(survey.total);
    let (sending, limits) = (survey.sending, options.limits());
    let run = Arc::new(Run::new(endpoint, sending, journal, progress, world, limits));
    let why = executor.block_on(async {
        let asked = Arc::clone(&run);
        tokio::spawn(async move {
            if stopped().await.is_ok() {
                asked.stop(Stop::Asked);
            }
        });
        run.all(rows, earlier).await
    });
    run.progress.end();
    // A thread may still wait for standard input: it must not hold the end up.
    executor.shutdown_background();
    run.journal.order().with_context(|| format!("--results {}", results.display()))?;
    let counts = run.progress.counts();
    print(&format!(
        "{} rows: {} taken, {} refused, {} failed; results in {}",
        counts.rows(),
        counts.taken,
        counts.refused,
        counts.failed,
        results.display()
    ));
    summary::of(&results)?.iter().for_each(|line| print(line));
    Ok(verdict(counts, why.as_ref()))
}

/// The exit code, and what to do where it is not 0.
fn verdict(counts: Counts, why: Option<&Stop>) -> ExitCode {
    if let Some(why) = why {
        say(&format!("error: ended early: {why}; the same command goes on from here"));
        return ExitCode::FAILURE;
    }
    if counts.failed > 0 {
        say("error: some rows were given up; the same command tries them again");
        return ExitCode::FAILURE;
    }
    if counts.refused > 0 { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS }
}

/// Shows rows as they would be sent. It is the only thing that prints what stands in a row.
fn preview(options: &Options, reading: &Reading, count: usize) -> anyhow::Result<ExitCode> {
    let is_known = is_read_again(options)? || !options.label.is_empty();
    let sending = is_known.then(|| survey(options, reading)).transpose()?.map(|it| it.sending);
    let mut code = ExitCode::SUCCESS;
    for row in open(options, reading)?.take(count) {
        let Row { number, body, .. } = row.map_err(misuse_or_not)?;
        let key = sending.as_ref().map(|it| format!(", Idempotency-Key: {}", it.key(number)));
        print(&format!("# row {number}{}", key.unwrap_or_default()));
        match body {
            Ok(body) => print(&body),
            Err(fault) => {
                print(&format!("# not sent: {fault}"));
                code = ExitCode::from(SOME_REFUSED);
            }
        }
    }
    Ok(code)
}

/// What is known before the first row is sent.
struct Survey {
    sending: Sending,
    /// Absent for what can be read only once.
    total: Option<u64>,
    /// The first rows that cannot be sent, and how many there are.
    faulty: (Vec<(u64, RowFault)>, u64),
}

/// Reads a file once from end to end: its digest names the sending, and every row that cannot be sent
/// is known before any is.
fn survey(options: &Options, reading: &Reading) -> anyhow::Result<Survey> {
    let mut identity = Identity::new(&options.label, reading.template.as_deref());
    if !is_read_again(options)? {
        return Ok(Survey { sending: identity.finish(), total: None, faulty: (Vec::new(), 0) });
    }
    let (mut total, mut faulty) = (0, (Vec::new(), 0));
    let input = Digested { inner: file(options)?, identity: &mut identity };
    for row in rows(input, &reading.format).map_err(misuse_or_not)? {
        let row = row.map_err(misuse_or_not)?;
        total += 1;
        if let Err(fault) = row.body {
            faulty.1 += 1;
            if faulty.0.len() < 10 {
                faulty.0.push((row.number, fault));
            }
        }
    }
    Ok(Survey { sending: identity.finish(), total: Some(total), faulty })
}

/// A file, not standard input or another pipe: those are known by their label alone.
fn is_read_again(options: &Options) -> anyhow::Result<bool> {
    if options.is_standard_input() {
        return Ok(false);
    }
    let found = std::fs::metadata(&options.file);
    Ok(found.with_context(|| format!("{}", options.file.display()))?.is_file())
}

fn tell_faulty((first, count): &(Vec<(u64, RowFault)>, u64), total: u64) {
    first.iter().for_each(|(row, fault)| say(&format!("row {row} cannot be sent: {fault}")));
    if *count > 0 {
        say(&format!("{count} of {total} rows cannot be sent; the others are"));
    }
}

fn open(options: &Options, reading: &Reading) -> anyhow::Result<Rows<'static>> {
    let input: Box<dyn Read + Send> = match options.is_standard_input() {
        true => Box::new(io::stdin()),
        false => Box::new(file(options)?),
    };
    rows(input, &reading.format).map_err(misuse_or_not)
}

fn file(options: &Options) -> anyhow::Result<File> {
    File::open(&options.file).with_context(|| format!("{}", options.file.display()))
}

/// A template that does not fit its file is the command line's fault; the rest is the file's.
fn misuse_or_not(error: Unreadable) -> anyhow::Error {
    match error {
        Unreadable::Unbound(unbound) => Misuse(format!("--template: {unbound}")).into(),
        Unreadable::Io(_) | Unreadable::Endless(_) => {
            anyhow::Error::new(error).context("the input cannot be read")
        }
    }
}

/// Takes the digest of what passes.
struct Digested<'a, R> {
    inner: R,
    identity: &'a mut Identity,
}

impl<R: Read> Read for Digested<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.identity.update(&into[..read]);
        Ok(read)
    }
}
