//! What holds records and their published schemas together.

#[path = "laws/canonical.rs"]
mod canonical;
#[path = "laws/samples.rs"]
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;
use proptest::prelude::*;
use samples::Sample;
use schemas::codec::{Codec, DecodeError, Record, SUBJECTS};
use schemas::records::*;
use schemas::topics::Channel;

/// Asks `law` of every type of record.
macro_rules! of_each {
    ($law:ident $(, $argument:expr)*) => {{
        $law::<MessageAccepted>($($argument),*);
        $law::<MessagePermitted>($($argument),*);
        $law::<MessageStored>($($argument),*);
        $law::<Story>($($argument),*);
        $law::<MessageStatus>($($argument),*);
        $law::<MessageDecision>($($argument),*);
        $law::<CitizenProfile>($($argument),*);
        $law::<CitizenKeyRecord>($($argument),*);
        $law::<Preference>($($argument),*);
        $law::<Activation>($($argument),*);
        $law::<Unsubscribe>($($argument),*);
        $law::<Device>($($argument),*);
        $law::<DeviceDeath>($($argument),*);
        $law::<CitizenErased>($($argument),*);
        $law::<MailboxValidation>($($argument),*);
        $law::<ServiceRecord>($($argument),*);
        $law::<TransitKeyRecord>($($argument),*);
        $law::<DeadLetter>($($argument),*);
        $law::<DeadResolution>($($argument),*);
        $law::<BatchCommand>($($argument),*);
        $law::<BatchState>($($argument),*);
        $law::<BatchChunk>($($argument),*);
    }};
}

/// A codec that writes the Confluent wire format, subjects numbered from 300 in their order.
fn registry() -> Codec {
    let ids =
        (300_u32..).zip(SUBJECTS).map(|(id, (subject, _))| ((*subject).to_owned(), id.into()));
    Codec::with_registry_ids(ids.collect())
}

fn codecs() -> [Codec; 2] {
    [Codec::default(), registry()]
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn published<R: Record>() -> Schema {
    Schema::parse_str(R::SCHEMA).expect("a schema that others can parse")
}

/// The numbers of a subject's versions in `history/`, oldest first.
fn versions(subject: &str) -> Vec<u32> {
    let listed = std::fs::read_dir(folder("avro/history").join(subject)).expect("a history");
    let number = |name: String| -> Option<u32> {
        name.strip_prefix('v')?.strip_suffix(".avsc")?.parse().ok()
    };
    let mut versions: Vec<_> = listed
        .map(|entry| entry.expect("a file").file_name().into_string().expect("plain name"))
        .map(|name| number(name.clone()).unwrap_or_else(|| panic!("{subject}/{name}: no version")))
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..).take(versions.len()).collect::<Vec<_>>(), "{subject}: a gap");
    versions
}

fn version_text(subject: &str, version: u32) -> String {
    text(&folder("avro/history").join(subject).join(format!("v{version}.avsc")))
}

#[test]
fn every_subject_has_a_sample_and_a_file() {
    fn note<R: Record>(seen: &mut BTreeSet<String>) {
        seen.insert(R::SUBJECT.to_owned());
    }
    let mut sampled = BTreeSet::new();
    of_each!(note, &mut sampled);
    let listed: BTreeSet<_> = SUBJECTS.iter().map(|(subject, _)| (*subject).to_owned()).collect();
    let stem = |path: PathBuf| path.file_stem()?.to_str().map(str::to_owned);
    let files: BTreeSet<_> = std::fs::read_dir(folder("avro"))
        .expect("schemas")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "avsc"))
        .filter_map(stem)
        .collect();
    assert_eq!(sampled, listed);
    assert_eq!(files, listed);
}

#[test]
fn every_record_reads_back_in_both_framings() {
    fn law<R: Sample>() {
        for codec in codecs() {
            for record in [R::full(), R::sparse()] {
                let bytes = codec.encode(&record);
                assert_eq!(codec.decode::<R>(&bytes).as_ref(), Ok(&record), "{}", R::SUBJECT);
            }
        }
    }
    of_each!(law);
}

#[test]
fn a_reader_of_the_registry_takes_single_object_encoding_too() {
    fn law<R: Sample>() {
        let bytes = Codec::default().encode(&R::full());
        assert_eq!(registry().decode::<R>(&bytes), Ok(R::full()), "{}", R::SUBJECT);
    }
    of_each!(law);
}

#[test]
fn the_framings_are_those_that_the_field_knows() {
    fn law<R: Sample>() {
        let single = Codec::default().encode(&R::full());
        assert_eq!(single[..2], [0xC3, 0x01], "{}", R::SUBJECT);
        assert_eq!(single[2..10], canonical::fingerprint(R::SCHEMA)[..], "{}", R::SUBJECT);
        let wire = registry().encode(&R::full());
        let at = SUBJECTS.iter().position(|(subject, _)| *subject == R::SUBJECT);
        let id = 300 + u32::try_from(at.expect("listed")).expect("small");
        assert_eq!((wire[0], &wire[1..5]), (0, &id.to_be_bytes()[..]), "{}", R::SUBJECT);
        assert_eq!(wire[5..], single[10..], "{}: one datum, two frames", R::SUBJECT);
    }
    of_each!(law);
}

