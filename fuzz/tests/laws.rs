//! Unguided, and the same in every run: kept cases, and seeded mutations of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz::mutate::Mutator;
use fuzz::{TARGETS, Target, kept};

const SEED: u64 = 20_261_125;
/// Of each target; all of them together take some seconds.
const MUTATIONS: usize = 25_000;

fn cases(target: Target) -> Vec<(String, Vec<u8>)> {
    let cases = kept::cases(target).expect("a folder of kept cases");
    assert!(!cases.is_empty(), "{} has no kept case", target.name);
    cases
}

/// How the target takes `bytes`; a failure says how to keep them.
fn survives(target: Target, bytes: &[u8]) -> Result<(), String> {
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    let kept = kept::folder(target);
    ran.map_err(|_| {
        format!(
            "{}: keep \"{}\" as a case in {}",
            target.name,
            bytes.escape_ascii(),
            kept.display()
        )
    })
}

#[test]
fn every_kept_case_is_survived() {
    for target in TARGETS {
        for (name, bytes) in cases(target) {
            survives(target, &bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
    }
}

#[test]
fn mutations_of_kept_cases_are_survived() {
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(move || {
                let kept: Vec<_> = cases(target).into_iter().map(|(_, bytes)| bytes).collect();
                let mut mutator = Mutator::new(SEED, &kept, target.longest);
                for _ in 0..MUTATIONS {
                    survives(target, &mutator.draw()).unwrap_or_else(|why| panic!("{why}"));
                }
            });
        }
    });
}

#[test]
fn a_planted_fault_is_found() {
    let planted: [fn(&[u8]); 3] = [
        |bytes| assert!(!bytes.starts_with(b"{\"a\":-")),
        |bytes| assert!(!bytes.windows(2).any(|two| two == b"\xff}")),
        |bytes| assert!(bytes.len() != 3),
    ];
    let kept = [b"{\"a\":1,\"b\":[]}".to_vec()];
    for run in planted {
        let target = Target { name: "planted", run, longest: 100 };
        let mut mutator = Mutator::new(SEED, &kept, target.longest);
        let found = (0..MUTATIONS).any(|_| survives(target, &mutator.draw()).is_err());
        assert!(found);
    }
}
