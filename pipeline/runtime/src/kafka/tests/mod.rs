//! Tests that must name the client itself: protocol errors on librdkafka's mock, and what only a real
//! broker can show. The promises of the log as such are the conformance suite's.

mod broker;
mod protocol;

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::headers::Headers;
use schemas::topics::{Lane, Topic};

use super::cluster::Cluster;
use super::member::KafkaMember;
use crate::log::{Incoming, Member, Outgoing, Seat, Transaction};

const INPUT: Topic = Topic::Accepted(Lane::Live);
const OUTPUT: Topic = Topic::Permitted(Lane::Live);
const PATIENCE: Duration = Duration::from_secs(40);
const A_WHILE: Duration = Duration::from_millis(100);

fn seat() -> Seat {
    Seat { group: "copy.live".into(), topics: vec![INPUT], ordinal: 0 }
}

fn record(topic: Topic, text: &str) -> Outgoing {
    Outgoing {
        topic,
        key: text.into(),
        partition_by: text.into(),
        value: Some(text.into()),
        headers: Headers::default(),
    }
}

/// One copy to `OUTPUT` of each record, and the offsets behind them.
fn copy_of(records: &[Incoming]) -> Transaction {
    let mut transaction = Transaction::default();
    for it in records {
        let text = String::from_utf8(it.value.clone().unwrap()).unwrap();
        transaction.outputs.push(record(OUTPUT, &text));
        transaction.offsets.retain(|(at, _)| *at != it.position.at);
        transaction.offsets.push((it.position.at, it.position.offset + 1));
    }
    transaction
}

fn joined(cluster: &Arc<Cluster>) -> KafkaMember {
    KafkaMember::join(cluster.clone(), &seat()).unwrap()
}

fn take(member: &mut KafkaMember, count: usize) -> Vec<Incoming> {
    let deadline = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    while records.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records came", records.len());
        records.extend(member.poll(count - records.len(), A_WHILE).unwrap().records);
    }
    records
}
