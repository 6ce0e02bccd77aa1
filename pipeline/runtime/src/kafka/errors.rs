//! librdkafka's answers in our words: one place decides what an error means.

// Its sets of errors are open: what is not named here has one stated meaning.
#![allow(clippy::wildcard_enum_match_arm)]

use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::log::LogError;

/// What must be done about a failed call of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Call the same function again, within the limit.
    Again,
    /// Nothing was committed: abort, go back.
    Abort,
    /// Nothing was committed, and the same again would fail the same: abort, tell an operator.
    Hopeless,
    /// Somebody else holds our seat: leave.
    Fenced,
    /// It may have happened: start all producers anew and ask the group.
    Unknown,
}

/// Precedence: timeout > fenced > fatal > abort > again. A timeout comes first because librdkafka
/// calls it retriable, while its late answer could hit a later transaction (it lacks KIP-890 part 2).
pub(super) fn verdict(error: &KafkaError) -> Verdict {
    let code = error.rdkafka_error_code();
    if code.is_some_and(is_timeout) {
        return Verdict::Unknown;
    }
    if code.is_some_and(is_fenced) {
        return Verdict::Fenced;
    }
    match error {
        KafkaError::Transaction(error) if error.is_fatal() => Verdict::Unknown,
        KafkaError::Transaction(error) if error.txn_requires_abort() => Verdict::Abort,
        KafkaError::Transaction(error) if error.is_retriable() => Verdict::Again,
        _ => Verdict::Unknown,
    }
}

pub(super) fn is_timeout(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::MessageTimedOut
            | RDKafkaErrorCode::TimedOutQueue
            | RDKafkaErrorCode::RequestTimedOut
    )
}

/// Whether a producer was fenced. `FencedInstanceId` is not among it: a transaction that sends offsets
/// also gets it for a session that merely timed out, and may abort. Who truly lost its seat is told by
/// the consumer, or by the producer epochs that its successor has bumped.
fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
    )
}

/// An error of a consumer: none where polling again is the whole remedy.
pub(super) fn of_consumer<T: ConsumerContext, C: Consumer<T>>(
    consumer: &C,
    code: RDKafkaErrorCode,
) -> Option<LogError> {
    if let Some((fatal, why)) = consumer.client().fatal_error() {
        return Some(match fatal {
            RDKafkaErrorCode::FencedInstanceId => LogError::Fenced,
            code if is_fenced(code) => LogError::Fenced,
            _ => LogError::Broken(why),
        });
    }
    match code {
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
            Some(LogError::Broken(format!(
                "no valid offset to go on from ({code}): `topics apply` writes first offsets; \
                 where the log was deleted an operator decides"
            )))
        }
        RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::LogTruncation
        | RDKafkaErrorCode::BadMessage => Some(LogError::Broken(code.to_string())),
        RDKafkaErrorCode::FencedInstanceId => Some(LogError::Fenced),
        // Brokers away, coordinator moving, session lost: the client heals itself while it is polled.
        passing => {
            tracing::debug!(target: "kafka", error = %passing, "the consumer goes on");
            None
        }
    }
}

/// An error in words, without a person in it: librdkafka never repeats what a record holds.
pub(super) fn said(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => error.string(),
        other => other.to_string(),
    }
}

/// An error that polling again brought up: none where polling on is the remedy.
pub(super) fn of_poll<T: ConsumerContext, C: Consumer<T>>(
    consumer: &C,
    error: &KafkaError,
) -> Option<LogError> {
    match error {
        KafkaError::MessageConsumption(code) | KafkaError::MessageConsumptionFatal(code) => {
            of_consumer(consumer, *code)
        }
        other => Some(passing(other)),
    }
}

/// An error of a call that can be made again later.
pub(super) fn passing(error: &KafkaError) -> LogError {
    match error {
        KafkaError::ClientConfig(_, why, key, _) => {
            LogError::Broken(format!("kafka setting {key}: {why}"))
        }
        KafkaError::Transaction(error) if is_fenced(error.code()) => LogError::Fenced,
        KafkaError::Transaction(error) => LogError::Unavailable(error.string()),
        other => LogError::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_never_retried() {
        for code in [RDKafkaErrorCode::OperationTimedOut, RDKafkaErrorCode::RequestTimedOut] {
            assert_eq!(verdict(&KafkaError::Flush(code)), Verdict::Unknown);
        }
    }

    #[test]
    fn a_taken_seat_is_told_from_an_unknown_outcome() {
        let fenced = KafkaError::MessageProduction(RDKafkaErrorCode::ProducerFenced);
        assert_eq!(verdict(&fenced), Verdict::Fenced);
        let fatal = KafkaError::MessageProduction(RDKafkaErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(verdict(&fatal), Verdict::Unknown);
    }
}