#[test]
fn another_implementation_reads_the_same_record_under_the_published_schema() {
    fn law<R: Sample>() {
        let schema = published::<R>();
        let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
        for record in [R::full(), R::sparse()] {
            let bytes = Codec::default().encode(&record);
            let mut datum = &bytes[10..];
            let value = reader.read_value(&mut datum).expect(R::SUBJECT);
            assert!(datum.is_empty(), "{}: bytes behind the record", R::SUBJECT);
            assert!(value.validate(&schema), "{}", R::SUBJECT);
            let read: R = apache_avro::from_value(&value).expect(R::SUBJECT);
            assert_eq!(read, record, "{}", R::SUBJECT);
        }
    }
    of_each!(law);
}

#[test]
fn every_status_channel_reason_and_outcome_can_be_written() {
    let codec = Codec::default();
    let check = |event: MessageStatus| {
        let bytes = codec.encode(&event);
        assert_eq!(codec.decode::<MessageStatus>(&bytes), Ok(event));
    };
    for status in Status::ALL {
        check(MessageStatus { status, ..MessageStatus::full() });
    }
    for channel in Channel::ALL {
        check(MessageStatus { channel: Some(channel), ..MessageStatus::full() });
    }
    for reason in Reason::ALL.iter().copied().chain([Reason::Other]) {
        check(MessageStatus { reason, ..MessageStatus::full() });
    }
    for outcome in OutcomeKind::ALL.iter().copied().chain([OutcomeKind::Other]) {
        check(MessageStatus { outcome: Some(outcome), ..MessageStatus::full() });
    }
}

#[test]
fn every_mode_and_activation_can_be_written() {
    let codec = Codec::default();
    for mode in [Mode::Legacy, Mode::Auto, Mode::Manual] {
        let profile = CitizenProfile { mode, ..CitizenProfile::full() };
        assert_eq!(codec.decode::<CitizenProfile>(&codec.encode(&profile)), Ok(profile));
    }
    for state in [ActivationState::Active, ActivationState::Inactive, ActivationState::Pending] {
        let activation = Activation { state, ..Activation::full() };
        assert_eq!(codec.decode::<Activation>(&codec.encode(&activation)), Ok(activation));
    }
}

#[test]
fn the_published_schema_is_the_newest_of_its_history() {
    for (subject, schema) in SUBJECTS {
        let newest = *versions(subject).last().expect("at least one version");
        assert_eq!(*schema, version_text(subject, newest), "{subject}: copy it to v{}", newest + 1);
    }
}

#[test]
fn readers_know_every_version_of_the_history_newest_first() {
    fn law<R: Sample>() {
        let known: Vec<_> =
            R::versions().iter().map(|it| it.rabin_fingerprint().to_vec()).collect();
        let history = versions(R::SUBJECT).into_iter().rev();
        let history =
            history.map(|version| canonical::fingerprint(&version_text(R::SUBJECT, version)));
        assert_eq!(known, history.collect::<Vec<_>>(), "{}", R::SUBJECT);
    }
    of_each!(law);
}

/// Whether each of the two reads what the other wrote.
fn compatible(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|text| Schema::parse_str(text).expect("parses"));
    SchemaCompatibility::can_read(&one, &other).is_ok()
        && SchemaCompatibility::can_read(&other, &one).is_ok()
}

#[test]
fn every_two_versions_read_each_other() {
    for (subject, _) in SUBJECTS {
        let texts: Vec<_> =
            versions(subject).into_iter().map(|version| version_text(subject, version)).collect();
        for (n, one) in texts.iter().enumerate() {
            for other in &texts[n..] {
                assert!(compatible(one, other), "{subject}: a version breaks an earlier one");
            }
        }
    }
}

