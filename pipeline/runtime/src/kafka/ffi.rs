//! What the crate around librdkafka does not offer, asked of librdkafka itself.

// The crate's own flush looks only every 100 ms, its end-of-partition event does not say of which
// topic, and it hides what is known about a failed record. Each block carries its proof.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::time::Duration;
use std::{ptr, slice};

use rdkafka::bindings as c;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaRespErr;
use schemas::headers::RawHeaders;

/// Waits until everything sent is acknowledged or failed, without waiting out `linger.ms`.
///
/// # Errors
/// `OperationTimedOut` where `limit` passed first; then nothing may be committed.
pub(super) fn flush<C: ProducerContext + 'static>(
    producer: &ThreadedProducer<C>,
    limit: Duration,
) -> Result<(), RDKafkaErrorCode> {
    // SAFETY: `producer` owns the client and is borrowed for the whole call; rd_kafka_flush may be
    // called from any thread. Delivery reports are served by the producer's own thread meanwhile.
    let error = unsafe { c::rd_kafka_flush(producer.client().native_ptr(), millis(limit)) };
    if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(error.into()) }
}

/// Whether a failed record certainly never reached a broker's log.
pub(super) fn never_appended(failed: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message is alive while borrowed, and the call only reads a field of it.
    let status = unsafe { c::rd_kafka_message_status(failed.ptr()) };
    status == c::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED
}

/// The end of a partition as the last fetch saw it; none before the first fetch.
pub(super) fn high_watermark<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<u64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is borrowed, the name is nul-terminated, both numbers outlive the call.
    let error = unsafe {
        let client = consumer.client().native_ptr();
        c::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high)
    };
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    u64::try_from(high).ok()
}

/// What a consumer without a group gets.
pub(super) enum Event {
    Record {
        topic: String,
        partition: i32,
        offset: i64,
        appended_ms: i64,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        headers: RawHeaders,
    },
    /// Nothing stable behind `offset` at present.
    End {
        topic: String,
        partition: i32,
        offset: i64,
    },
    Error(RDKafkaErrorCode),
}

/// The next event of a consumer whose partitions were assigned by hand.
pub(super) fn next<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    wait: Duration,
) -> Option<Event> {
    // SAFETY: the client is borrowed for the call. A message that is not null is ours until it is
    // destroyed, exactly once, below; everything read from it is copied before.
    unsafe {
        let message = c::rd_kafka_consumer_poll(consumer.client().native_ptr(), millis(wait));
        if message.is_null() {
            return None;
        }
        let event = copied(message);
        c::rd_kafka_message_destroy(message);
        Some(event)
    }
}

/// SAFETY: `message` points to a live message.
unsafe fn copied(message: *mut c::rd_kafka_message_t) -> Event {
    // SAFETY: alive by contract; topic, key and payload are null or valid for their lengths.
    unsafe {
        let it = &*message;
        let topic = || match it.rkt.is_null() {
            true => String::new(),
            false => text(c::rd_kafka_topic_name(it.rkt)),
        };
        if it.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF {
            return Event::End { topic: topic(), partition: it.partition, offset: it.offset };
        }
        if it.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Event::Error(it.err.into());
        }
        Event::Record {
            topic: topic(),
            partition: it.partition,
            offset: it.offset,
            appended_ms: c::rd_kafka_message_timestamp(message, ptr::null_mut()),
            key: bytes(it.key, it.key_len).unwrap_or_default(),
            value: bytes(it.payload, it.len),
            headers: headers(message),
        }
    }
}

/// SAFETY: `message` points to a live message.
unsafe fn headers(message: *const c::rd_kafka_message_t) -> RawHeaders {
    let mut raw = RawHeaders::new();
    // SAFETY: the list belongs to the message; names and values live as long as it does, and
    // librdkafka refuses an index behind the last header.
    unsafe {
        let mut list = ptr::null_mut();
        let found = c::rd_kafka_message_headers(message, &mut list);
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return raw;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            let got = c::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size);
            if got != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            raw.push((text(name), bytes(value, size).unwrap_or_default()));
        }
    }
    raw
}

/// SAFETY: `start` is nul-terminated.
unsafe fn text(start: *const c_char) -> String {
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}

/// SAFETY: `start` is null or valid for `length` bytes.
unsafe fn bytes(start: *const c_void, length: usize) -> Option<Vec<u8>> {
    // SAFETY: by contract.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length) }.to_vec())
}

fn millis(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX)
}
