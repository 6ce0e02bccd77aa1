//! What must be true when nothing moves any more.

use std::collections::BTreeMap;
use std::time::Duration;

use consumers::status::StatusView;
use futures::FutureExt;
use runtime::log::{Log, LogError};
use schemas::records::Status;

use super::{Court, Evidence};
use crate::crew::Role;
use crate::world::Remains;

pub(super) fn judge(
    court: &mut Court,
    remains: &Remains,
    evidence: &Evidence,
) -> Result<(), LogError> {
    court.holds("everything comes to rest", remains.ended && remains.left_over == (0, 0), || {
        format!("in hands and under way: {:?}, rounds: {}", remains.left_over, remains.rounds)
    });
    for broken in &evidence.happened.broken {
        court.holds("the log refuses only what it was told to", false, || broken.clone());
    }
    nothing_is_left_to_read(court, remains)?;
    let mut letters: BTreeMap<_, usize> = BTreeMap::new();
    for id in &evidence.letters {
        *letters.entry(*id).or_default() += 1;
    }
    for id in &evidence.spoilt {
        let one = letters.remove(&Some(*id)).is_some();
        court.holds("what nobody can read is set aside", one, || format!("{id}"));
    }
    court.holds("nothing else is set aside", letters.is_empty(), || format!("{letters:?}"));
    what_is_stored_can_be_read(court, remains, evidence);
    the_view_agrees(court, remains, evidence);
    Ok(())
}

/// A new member of each group finds nothing.
fn nothing_is_left_to_read(court: &mut Court, remains: &Remains) -> Result<(), LogError> {
    for role in Role::ALL {
        let mut member = remains.log.join(&role.seat(0))?;
        let mut left = 0;
        for _ in 0..4 {
            left += member.poll(1_000, Duration::ZERO)?.records.len();
        }
        let word = role.word();
        court.holds("no group has anything left to read", left == 0, || format!("{word}: {left}"));
    }
    Ok(())
}

/// Whatever `message.stored` names lies in the store as it was sealed.
fn what_is_stored_can_be_read(court: &mut Court, remains: &Remains, evidence: &Evidence) {
    for stored in &evidence.stored {
        let lies = remains.store.range(&stored.object, stored.offset, stored.length);
        let sealed = evidence.accepted.get(&stored.message_id).map(|it| &it.sealed.content.0);
        court.holds(
            "a stored payload is the one that was accepted",
            lies.as_ref() == sealed,
            || format!("{}", stored.message_id),
        );
        let own = evidence.permitted.get(&stored.message_id) == Some(&stored.generation);
        court.holds(
            "a message is kept for the registration that it was permitted for",
            own,
            || format!("{}", stored.message_id),
        );
        let events = evidence.events.get(&stored.message_id);
        let said = events.is_some_and(|it| it.iter().any(|it| it.status == Status::Stored));
        court.holds("what is stored is said to be", said, || format!("{}", stored.message_id));
    }
}

fn the_view_agrees(court: &mut Court, remains: &Remains, evidence: &Evidence) {
    for id in evidence.accepted.keys() {
        let shown = remains.status.latest(*id).now_or_never();
        let shown = shown.and_then(Result::ok).flatten();
        let shown = shown.as_ref().and_then(|entry| entry.status());
        let ended = evidence.final_of(*id);
        court.holds("the status view shows the final status", shown == ended, || {
            format!("{id}: shown {shown:?}, ended {ended:?}")
        });
    }
}
