//! What a reader without a group finds.

use std::collections::BTreeMap;

use runtime::log::{Outgoing, Start};
use schemas::headers::Headers;
use schemas::ids::{MessageId, Timestamp};

use crate::bed::Bed;
use crate::hands::{
    A_WHILE, COMPACTED, INPUT, PARTITIONS, append, append_values, prepare, read_all, record,
    sorted, text, to_the_end, wait_for,
};

const ALL: usize = PARTITIONS as usize;

pub fn a_record_comes_back_as_it_went(bed: &dyn Bed) {
    prepare(bed);
    let headers = Headers {
        message_id: Some(MessageId::from_parts(7, 8)),
        accepted_at: Some(Timestamp(9)),
        cause: Some("a".into()),
        ..Headers::default()
    };
    let full = Outgoing { headers: headers.clone(), ..record(INPUT, "full", "value") };
    let empty = record(INPUT, "empty", "");
    let gone = Outgoing { value: None, ..record(INPUT, "gone", "") };
    let apart = Outgoing { partition_by: b"elsewhere".into(), ..record(INPUT, "full", "apart") };
    let positions = append(bed.log(), [full, empty, gone, apart]);

    let mut found = read_all(bed, INPUT);
    found.sort_by_key(|it| positions.iter().position(|position| *position == it.position));
    let values: Vec<_> = found.iter().map(|it| it.value.clone()).collect();
    assert_eq!(values, [Some(b"value".to_vec()), Some(vec![]), None, Some(b"apart".to_vec())]);
    assert_eq!(found[0].key, b"full");
    assert_eq!(Headers::from_raw(&found[0].headers), headers);
    assert!(found[0].appended_at > Timestamp(0));
    for (record, by) in found.iter().zip(["full", "empty", "gone", "elsewhere"]) {
        let expected = schemas::partitioner::partition(by.as_bytes(), PARTITIONS);
        assert_eq!(record.position.at.partition, expected);
    }
}

/// The last thing in a partition is the transaction's own mark, where the log has one.
pub fn the_end_is_told_even_behind_a_transaction(bed: &dyn Bed) {
    prepare(bed);
    let mut writer = bed.log().writer("ends").unwrap();
    let batch = |from: usize| {
        let values = (from..from + 20).map(|n| n.to_string());
        values.map(|n| record(INPUT, &n, &n)).collect::<Vec<_>>()
    };
    writer.write(batch(0)).unwrap();
    let mut reader = bed.log().reader(&[INPUT], &Start::Beginning).unwrap();
    assert_eq!(to_the_end(bed, reader.as_mut(), ALL).len(), 20);
    // And again, whenever there was more.
    writer.write(batch(20)).unwrap();
    assert_eq!(to_the_end(bed, reader.as_mut(), ALL).len(), 20);
    // A reader that begins behind everything is at the end at once.
    let mut late = bed.log().reader(&[INPUT], &Start::End).unwrap();
    assert!(to_the_end(bed, late.as_mut(), ALL).is_empty());
}

pub fn the_end_is_told_of_an_empty_topic(bed: &dyn Bed) {
    prepare(bed);
    let mut reader = bed.log().reader(&[INPUT, COMPACTED], &Start::Beginning).unwrap();
    assert!(to_the_end(bed, reader.as_mut(), 2 * ALL).is_empty());
}

pub fn a_reader_starts_where_it_was_told(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..40);
    let mut late = bed.log().reader(&[INPUT], &Start::End).unwrap();
    append_values(bed.log(), INPUT, 40..60);
    let mut values = Vec::new();
    wait_for(bed, "what came later", || {
        values.extend(late.poll(100, A_WHILE).unwrap().records.iter().map(text));
        (values.len() >= 20).then_some(())
    });
    values.sort_unstable();
    assert_eq!(values, sorted(40..60));

    let all = read_all(bed, INPUT);
    let at = all.iter().max_by_key(|it| it.position.offset).unwrap().position;
    let start = Start::At(vec![(at.at, at.offset)]);
    let mut reader = bed.log().reader(&[INPUT], &start).unwrap();
    let found = to_the_end(bed, reader.as_mut(), ALL);
    let here: Vec<_> = found.iter().filter(|it| it.position.at == at.at).collect();
    assert_eq!(here.len(), 1);
    assert_eq!(here[0].position, at);
    // Partitions that were not named are read from their beginning.
    let elsewhere = all.iter().filter(|it| it.position.at != at.at).count();
    assert_eq!(found.len(), elsewhere + 1);
}

pub fn a_reader_of_named_partitions_reads_no_other(bed: &dyn Bed) {
    prepare(bed);
    append_values(bed.log(), INPUT, 0..60);
    let all = read_all(bed, INPUT);
    let at = all.iter().max_by_key(|it| it.position.offset).unwrap().position;
    let start = Start::Only(vec![(at.at, at.offset - 1)]);
    let mut reader = bed.log().reader(&[INPUT], &start).unwrap();
    let found = to_the_end(bed, reader.as_mut(), 1);
    let offsets: Vec<_> = found.iter().map(|it| (it.position.at, it.position.offset)).collect();
    assert_eq!(offsets, [(at.at, at.offset - 1), (at.at, at.offset)]);
}

pub fn the_newest_record_of_a_key_remains(bed: &dyn Bed) {
    prepare(bed);
    let mut records = Vec::new();
    for round in 0..5 {
        for key in ["a", "b", "c"] {
            records.push(record(COMPACTED, key, &format!("{key} {round}")));
        }
    }
    records.push(Outgoing { value: None, ..record(COMPACTED, "c", "") });
    append(bed.log(), records);
    let mut newest: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for it in read_all(bed, COMPACTED) {
        match it.value {
            Some(_) => newest.insert(it.key.clone(), text(&it)),
            None => newest.remove(&it.key),
        };
    }
    let expected = [("a", "a 4"), ("b", "b 4")];
    let expected = expected.map(|(key, value)| (key.as_bytes().to_vec(), value.to_owned()));
    assert_eq!(newest, BTreeMap::from(expected));
}
