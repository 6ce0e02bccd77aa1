//! A run told in lines, in order of time: what somebody reads who looks for the cause of a mistake.

use runtime::log::LogError;
use schemas::headers::Headers;
use schemas::ids::Timestamp;
use schemas::topics::Topic;

use crate::history::Happened;
use crate::universe::START;
use crate::world::{Remains, read_all};

/// Faults, choices, sends, and every record that names a message.
///
/// # Errors
/// The log cannot be read.
pub fn lines(remains: &Remains) -> Result<Vec<String>, LogError> {
    let mut told = happened(&remains.happened);
    let silent = [Topic::Decision, Topic::TransitKey, Topic::Service];
    for topic in Topic::all().into_iter().filter(|topic| !silent.contains(topic)) {
        for record in read_all(&remains.log, topic)? {
            let headers = Headers::from_raw(&record.headers);
            let (partition, offset) = (record.position.at.partition, record.position.offset);
            let who = match headers.message_id {
                Some(id) => id.to_string(),
                None => String::from_utf8_lossy(&record.key).into_owned(),
            };
            let more = [
                headers.ce_id.map(|id| format!("id {id}")),
                headers.cause.map(|cause| format!("waits: {cause}")),
                headers.not_before.map(|at| format!("until {}", at.0 - START.0)),
            ];
            let more = more.into_iter().flatten().collect::<Vec<_>>().join(", ");
            told.push((record.appended_at, format!("{topic}/{partition}/{offset} {who} {more}")));
        }
    }
    told.sort_by_key(|(at, _)| *at);
    Ok(told.into_iter().map(|(at, what)| format!("{:>9} {what}", at.0 - START.0)).collect())
}

fn happened(happened: &Happened) -> Vec<(Timestamp, String)> {
    let mut told = happened.notes.clone();
    for (nth, send) in happened.sends.iter().enumerate() {
        let (who, channel) = (send.message, send.channel.name());
        let what = format!("{who} {channel} to {:?} by life {}", send.installation, send.owner);
        told.push((send.started.at, format!("send {nth} of {what}")));
        if let Some(answered) = send.answered {
            let (kind, wait) = (answered.kind, answered.wait);
            told.push((answered.moment.at, format!("answer {nth} to {what}: {kind:?} {wait:?}")));
        }
    }
    told
}
