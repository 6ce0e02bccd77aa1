//! What is acknowledged is there; what is written together is there together.

use runtime::log::{AppendError, TopicPartition};

use crate::bed::Bed;
use crate::hands::{
    COMPACTED, EVENTS, INPUT, PARTITIONS, append, prepare, read_all, record, sorted, text,
    values_in,
};

pub fn an_acknowledged_append_is_found_where_it_was_said(bed: &dyn Bed) {
    prepare(bed);
    let values: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    let said = append(bed.log(), values.iter().map(|value| record(INPUT, value, value)));
    let found = read_all(bed, INPUT);
    assert_eq!(found.len(), values.len());
    for (value, position) in values.iter().zip(said) {
        let there = found.iter().find(|it| it.position == position).unwrap();
        assert_eq!(&text(there), value);
        let partition = schemas::partitioner::partition(value.as_bytes(), PARTITIONS);
        assert_eq!(position.at.partition, partition);
    }
}

pub fn a_writer_writes_all_or_nothing(bed: &dyn Bed) {
    prepare(bed);
    let mut writer = bed.log().writer("all").unwrap();
    let batch: Vec<_> = (0..20)
        .map(|n| {
            let topic = if n % 2 == 0 { INPUT } else { COMPACTED };
            record(topic, &n.to_string(), &n.to_string())
        })
        .collect();
    let said = writer.write(batch.clone()).unwrap();
    let mut found = read_all(bed, INPUT);
    found.extend(read_all(bed, COMPACTED));
    for (record, position) in batch.iter().zip(&said) {
        let there = found.iter().find(|it| it.position == *position).unwrap();
        assert_eq!(there.value, record.value);
    }
    // A topic that does not exist: nothing of the batch is seen, and the writer goes on.
    let missing = schemas::topics::Topic::DeadLetter;
    let torn = vec![record(EVENTS, "0", "0"), record(missing, "1", "1")];
    assert!(matches!(writer.write(torn), Err(AppendError::NotTaken(_))));
    assert_eq!(values_in(bed, EVENTS), Vec::<String>::new());
    let whole = (0..4).map(|n| record(EVENTS, &n.to_string(), &n.to_string())).collect();
    assert_eq!(writer.write(whole).unwrap().len(), 4);
    assert_eq!(values_in(bed, EVENTS), sorted(0..4));
}

pub fn a_later_writer_of_the_same_name_wins(bed: &dyn Bed) {
    prepare(bed);
    let mut earlier = bed.log().writer("one").unwrap();
    earlier.write(vec![record(EVENTS, "0", "0")]).unwrap();
    let mut later = bed.log().writer("one").unwrap();
    let refused = earlier.write(vec![record(EVENTS, "lost", "lost")]);
    assert_eq!(refused, Err(AppendError::Fenced));
    later.write(vec![record(EVENTS, "1", "1")]).unwrap();
    let refused = earlier.write(vec![record(EVENTS, "lost", "lost")]);
    assert_eq!(refused, Err(AppendError::Fenced));
    let mut other = bed.log().writer("another").unwrap();
    other.write(vec![record(EVENTS, "2", "2")]).unwrap();
    later.write(vec![record(EVENTS, "3", "3")]).unwrap();
    assert_eq!(values_in(bed, EVENTS), sorted(0..4));
}

/// And whoever takes it back reads from the log's end what the other has written meanwhile.
pub fn a_name_goes_to_and_fro_and_each_holder_sees_the_end_that_the_other_left(bed: &dyn Bed) {
    prepare(bed);
    for n in 0..4 {
        let mut holder = bed.log().writer("to and fro").unwrap();
        let term = holder.term();
        let end = |partition| bed.log().end(TopicPartition { topic: EVENTS, partition }).unwrap();
        let ends: Vec<_> = (0..PARTITIONS).map(end).collect();
        let before = read_all(bed, EVENTS);
        assert_eq!(before.len(), n, "all that was written before");
        for it in before {
            let end = ends[it.position.at.partition as usize];
            assert!(it.position.offset < end, "the end lies behind it");
        }
        let said = holder.write(vec![record(EVENTS, "key", &n.to_string())]).unwrap();
        let end = ends[said[0].at.partition as usize];
        assert!(said[0].offset >= end, "and before what is written next");
        assert_eq!(holder.term(), term);
    }
}

/// Yes: all of it is there. No: none of it. And where the answer is that nobody knows, still not half.
pub fn a_writers_answer_is_true_or_says_that_it_does_not_know(bed: &dyn Bed) {
    prepare(bed);
    let mut writer = bed.shaky().writer("shaky").unwrap();
    let mut answers = Vec::new();
    for n in 0..12 {
        bed.shake(n);
        let topics = [INPUT, EVENTS, COMPACTED];
        let batch = topics.map(|topic| record(topic, &n.to_string(), &n.to_string()));
        answers.push(writer.write(batch.into()));
    }
    let found = [INPUT, EVENTS, COMPACTED].map(|topic| read_all(bed, topic));
    for (n, answer) in answers.iter().enumerate() {
        let of_batch = found.iter().flatten().filter(|it| text(it) == n.to_string());
        let there: Vec<_> = of_batch.map(|it| it.position).collect();
        match answer {
            Ok(said) => assert_eq!(&there, said, "write {n}"),
            Err(AppendError::NotTaken(why)) => assert!(there.is_empty(), "write {n}: {why}"),
            Err(AppendError::Unknown(_)) => assert!(there.is_empty() || there.len() == 3),
            Err(AppendError::Fenced) => panic!("nobody else took the name"),
        }
    }
    assert!(answers.iter().any(Result::is_ok), "{answers:?}");
}
