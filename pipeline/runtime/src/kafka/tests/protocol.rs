//! Errors that a real broker gives rarely, injected one at a time. The mock is no exactly-once broker
//! (it drops transactional offsets and shows aborted records): only the client's behaviour is judged.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::kafka::appender::KafkaAppender;
use crate::kafka::{KafkaSettings, apply};
use crate::log::{AppendError, Appender, CommitError, LogError};

const RECORDS: usize = 8;

struct Mock {
    cluster: Arc<Cluster>,
    broker: MockCluster<'static, DefaultProducerContext>,
}

impl Mock {
    /// One broker, both topics, first offsets, `RECORDS` records of input.
    fn start() -> Self {
        let broker = MockCluster::new(1).unwrap();
        for topic in [INPUT, OUTPUT] {
            broker.create_topic(topic.name(), 2, 1).unwrap();
        }
        let settings = KafkaSettings {
            commit_timeout: Duration::from_secs(1),
            transaction_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(3),
            append_timeout: Duration::from_secs(2),
            session_timeout: Duration::from_secs(6),
            ..KafkaSettings::new(broker.bootstrap_servers())
        };
        let cluster = Arc::new(Cluster::connect(settings).unwrap());
        apply::first_offsets(&cluster, &[seat()], &[]).unwrap();
        let appender = KafkaAppender::open(cluster.clone()).unwrap();
        for n in 0..RECORDS {
            block_on(appender.append(record(INPUT, &n.to_string()))).unwrap();
        }
        Self { cluster, broker }
    }

    fn inject(&self, call: RDKafkaApiKey, error: RDKafkaRespErr) {
        self.broker.request_errors(call, &[error]);
    }
}

#[test]
fn a_timed_out_commit_goes_back_and_delivers_again() {
    let mock = Mock::start();
    let mut member = joined(&mock.cluster);
    let records = take(&mut member, RECORDS);
    mock.inject(RDKafkaApiKey::EndTxn, RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
    let outcome = member.commit(copy_of(&records));
    let Err(CommitError::Rewound { committed, .. }) = outcome else {
        panic!("an unknown outcome was answered with {outcome:?}");
    };
    assert!(committed.iter().all(|(_, offset)| *offset == 0), "{committed:?}");
    // Every record comes again, once, and the next commit is an ordinary one.
    let again = take(&mut member, RECORDS);
    let mut positions: Vec<_> =
        again.iter().map(|it| (it.position.at, it.position.offset)).collect();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), RECORDS);
    assert!(member.poll(10, A_WHILE).unwrap().records.is_empty());
    member.commit(copy_of(&again)).unwrap();
}

