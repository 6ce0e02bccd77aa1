use super::super::{Call, Fault};
use super::*;
use crate::log::{AppendError, CommitError, LogError};

/// Ten records read, then committed under `fault`: the answer, and what the world sees afterwards.
fn check(fault: Fault, committed: Option<u64>, copies: usize) {
    let log = a_log(1);
    append(&log, numbers(INPUT, 0..10));
    let mut member = log.join(&seat(0)).unwrap();
    let records = poll(&mut member).records;
    log.inject(fault);
    let error = member.commit(copy_of(&records)).unwrap_err();
    match (error, committed) {
        (CommitError::Rewound { committed, .. }, Some(offset)) => {
            assert_eq!(committed, [(at(0), offset)]);
        }
        (CommitError::Log(LogError::Broken(_)), None) => {}
        (error, _) => panic!("{fault:?} answered {error}"),
    }
    assert_eq!(read_all(&log, OUTPUT).len(), copies);
    // The member has gone back by itself: what is not committed comes again, the rest does not.
    let again = poll(&mut member).records;
    assert_eq!(again.len(), 10 - copies);
    member.commit(copy_of(&again)).unwrap();
    assert_eq!(read_all(&log, OUTPUT).len(), 10);
}

#[test]
fn a_refused_commit_leaves_nothing_and_delivers_again() {
    check(Fault::RefuseBefore, Some(0), 0);
}

#[test]
fn an_unknown_commit_that_was_applied_is_not_repeated() {
    check(Fault::AppliedButUnknown, Some(10), 10);
}

#[test]
fn an_unknown_commit_that_was_not_applied_is_repeated() {
    check(Fault::NotAppliedUnknown, Some(0), 0);
}

#[test]
fn a_failing_store_leaves_nothing_half_written() {
    check(Fault::StoreFails, None, 0);
}

#[test]
fn an_append_tells_certainly_not_from_maybe() {
    let log = a_log(1);
    let appender = log.appender().unwrap();
    let append = || futures::executor::block_on(appender.append(record(INPUT, "key", "value")));
    log.inject_at(Call::Append, Fault::RefuseBefore);
    assert!(matches!(append(), Err(AppendError::NotTaken(_))));
    log.inject_at(Call::Append, Fault::NotAppliedUnknown);
    assert!(matches!(append(), Err(AppendError::Unknown(_))));
    assert_eq!(read_all(&log, INPUT).len(), 0);
    log.inject_at(Call::Append, Fault::AppliedButUnknown);
    assert!(matches!(append(), Err(AppendError::Unknown(_))));
    assert_eq!(append().unwrap().offset, 1);
}

#[test]
fn a_poll_can_be_made_to_fail_once() {
    let log = a_log(1);
    let mut member = log.join(&seat(0)).unwrap();
    log.inject_at(Call::Poll, Fault::RefuseBefore);
    assert!(matches!(member.poll(1, NOW), Err(LogError::Unavailable(_))));
    assert_eq!(poll(&mut member).assigned, [at(0)]);
}

#[test]
fn one_bad_record_spoils_its_own_transaction_only() {
    let log = a_log(1);
    let mut writer = log.writer("w").unwrap();
    let too_long = record(OUTPUT, &"k".repeat(20_000), "");
    let refused = writer.write(vec![record(OUTPUT, "a", "a"), too_long]);
    assert!(matches!(refused, Err(AppendError::NotTaken(_))));
    writer.write(vec![record(OUTPUT, "b", "b")]).unwrap();
    assert_eq!(values(&log, OUTPUT), ["b"]);
}
