//! libFuzzer's program over one target, named by `STAFFETTA_FUZZ_TARGET`.
#![no_main]

use std::sync::LazyLock;

use fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("STAFFETTA_FUZZ_TARGET").unwrap_or_default();
    fuzz::target(&name).expect("`cargo xtask fuzz` names a target in STAFFETTA_FUZZ_TARGET")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
