//! Phones that answer late, in part, or never.

use runtime::log::Log as _;
use schemas::records::{OutcomeKind, Status, Story, TargetState};
use schemas::topics::{DelayClass, Lane, Topic};

use crate::bench::{Bench, Events};

const MUTE: &str = "0ff11e00";
const SLOW: &str = "51002000";
const DROPS: &str = "c105ed00";
const PLAIN: &str = "ab";

const NOTIFIED: (Status, Option<OutcomeKind>) = (Status::Notified, Some(OutcomeKind::Accepted));
const UNKNOWN: (Status, Option<OutcomeKind>) = (Status::Attempt, Some(OutcomeKind::Indeterminate));
const WAITING: (Status, Option<OutcomeKind>) = (Status::Waiting, None);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_are_committed_while_one_phone_is_silent_and_its_late_answer_is_found() {
    let mut bench = Bench::new().await;
    let mut records = Vec::new();
    for (n, prefix) in [(1, MUTE), (2, PLAIN), (3, SLOW), (4, DROPS), (5, PLAIN)] {
        records.push(bench.message(n, prefix).await);
    }
    bench.log.writer("outside").unwrap().write(records).unwrap();
    // All in one partition, the silent one first: it holds the prefix up until it is handed over.
    let notified = |events: &Events, n| events.get(&n).is_some_and(|it| it.contains(&NOTIFIED));
    let events = bench.until(|events| notified(events, 2) && notified(events, 5)).await;
    assert_eq!(events[&1], [WAITING], "the first phone is still silent");
    let waiting = DelayClass::ALL.map(|class| Topic::Delay(class, Lane::Live));
    let mut waiting = waiting.into_iter().flat_map(|topic| bench.read::<Story>(topic));
    let mute = waiting.find(|it| it.message_id.to_bytes()[15] == 1).expect("it waits");
    assert_eq!(mute.targets[0].state, TargetState::Pending);
    bench.until(|events| events.get(&4).is_some_and(|it| it.contains(&UNKNOWN))).await;
    // The slow one's answer was left for it: one push, one final status.
    let events = bench.until(|events| notified(events, 3)).await;
    assert_eq!(events[&3], [WAITING, NOTIFIED]);
    assert_eq!(bench.taken(SLOW, 3), 1);
    // The mute one's never comes: unknown, and repeated.
    let events = bench.until(|events| events[&1].contains(&UNKNOWN)).await;
    assert_eq!(events[&1], [WAITING, UNKNOWN]);
    let handed_over = bench.metrics.handed_over.with_label_values(&["apns"]).get();
    assert!(handed_over >= 2, "{handed_over}");
}
