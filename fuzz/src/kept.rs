//! The kept cases: one file each, below `corpus/<target>/`.

use std::io;
use std::path::PathBuf;

use crate::Target;

/// Where the cases of a target lie.
#[must_use]
pub fn folder(target: Target) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", target.name].iter().collect()
}

/// Every case, by its name, in order of names.
///
/// # Errors
/// The folder cannot be read.
pub fn cases(target: Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder(target))? {
        let entry = entry?;
        cases
            .push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?));
    }
    cases.sort();
    Ok(cases)
}
