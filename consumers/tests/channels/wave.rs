//! A key of the sandbox on production, or another app's: every token is called dead.

use runtime::log::Log as _;
use schemas::records::{DeviceDeath, OutcomeKind, Status};
use schemas::topics::Topic;

use crate::bench::Bench;

/// 400 BadDeviceToken: what Apple answers to a token of the other environment.
const OF_THE_OTHER: &str = "fa110400";
const PHONES: u8 = 40;

/// Hazard H11, seen in Novu (its issue 12532) and gorush: a wave of false "unregistered" wipes the registry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_survives_a_wave_of_false_deaths_and_an_operator_sees_it() {
    let mut bench = Bench::new().await;
    let mut records = Vec::new();
    for n in 0..PHONES {
        records.push(bench.message(n, OF_THE_OTHER).await);
    }
    bench.log.writer("outside").unwrap().write(records).unwrap();
    let over = |it: &Vec<(Status, Option<OutcomeKind>)>| it.iter().any(|(it, _)| it.is_final());
    let ended = bench.until(|it| it.len() == usize::from(PHONES) && it.values().all(over)).await;
    let gone = (Status::Attempt, Some(OutcomeKind::AddressGone));
    assert!(ended.values().all(|events| events.contains(&gone)), "each outcome stands");
    let deaths = bench.read::<DeviceDeath>(Topic::DeviceDeath).len();
    assert_eq!(deaths, 9, "one less than the run that trips the guard");
    bench.edges.report(&bench.metrics);
    let edge = &bench.metrics.edge;
    assert_eq!(edge.guard_tripped.with_label_values(&["apns"]).get(), 1);
}
