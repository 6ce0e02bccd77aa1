//! The table of outcomes.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use schemas::records::MessageStatus;

use super::collect::Events;
use super::send::Sent;
use crate::commands::print;

/// Outcomes by status, channel and reason, with the time from acceptance to the final status.
#[expect(clippy::cast_precision_loss, reason = "rates for people")]
pub fn print_table(sent: &Sent, events: &Events) {
    let mut rows: BTreeMap<(String, String, String), Histogram<u64>> = BTreeMap::new();
    for id in sent.accepted.keys() {
        let list = events.get(id).map(Vec::as_slice).unwrap_or_default();
        let (row, took) = match (list.iter().find(|e| e.status.is_final()), list.first()) {
            (Some(end), Some(first)) => (row(end), end.at.since(first.at).as_millis()),
            (_, _) => (("(none yet)".into(), "-".into(), "-".into()), 0),
        };
        let histogram = rows.entry(row).or_insert_with(|| {
            Histogram::new_with_bounds(1, 86_400_000, 3).expect("a day in ms, three digits")
        });
        histogram.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
    }
    let rate = sent.accepted.len() as f64 / sent.took.as_secs_f64().max(0.001);
    print(&format!(
        "{} messages accepted in {:.1} s ({rate:.0}/s), {} refused",
        sent.accepted.len(),
        sent.took.as_secs_f64(),
        sent.refused.len()
    ));
    print(&format!(
        "{:<13} {:<7} {:<20} {:>7} {:>9} {:>9} {:>9}",
        "status", "channel", "reason", "count", "p50 ms", "p99 ms", "max ms"
    ));
    for ((status, channel, reason), times) in rows {
        print(&format!(
            "{status:<13} {channel:<7} {reason:<20} {:>7} {:>9} {:>9} {:>9}",
            times.len(),
            times.value_at_quantile(0.5),
            times.value_at_quantile(0.99),
            times.max()
        ));
    }
}

fn row(end: &MessageStatus) -> (String, String, String) {
    (
        end.status.name().to_owned(),
        end.channel.map_or("-", |channel| channel.name()).to_owned(),
        end.reason.name().to_owned(),
    )
}

/// What the check found.
pub fn print_check(faults: &[String], notes: &[String]) {
    for note in notes {
        print(note);
    }
    if faults.is_empty() {
        print("everything adds up");
    }
    for fault in faults {
        print(&format!("DOES NOT ADD UP: {fault}"));
    }
}
