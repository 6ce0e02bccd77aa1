use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::Scope;
use super::*;
use crate::log::LogError;

/// How many files under `folder` hold `needle`.
fn files_with(folder: &Path, needle: &str) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += files_with(&path, needle);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let needle = needle.as_bytes();
            found += usize::from(bytes.windows(needle.len()).any(|window| window == needle));
        }
    }
    found
}

#[test]
fn records_offsets_and_first_offsets_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let log = on_disk(folder.path(), world().0);
        append(&log, numbers(INPUT, 0..20));
        append(&log, [record(COMPACTED, "a", "1"), record(COMPACTED, "a", "2")]);
        let mut member = log.join(&seat(0)).unwrap();
        let records = member.poll(8, NOW).unwrap().records;
        member.commit(copy_of(&records)).unwrap();
    }
    let log = on_disk(folder.path(), world().0);
    assert_eq!(read_all(&log, OUTPUT).len(), 8);
    assert_eq!(values(&log, COMPACTED), ["2"]);
    let mut member = log.join(&seat(0)).unwrap();
    let records = poll(&mut member).records;
    assert_eq!(records.len(), 12);
    member.commit(copy_of(&records)).unwrap();
    append(&log, [record(COMPACTED, "a", "3")]);
    assert_eq!(values(&log, COMPACTED), ["3"]);
    let mut copies = values(&log, OUTPUT);
    copies.dedup();
    assert_eq!(copies.len(), 20);
}

#[test]
fn a_second_user_of_the_folder_is_refused_in_clear_words() {
    let folder = tempfile::tempdir().unwrap();
    let _log = on_disk(folder.path(), world().0);
    let second = EmbeddedLog::open(folder.path(), world().0, Settings::default());
    let Err(LogError::Broken(why)) = second else { panic!("two hold one folder") };
    assert!(why.contains("used by another process"), "{why}");
}

#[test]
fn topics_keep_their_records_when_others_are_added_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { partitions: 0, ..Settings::default() };
    let late = [OUTPUT, COMPACTED];
    {
        let log = EmbeddedLog::open(folder.path(), world().0, settings.clone()).unwrap();
        log.apply(&late, 3, &[]).unwrap();
        append(&log, numbers(OUTPUT, 0..5));
    }
    let log = EmbeddedLog::open(folder.path(), world().0, settings).unwrap();
    log.apply(&Topic::all(), 2, &[]).unwrap();
    assert_eq!((log.partitions(OUTPUT), log.partitions(INPUT)), (Ok(3), Ok(2)));
    append(&log, numbers(INPUT, 0..2));
    assert_eq!(values(&log, OUTPUT), ["0", "1", "2", "3", "4"]);
}

#[test]
fn what_was_erased_is_in_no_file_after_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let (world, clock) = world();
    let log = on_disk(folder.path(), world.clone());
    append(&log, [record(COMPACTED, "a", "CANARY-KEPT"), record(COMPACTED, "b", "CANARY-ERASED")]);
    append(&log, [record(COMPACTED, "c", "CANARY-REPLACED"), record(INPUT, "d", "CANARY-OLD")]);
    // Not only in the journal and in memory: also where the store keeps what is old.
    log.compact(Scope::Everything).unwrap();
    append(&log, [record(COMPACTED, "c", "new"), tombstone(COMPACTED, "b")]);
    clock.set(world.now().plus(Duration::from_secs(86_400 * 8)));
    append(&log, [record(INPUT, "d", "CANARY-YOUNG")]);
    let member = log.join(&seat(0)).unwrap();
    commit_all(member);
    log.sweep(world.now()).unwrap();
    let erased = ["CANARY-ERASED", "CANARY-REPLACED", "CANARY-OLD"];
    for canary in erased {
        assert!(files_with(folder.path(), canary) > 0, "{canary} was never there to be found");
    }
    log.compact(Scope::Everything).unwrap();
    for canary in erased {
        assert_eq!(files_with(folder.path(), canary), 0, "{canary} can still be read");
    }
    for canary in ["CANARY-KEPT", "CANARY-YOUNG"] {
        assert!(files_with(folder.path(), canary) > 0, "{canary} is lost");
    }
    drop(log);
    let log = on_disk(folder.path(), world);
    assert_eq!(values(&log, COMPACTED), ["CANARY-KEPT", "new"]);
    assert_eq!(values(&log, INPUT), ["CANARY-YOUNG"]);
}

