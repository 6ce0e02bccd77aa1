//! The citizen's choice is law: what was answered with 200 holds for every send that starts later.

use schemas::ids::Pseudonym;

use super::{Court, Evidence};
use crate::history::{Moment, Send};
use crate::people::{fallback_address, generation};
use crate::stand::Stand;

/// The consent barrier: whoever was answered with 200 is obeyed by every send that starts later. What is
/// still on its way to its answer may be obeyed or not, as in a test for linearizability.
pub const BARRIER: &str = "no send starts against a choice that was answered with 200";

pub(super) fn judge(court: &mut Court, evidence: &Evidence) {
    for (nth, send) in evidence.happened.sends.iter().enumerate() {
        let stands = stands_at(evidence, send.citizen, send.started);
        let told = || format!("send {nth} {send:?} against {stands:?}");
        let letting = stands.iter().any(|stand| lets(stand, send));
        court.holds(BARRIER, letting, told);
        let own = match evidence.permitted.get(&send.message) {
            None => is_fallback(send),
            Some(permitted) => (1..=9).any(|registration| {
                let mark = format!("{}-{registration}", send.citizen);
                generation(send.citizen, registration) == *permitted && send.address.contains(&mark)
            }),
        };
        court.holds("a message reaches the registration that it was permitted for", own, told);
    }
}

fn is_fallback(send: &Send) -> bool {
    send.address == fallback_address(send.citizen)
}

fn lets(stand: &Stand, send: &Send) -> bool {
    if is_fallback(send) {
        return stand.lets_fallback(&send.service);
    }
    stand.lets(&send.service, send.channel, &send.installation, &send.address)
}

/// Every way in which the citizen may stand at that moment: the last choice that is in force, and those
/// that are on their way to it.
fn stands_at(evidence: &Evidence, citizen: Pseudonym, moment: Moment) -> Vec<Stand> {
    let choices = evidence.happened.choices.get(&citizen).map_or(&[][..], Vec::as_slice);
    let mut stands = vec![Stand::default()];
    for choice in choices {
        if choice.in_force.is_some_and(|it| it < moment) {
            stands.clear();
        }
        if choice.begun < moment {
            stands.push(choice.stand.clone());
        }
    }
    stands
}
