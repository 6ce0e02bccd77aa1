//! What waits comes back, and not before its time.

use std::collections::{BTreeMap, BTreeSet};

use runtime::log::Incoming;
use schemas::headers::Headers;
use schemas::ids::Timestamp;

use super::{Court, Evidence};

pub(super) fn judge(court: &mut Court, evidence: &Evidence) {
    let mut back: BTreeMap<(String, &[u8]), Vec<Timestamp>> = BTreeMap::new();
    for record in &evidence.attempts {
        if Headers::from_raw(&record.headers).cause.is_some() {
            let topic = record.position.at.topic.name().to_owned();
            back.entry((topic, value(record))).or_default().push(record.appended_at);
        }
    }
    // A story's bytes are its own (it counts its tries and numbers its events), but a story to which
    // nothing happens while it waits may wait again. Filed once more for the remainder, a wait keeps
    // its moment.
    let mut waits: BTreeMap<(String, &[u8]), BTreeSet<Timestamp>> = BTreeMap::new();
    for record in &evidence.delayed {
        let headers = Headers::from_raw(&record.headers);
        let (Some(due), Some(topic)) = (headers.not_before, headers.return_to) else { continue };
        waits.entry((topic, value(record))).or_default().insert(due);
    }
    for ((topic, value), due) in &waits {
        let came = back.remove(&(topic.clone(), *value)).unwrap_or_default();
        let told = || format!("to {topic}, due {due:?}, came {came:?}");
        court.holds("what waits comes back once", came.len() == due.len(), told);
        let early = due.iter().zip(&came).any(|(due, came)| came < due);
        court.holds("nothing comes back early", !early, told);
    }
    court.holds("nothing comes back that did not wait", back.is_empty(), || {
        format!("{} records", back.len())
    });
}

fn value(record: &Incoming) -> &[u8] {
    record.value.as_deref().unwrap_or_default()
}