#[test]
fn what_compacted_topics_let_go_is_in_no_file_after_the_short_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let log = on_disk(folder.path(), world().0);
    let former =
        [record(COMPACTED, "a", "CANARY-ERASED"), record(COMPACTED, "b", "CANARY-REPLACED")];
    append(&log, former);
    // Some of it in files, some in the journal, among what is long and stays.
    log.compact(Scope::Compacted).unwrap();
    append(&log, numbers(INPUT, 0..2_000));
    append(&log, [record(COMPACTED, "c", "CANARY-YOUNG"), record(INPUT, "d", "CANARY-KEPT")]);
    append(&log, [tombstone(COMPACTED, "a"), record(COMPACTED, "b", "new")]);
    append(&log, [tombstone(COMPACTED, "c")]);
    let gone = ["CANARY-ERASED", "CANARY-REPLACED", "CANARY-YOUNG"];
    for canary in gone {
        assert!(files_with(folder.path(), canary) > 0, "{canary} was never there to be found");
    }
    log.compact(Scope::Compacted).unwrap();
    for canary in gone {
        assert_eq!(files_with(folder.path(), canary), 0, "{canary} can still be read");
    }
    assert!(files_with(folder.path(), "CANARY-KEPT") > 0);
    assert_eq!(values(&log, INPUT).len(), 2_001);
}

#[test]
fn when_the_last_compaction_began_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (world, clock) = world();
    let began = {
        let log = on_disk(folder.path(), world.clone());
        assert_eq!(log.compacted_at(), Ok(None));
        log.compact(Scope::Compacted).unwrap();
        world.now()
    };
    clock.set(began.plus(Duration::from_secs(3_600)));
    assert_eq!(on_disk(folder.path(), world).compacted_at(), Ok(Some(began)));
}

/// Lets the group pass everything, without outputs.
fn commit_all(mut member: Box<dyn Member>) {
    let offsets = copy_of(&poll(&mut member).records).offsets;
    member.commit(Transaction { outputs: vec![], offsets }).unwrap();
}

#[test]
fn callers_on_many_threads_share_commits_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = on_disk(folder.path(), world().0);
    std::thread::scope(|scope| {
        for thread in 0..8usize {
            let appender = log.appender().unwrap();
            scope.spawn(move || {
                for n in 0..25 {
                    let name = (thread * 25 + n).to_string();
                    let appended = appender.append(record(INPUT, &name, &name));
                    futures::executor::block_on(appended).unwrap();
                }
            });
        }
    });
    let records = read_all(&log, INPUT);
    assert_eq!(records.len(), 200);
    let mut names = values(&log, INPUT);
    names.dedup();
    assert_eq!(names.len(), 200);
    for partition in 0..2 {
        let here = records.iter().filter(|it| it.position.at.partition == partition);
        assert!(here.enumerate().all(|(n, it)| it.position.offset == n as u64));
    }
}

#[test]
fn a_log_stays_open_as_long_as_somebody_writes_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let appender = on_disk(folder.path(), world().0).appender().unwrap();
    futures::executor::block_on(appender.append(record(INPUT, "a", "a"))).unwrap();
    drop(appender);
    assert_eq!(values(&on_disk(folder.path(), world().0), INPUT), ["a"]);
}

const CHILD: &str = "STAFFETTA_LAW_OF_THE_KILL";

/// Appends and copies for ever, telling each number once it is acknowledged.
fn append_until_killed(folder: &Path) {
    let log = on_disk(folder, world().0);
    let mut member = log.join(&seat(0)).unwrap();
    for n in 0.. {
        append(&log, numbers(INPUT, n..n + 1));
        let records = poll(&mut member).records;
        member.commit(copy_of(&records)).unwrap();
        eprintln!("acknowledged {n}");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_nothing_is_copied_twice() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return append_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for kill in 0..3 {
        let law = "embedded::laws::disk::\
                   what_was_acknowledged_survives_a_kill_and_nothing_is_copied_twice";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", law, "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).filter(|line| line.starts_with("acknowledged"));
        acknowledged += told.take(20 + kill).count();
        child.kill().unwrap();
        child.wait().unwrap();

        let log = on_disk(folder.path(), world().0);
        let (inputs, copies) = (read_all(&log, INPUT).len(), read_all(&log, OUTPUT).len());
        assert!(copies >= acknowledged, "{copies} of {acknowledged} acknowledged");
        assert!(inputs >= copies, "{copies} copies of {inputs}");
        let mut member = log.join(&seat(0)).unwrap();
        let rest = poll(&mut member).records;
        assert_eq!(copies + rest.len(), inputs);
        member.commit(copy_of(&rest)).unwrap();
        acknowledged = inputs;
    }
}