#[test]
fn a_commit_that_must_be_aborted_is_aborted_and_gone_back() {
    let cases = [
        (RDKafkaApiKey::TxnOffsetCommit, RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
        (RDKafkaApiKey::TxnOffsetCommit, RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
        // A session that timed out is answered so too; the consumer knows whether the seat was taken.
        (RDKafkaApiKey::TxnOffsetCommit, RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID),
        (RDKafkaApiKey::EndTxn, RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING),
    ];
    let mock = Mock::start();
    let mut member = joined(&mock.cluster);
    for (call, error) in cases {
        let records = take(&mut member, RECORDS);
        mock.inject(call, error);
        let outcome = member.commit(copy_of(&records));
        assert!(matches!(outcome, Err(CommitError::Rewound { .. })), "{error:?}: {outcome:?}");
    }
    let records = take(&mut member, RECORDS);
    member.commit(copy_of(&records)).unwrap();
}

#[test]
fn a_passing_trouble_of_the_coordinator_is_waited_out() {
    let cases = [
        (RDKafkaApiKey::EndTxn, RDKafkaRespErr::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS),
        (RDKafkaApiKey::EndTxn, RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS),
        (RDKafkaApiKey::AddOffsetsToTxn, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR),
        (RDKafkaApiKey::TxnOffsetCommit, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR),
    ];
    let mock = Mock::start();
    let mut member = joined(&mock.cluster);
    let records = take(&mut member, RECORDS);
    for (call, error) in cases {
        mock.inject(call, error);
        assert_eq!(member.commit(copy_of(&records)), Ok(()), "{error:?}");
    }
}

#[test]
fn a_fenced_producer_ends_the_member() {
    let mock = Mock::start();
    let mut member = joined(&mock.cluster);
    let records = take(&mut member, RECORDS);
    mock.inject(RDKafkaApiKey::EndTxn, RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    let fenced = Err(CommitError::Log(LogError::Fenced));
    assert_eq!(member.commit(copy_of(&records)), fenced);
    assert_eq!(member.commit(copy_of(&records)), fenced);
    assert_eq!(member.poll(10, A_WHILE).unwrap_err(), LogError::Fenced);
}

/// Each answer comes in time, all of them together do not: the broker's own abort would cross the
/// decision, and its new epoch would look like a taken seat.
#[test]
fn a_decision_that_would_begin_late_is_not_begun() {
    let mock = Mock::start();
    let settings = KafkaSettings {
        producers_in_turn: 1,
        transaction_timeout: Duration::from_secs(2),
        ..mock.cluster.settings.clone()
    };
    let mut member = joined(&Arc::new(Cluster::connect(settings).unwrap()));
    let records = take(&mut member, RECORDS);
    let offsets = Transaction { outputs: Vec::new(), ..copy_of(&records) };
    member.commit(offsets.clone()).unwrap();
    mock.broker.broker_round_trip_time(1, Duration::from_millis(600)).unwrap();
    assert!(member.commit(offsets).is_err());
}

/// The brokers go away in the middle: once they are back the caller is told where the group stands, and
/// keeps what it computed.
#[test]
fn after_an_outage_the_caller_is_told_where_the_group_stands() {
    let mock = Mock::start();
    let mut member = joined(&mock.cluster);
    let records = take(&mut member, RECORDS);
    mock.broker.broker_down(1).unwrap();
    let outcome = member.commit(copy_of(&records));
    assert!(matches!(outcome, Err(CommitError::Log(LogError::Unavailable(_)))), "{outcome:?}");
    assert!(matches!(member.poll(10, A_WHILE), Err(LogError::Unavailable(_))));
    mock.broker.broker_up(1).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let polled = loop {
        assert!(Instant::now() < deadline, "the member never came back");
        if let Ok(polled) = member.poll(10, A_WHILE) {
            break polled;
        }
    };
    assert!(polled.records.is_empty() && polled.lost.is_empty());
    assert_eq!(polled.committed.iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [0, 0]);
    let again = take(&mut member, RECORDS);
    member.commit(copy_of(&again)).unwrap();
}

#[test]
fn an_append_that_never_left_is_told_from_one_without_an_answer() {
    let mock = Mock::start();
    let appender = KafkaAppender::open(mock.cluster.clone()).unwrap();
    block_on(appender.append(record(INPUT, "connected"))).unwrap();
    mock.broker.broker_round_trip_time(1, Duration::from_secs(4)).unwrap();
    let unknown = block_on(appender.append(record(INPUT, "left")));
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");

    mock.broker.broker_round_trip_time(1, Duration::ZERO).unwrap();
    mock.broker.broker_down(1).unwrap();
    let appender = KafkaAppender::start(mock.cluster.clone()).unwrap();
    let not_taken = block_on(appender.append(record(INPUT, "never left")));
    assert!(matches!(not_taken, Err(AppendError::NotTaken(_))), "{not_taken:?}");
    let missing = block_on(appender.append(record(Topic::DeadLetter, "nowhere")));
    assert!(matches!(missing, Err(AppendError::NotTaken(_))), "{missing:?}");
}

#[test]
fn a_member_ends_although_no_broker_answers() {
    let mock = Mock::start();
    let mut member = joined(&mock.cluster);
    take(&mut member, RECORDS);
    mock.broker.broker_down(1).unwrap();
    let (ended, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(member);
        ended.send(())
    });
    assert!(wait.recv_timeout(PATIENCE).is_ok(), "it hangs");
}
