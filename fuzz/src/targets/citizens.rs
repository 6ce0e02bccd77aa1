//! What apps send.

use producers::citizens::fuzzing;

use super::EXECUTOR;

/// As a profile, a preference and a device, each as far as the rules go.
pub fn body(bytes: &[u8]) {
    fuzzing::profile(bytes);
    fuzzing::preference(bytes);
    fuzzing::device(bytes);
}

/// No bearer of bytes that the issuer did not sign comes in.
pub fn bearer_token(bytes: &[u8]) {
    let let_in = EXECUTOR.block_on(fuzzing::is_let_in(bytes));
    assert!(!let_in, "a token that nobody signed");
}
