//! What only a real broker can show; its address comes from `STAFFETTA_TEST_KAFKA`.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::executor::block_on;
use rdkafka::error::KafkaResult;
use rdkafka::producer::{Producer, ThreadedProducer};

use super::*;
use crate::kafka::appender::KafkaAppender;
use crate::kafka::context::Plain;
use crate::kafka::errors::{self, Verdict};
use crate::kafka::reader::KafkaReader;
use crate::kafka::{FirstOffsets, KafkaSettings, apply, ffi, ring};
use crate::log::{Appender, CommitError, LogError, Reader, Start};

fn cluster(transaction_timeout: Duration) -> Arc<Cluster> {
    let settings = KafkaSettings { transaction_timeout, ..settings() };
    let cluster = Arc::new(Cluster::connect(settings).unwrap());
    apply::topics(&cluster, &[INPUT, OUTPUT], 4).unwrap();
    apply::first_offsets(&cluster, &[seat()], &[]).unwrap();
    cluster
}

fn settings() -> KafkaSettings {
    let bootstrap = std::env::var("STAFFETTA_TEST_KAFKA").expect(
        "no Kafka to test against: run `cargo xtask test`, or `cargo xtask kafka up` and set \
         STAFFETTA_TEST_KAFKA to its address",
    );
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    KafkaSettings {
        prefix: format!("broker-{since}-{}-{count}.", process::id()),
        replication: 1,
        session_timeout: Duration::from_secs(2),
        ..KafkaSettings::new(bootstrap)
    }
}

/// The median time of `commit` over transactions of a thousand records of 1 KiB.
fn median(cluster: &Cluster, producer: &ThreadedProducer<Plain>, ours: bool) -> Duration {
    let records: Vec<_> = (0..1_000)
        .map(|n| Outgoing { value: Some(vec![7; 1_024]), ..record(OUTPUT, &n.to_string()) })
        .collect();
    let limit = Duration::from_secs(20);
    let mut took = Vec::new();
    // The first opens connections and counts for nothing.
    for _ in 0..8 {
        producer.begin_transaction().unwrap();
        for record in &records {
            assert!(cluster.send(producer, record, (), Instant::now() + limit).is_ok());
        }
        let started = Instant::now();
        if ours {
            ffi::flush(producer, limit).unwrap();
        }
        producer.commit_transaction(limit).unwrap();
        took.push(started.elapsed());
    }
    took.remove(0);
    took.sort_unstable();
    took[took.len() / 2]
}

/// As a ratio within one run, so that a slow machine does not matter. When this fails because the
/// crate has become quick, the detour through its C flush may go.
#[test]
fn a_commit_of_a_thousand_records_takes_far_less_than_the_crates_own() {
    let cluster = cluster(Duration::from_secs(30));
    let own = ring::initialise(&cluster, "crate").unwrap();
    let theirs = median(&cluster, &own, false);
    let detour = ring::initialise(&cluster, "ours").unwrap();
    let ours = median(&cluster, &detour, true);
    let report = format!("commit of 1,000 records: ours {ours:?}, the crate's own {theirs:?}");
    assert!(ours * 4 < theirs, "{report}");
}

/// Commits through a client that held its id before; what comes of it.
fn late_commit(holder: &ThreadedProducer<Plain>, cluster: &Cluster) -> KafkaResult<()> {
    let limit = Duration::from_secs(2);
    holder.begin_transaction()?;
    let sent = cluster.send(holder, &record(OUTPUT, "late"), (), Instant::now() + limit);
    assert!(sent.is_ok());
    holder.commit_transaction(limit)
}

/// Else a late answer to the unknown commit could decide a transaction begun after it.
#[test]
fn after_an_unknown_outcome_every_id_is_initialised_again() {
    let patient = cluster(Duration::from_secs(20));
    let settings = patient.settings.clone();
    let hasty = KafkaSettings { commit_timeout: Duration::ZERO, ..settings };
    let hasty = Arc::new(Cluster::connect(hasty).unwrap());
    let mut member = joined(&hasty);
    let appender = KafkaAppender::open(hasty.clone()).unwrap();
    block_on(appender.append(record(INPUT, "0"))).unwrap();
    let records = take(&mut member, 1);
    // They take the ids of two later turns; only a new start of each id takes them back.
    let hold = |turn| ring::initialise(&patient, &patient.names.transactional(&seat(), turn));
    let holders = [hold(1).unwrap(), hold(2).unwrap()];
    let outcome = member.commit(copy_of(&records));
    let Err(CommitError::Rewound { committed, .. }) = outcome else {
        panic!("an unknown outcome was answered with {outcome:?}");
    };
    // The group's offsets say what became of it: the record comes again, or it was committed.
    let done = committed.contains(&(records[0].position.at, 1));
    assert_eq!(done, take_at_most(&mut member, 1).is_empty());
    for holder in &holders {
        let late = late_commit(holder, &patient);
        let fenced = late.as_ref().err().map(errors::verdict) == Some(Verdict::Fenced);
        assert!(fenced, "an id was not initialised again: {late:?}");
    }
}