#[test]
fn a_field_without_a_default_is_found_incompatible_and_one_with_it_is_not() {
    let base = CitizenErased::SCHEMA;
    let with = |field: &str| base.replacen("\"fields\": [", &format!("\"fields\": [{field},"), 1);
    assert!(compatible(base, &with(r#"{"name":"why","type":"string","default":""}"#)));
    assert!(!compatible(base, &with(r#"{"name":"why","type":"string"}"#)));
}

fn golden(subject: &str, version: u32) -> PathBuf {
    folder("tests/golden").join(subject).join(format!("v{version}.hex"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(line: &str) -> Vec<u8> {
    assert!(line.len().is_multiple_of(2), "an odd number of digits");
    let pair = |at| u8::from_str_radix(&line[at..at + 2], 16).expect("hex digits");
    (0..line.len()).step_by(2).map(pair).collect()
}

/// A file of golden bytes is written once, when its version is new and `STAFFETTA_WRITE_GOLDEN` is
/// set; it is never written over.
fn write_new_golden<R: Sample>(path: &Path) {
    if path.exists() || std::env::var_os("STAFFETTA_WRITE_GOLDEN").is_none() {
        return;
    }
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let lines = [R::full(), R::sparse()].map(|it| hex(&Codec::default().encode(&it)) + "\n");
    std::fs::write(path, lines.concat()).expect("golden bytes");
}

#[test]
fn the_bytes_of_each_version_stay_what_they_were() {
    fn law<R: Sample>() {
        let versions = versions(R::SUBJECT);
        let newest = *versions.last().expect("at least one version");
        write_new_golden::<R>(&golden(R::SUBJECT, newest));
        for version in versions {
            let kept = text(&golden(R::SUBJECT, version));
            let kept: Vec<_> = kept.lines().map(unhex).collect();
            assert_eq!(kept.len(), 2, "{} v{version}: full and sparse", R::SUBJECT);
            for (bytes, record) in kept.iter().zip([R::full(), R::sparse()]) {
                let read = Codec::default().decode::<R>(bytes);
                assert!(read.is_ok(), "{} v{version} is no longer read", R::SUBJECT);
                if version == newest {
                    assert_eq!(read.as_ref(), Ok(&record), "{}", R::SUBJECT);
                    assert_eq!(&Codec::default().encode(&record), bytes, "{}", R::SUBJECT);
                }
            }
        }
    }
    of_each!(law);
}

fn check_refused(codec: &Codec, bytes: &[u8], expected: DecodeError) {
    assert_eq!(codec.decode::<CitizenErased>(bytes), Err(expected), "{bytes:02x?}");
}

#[test]
fn bytes_that_are_no_record_are_refused_by_name() {
    const SUBJECT: &str = CitizenErased::SUBJECT;
    let plain = Codec::default();
    let good = plain.encode(&CitizenErased::full());
    let mut stranger = good.clone();
    stranger[2] ^= 1;
    for bytes in [&b""[..], b"\xC3", b"\xC3\x01\x01", b"\x00\x00\x00\x01", b"{\"citizen\":1}"] {
        check_refused(&plain, bytes, DecodeError::NoFrame);
    }
    check_refused(&plain, &stranger, DecodeError::UnknownFingerprint(SUBJECT));
    check_refused(&plain, b"\x00\x00\x00\x00\x07rest", DecodeError::UnknownId(SUBJECT, 7));
    check_refused(&registry(), b"\x00\x00\x00\x00\x07rest", DecodeError::UnknownId(SUBJECT, 7));
    check_refused(&plain, &good[..good.len() - 1], DecodeError::Malformed(SUBJECT));
    check_refused(&plain, &good[..10], DecodeError::Malformed(SUBJECT));
}

#[test]
fn a_record_of_another_kind_is_refused() {
    let bytes = Codec::default().encode(&CitizenErased::full());
    let refused = Err(DecodeError::UnknownFingerprint(Unsubscribe::SUBJECT));
    assert_eq!(Codec::default().decode::<Unsubscribe>(&bytes), refused);
    let wire = registry().encode(&CitizenErased::full());
    let read = registry().decode::<Unsubscribe>(&wire);
    assert!(matches!(read, Err(DecodeError::UnknownId(Unsubscribe::SUBJECT, _))));
}

#[test]
fn an_id_that_is_no_id_is_malformed() {
    let codec = Codec::default();
    let mut bytes = codec.encode(&CitizenErased::full());
    assert_eq!(bytes[11], b'c', "the pseudonym begins behind frame and length");
    bytes[11] = b'x';
    check_refused(&codec, &bytes, DecodeError::Malformed(CitizenErased::SUBJECT));
}

#[test]
fn no_cut_record_is_read() {
    fn law<R: Sample>() {
        for codec in codecs() {
            let whole = codec.encode(&R::full());
            for length in 0..whole.len() {
                let read = codec.decode::<R>(&whole[..length]);
                assert!(read.is_err(), "{} cut to {length}", R::SUBJECT);
            }
        }
    }
    of_each!(law);
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        junk in prop::collection::vec(any::<u8>(), 0..300),
        flip in any::<prop::sample::Index>(),
        mask in 1..=255u8,
    ) {
        fn law<R: Sample>(junk: &[u8], flip: &prop::sample::Index, mask: u8) {
            for codec in codecs() {
                let whole = codec.encode(&R::full());
                let frame = whole.len() - (Codec::default().encode(&R::full()).len() - 10);
                let mut framed = whole[..frame].to_vec();
                framed.extend_from_slice(junk);
                let mut hit = whole;
                let at = flip.index(hit.len());
                hit[at] ^= mask;
                // Junk may happen to be a record; what counts is that there is an answer.
                let answers = [codec.decode::<R>(junk), codec.decode(&framed), codec.decode(&hit)];
                for error in answers.into_iter().filter_map(Result::err) {
                    assert!(error.to_string().len() < 120);
                }
            }
        }
        of_each!(law, &junk, &flip, mask);
    }
}

#[test]
fn pinned_ids_that_are_not_a_subjects_own_leave_it_single_object_encoded() {
    let codec = Codec::with_registry_ids(BTreeMap::from([("story".to_owned(), 5.into())]));
    assert_eq!(codec.encode(&Unsubscribe::full())[..2], [0xC3, 0x01]);
    assert_eq!(codec.encode(&Story::full())[..5], [0, 0, 0, 0, 5]);
}
