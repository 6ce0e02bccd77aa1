//! Carrying out an operator's verdict: in steps of one transaction, at a bounded rate.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use producers::redrive::{Backgrounds, Desk, Filter, Letter, Verdict, standings};

use super::super::say;
use super::{How, Office, print};

/// Letters of one transaction at most.
const STEP: usize = 100;

/// What `resend` was asked for.
///
/// # Errors
/// A mended value without the one letter that it is for; a file that cannot be read.
pub fn verdict(filter: &Filter, value: Option<&Path>, restart: bool) -> anyhow::Result<Verdict> {
    if restart {
        return Ok(Verdict::Restart);
    }
    let Some(file) = value else { return Ok(Verdict::Resend { mended: None }) };
    ensure!(
        filter.origins.len() == 1,
        "--value mends one letter: name it, as topic/partition/offset"
    );
    let mended = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    Ok(Verdict::Resend { mended: Some(mended) })
}

/// Decides every letter that `filter` names.
///
/// # Errors
/// No filter and no `--all`; a named letter that does not wait; letters that could not be sent again,
/// after all others were; the log's.
pub fn run(office: &Office, filter: &Filter, how: &How, verdict: &Verdict) -> anyhow::Result<()> {
    ensure!(how.all || !filter.is_everything(), "name letters by a filter, or say --all");
    if how.dry_run {
        let letters = office.letters(filter)?.open;
        all_found(filter, &letters)?;
        return decide(office, how, verdict, letters, None);
    }
    let (log, codec) = (office.log.as_ref(), &office.world.codec);
    let mut desk = Desk::open(log, codec, filter, how.operator.clone(), office.world.now())?;
    let letters = std::mem::take(&mut desk.letters.open);
    all_found(filter, &letters)?;
    decide(office, how, verdict, letters, Some(&mut desk))
}

fn all_found(filter: &Filter, letters: &[Letter]) -> anyhow::Result<()> {
    for origin in &filter.origins {
        ensure!(
            letters.iter().any(|letter| letter.origin() == *origin),
            "no letter {origin} waits: see `staffetta redrive list`, also with --resolved"
        );
    }
    Ok(())
}

fn decide(
    office: &Office,
    how: &How,
    verdict: &Verdict,
    letters: Vec<Letter>,
    mut desk: Option<&mut Desk<'_>>,
) -> anyhow::Result<()> {
    let (log, codec) = (office.log.as_ref(), &office.world.codec);
    let mut backgrounds = standings(log, codec, &letters, verdict)?;
    let count = letters.len();
    let (mut done, mut refused) = (0, 0);
    let rate = usize::try_from(how.rate)?;
    let mut due = Instant::now();
    let mut letters = letters.into_iter().peekable();
    while letters.peek().is_some() {
        let step: Vec<_> = letters.by_ref().take(STEP.min(rate)).collect();
        let size = step.len();
        let decided = step.into_iter().filter_map(|letter| {
            one(office, &mut backgrounds, verdict, letter, how.dry_run, &mut refused)
        });
        let decided: Vec<_> = decided.collect();
        done += decided.len();
        if let Some(desk) = &mut desk {
            pace(&mut due, size, how.rate);
            desk.settle(decided, office.world.now())?;
            say(&format!("{} of {count}", done + refused));
        }
    }
    let would = if how.dry_run { "would be " } else { "" };
    print(&format!("{done} {would}settled, {refused} refused, of {count}"));
    ensure!(refused == 0, "{refused} letters stay as they are; their reasons stand above");
    Ok(())
}

/// The letter with what is to be written for it; a refusal is said and counted.
fn one<'v>(
    office: &Office,
    backgrounds: &mut Backgrounds,
    verdict: &'v Verdict,
    letter: Letter,
    dry_run: bool,
    refused: &mut usize,
) -> Option<(Letter, &'v Verdict, Option<runtime::log::Outgoing>)> {
    match backgrounds.record(&letter, verdict, &office.transit, &office.world.codec) {
        Ok(record) => {
            if dry_run {
                let to = record.as_ref().map_or("nowhere", |record| record.topic.name());
                let epoch = record.as_ref().and_then(|record| record.headers.epoch).unwrap_or(0);
                print(&format!("{} would go to {to}, epoch {epoch}", letter.origin()));
            }
            Some((letter, verdict, record))
        }
        Err(refusal) => {
            print(&format!("{}: {refusal}", letter.origin()));
            *refused += 1;
            None
        }
    }
}

/// Waits until `letters` more may go at `rate` a second.
fn pace(due: &mut Instant, letters: usize, rate: u32) {
    std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
    let letters = u32::try_from(letters).unwrap_or(u32::MAX);
    *due = Instant::now() + Duration::from_secs(1) * letters / rate;
}