fn take_at_most(member: &mut KafkaMember, count: usize) -> Vec<Incoming> {
    (0..20).flat_map(|_| member.poll(count, A_WHILE).unwrap().records).take(count).collect()
}

/// A member that dies inside a transaction holds readers back until its successor sits down.
#[test]
fn what_a_dead_member_left_open_its_successor_aborts() {
    let cluster = cluster(Duration::from_secs(60));
    let dead = ring::initialise(&cluster, &cluster.names.transactional(&seat(), 1)).unwrap();
    dead.begin_transaction().unwrap();
    let limit = Duration::from_secs(20);
    for n in 0..40 {
        let sent = cluster.send(&dead, &record(OUTPUT, &n.to_string()), (), Instant::now() + limit);
        assert!(sent.is_ok());
    }
    ffi::flush(&dead, limit).unwrap();
    drop(dead);

    let mut reader = KafkaReader::open(cluster.clone(), &[OUTPUT], &Start::Beginning).unwrap();
    let mut ends = std::collections::BTreeMap::new();
    let mut look = |ends: &mut std::collections::BTreeMap<_, u64>| {
        let read = reader.poll(100, A_WHILE).unwrap();
        assert!(read.records.is_empty(), "what was never committed is seen");
        ends.extend(read.ended);
    };
    let deadline = Instant::now() + PATIENCE;
    while ends.len() < 4 {
        assert!(Instant::now() < deadline, "no end was told");
        look(&mut ends);
    }
    // Open: the last stable offset stands before its first record.
    assert!(ends.values().all(|next| *next == 0), "{ends:?}");

    let _successor = joined(&cluster);
    while ends.values().any(|next| *next == 0) {
        assert!(Instant::now() < deadline, "the transaction stayed open: {ends:?}");
        look(&mut ends);
    }
}

/// A group that was switched off for longer than brokers remember looks like one that never was.
#[test]
fn a_forgotten_group_is_not_sent_over_a_topic_again_unless_an_operator_says_so() {
    let told = |first_offsets, settings: &KafkaSettings| {
        let settings = KafkaSettings { first_offsets, ..settings.clone() };
        Arc::new(Cluster::connect(settings).unwrap())
    };
    let silent = cluster(Duration::from_secs(10));
    let appender = KafkaAppender::open(silent.clone()).unwrap();
    for n in 0..20 {
        block_on(appender.append(record(INPUT, &n.to_string()))).unwrap();
    }
    let group = |name: &str| Seat { group: name.into(), topics: vec![INPUT], ordinal: 0 };
    let refused = apply::first_offsets(&silent, &[seat(), group("away.live")], &[]);
    let Err(LogError::Broken(why)) = refused else { panic!("it was sent somewhere: {refused:?}") };
    assert!(why.contains("away.live") && !why.contains("copy.live"), "{why}");
    assert!(why.contains("--first-offsets"), "{why}");
    // Told once, it has offsets and is asked about no more.
    let end = told(Some(FirstOffsets::End), &silent.settings);
    apply::first_offsets(&end, &[group("away.live")], &[]).unwrap();
    apply::first_offsets(&silent, &[group("away.live")], &[]).unwrap();
    let beginning = told(Some(FirstOffsets::Beginning), &silent.settings);
    apply::first_offsets(&beginning, &[group("away.live"), group("new.live")], &[]).unwrap();
    let mut new = KafkaMember::join(silent.clone(), &group("new.live")).unwrap();
    assert_eq!(take(&mut new, 20).len(), 20);
    let mut away = KafkaMember::join(silent.clone(), &group("away.live")).unwrap();
    assert!(take_at_most(&mut away, 1).is_empty());
}

#[test]
fn what_the_topics_keep_is_what_the_catalogue_says() {
    let cluster = cluster(Duration::from_secs(10));
    let topics = [Topic::CitizenKey, INPUT];
    apply::topics(&cluster, &topics, 2).unwrap();
    let key = apply::described(&cluster, Topic::CitizenKey).unwrap();
    assert_eq!(key["cleanup.policy"], "compact");
    assert_eq!(key["delete.retention.ms"], "86400000");
    let input = apply::described(&cluster, INPUT).unwrap();
    assert_eq!(input["cleanup.policy"], "delete");
    assert_eq!(input["retention.ms"], (7 * 86_400_000).to_string());

    // An operator's own setting survives, a policy that was bent is set right again.
    let bent = [("cleanup.policy", "delete"), ("max.message.bytes", "2000000")];
    apply::altered(&cluster, Topic::CitizenKey, &bent.map(|(k, v)| (k.into(), v.into())).into())
        .unwrap();
    apply::topics(&cluster, &topics, 2).unwrap();
    let key = apply::described(&cluster, Topic::CitizenKey).unwrap();
    assert_eq!(key["cleanup.policy"], "compact");
    assert_eq!(key["max.message.bytes"], "2000000");
}
