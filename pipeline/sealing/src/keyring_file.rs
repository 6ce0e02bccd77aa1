//! The keyring as a file: created, read and rotated so that a crash at any point leaves a whole one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use schemas::ids::Timestamp;
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::key_id::KeyId;
use crate::keyring::{BadKeyring, Document, Keyring};

/// Why there is no keyring, and what to do. Never shows a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// No file there.
    #[error("there is no keyring at {0}: create one, or set the right path")]
    Absent(PathBuf),
    /// Creation never overwrites.
    #[error("{0} exists already: a keyring is never overwritten; move it away or use it")]
    Exists(PathBuf),
    /// Its mode lets others than its owner in.
    #[error(
        "{path} may be read by others (mode {mode:03o}): run chmod 600 on it, or, where root owns it \
         and this process reads it by its group, chmod 440"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else is changing it, or died while doing so.
    #[error("{0} exists: a change is under way, or one was interrupted; then remove that file")]
    Busy(PathBuf),
    /// A master key was added since the caller looked.
    #[error("{0} has got another master key meanwhile: begin again")]
    Changed(PathBuf),
    /// It is not a keyring.
    #[error("{path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: BadKeyring,
    },
    /// The system refused.
    #[error("{path}: {source}: check that the folder exists, its rights and the free space")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// Far more than ten thousand master keys.
const MAX_FILE_LEN: u64 = 4 << 20;
const OTHERS: u32 = 0o077;
const ROOT: u32 = 0;

impl Keyring {
    /// Writes a new keyring of mode 0600. The folder must exist.
    ///
    /// # Errors
    /// `Exists`, `Busy`, `Io`.
    pub fn create(
        path: &Path,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let document = Document::generate(entropy, now);
        let draft = Draft::write(path, &document)?;
        // A link, unlike a rename, fails when the name is taken.
        if let Err(error) = fs::hard_link(&draft.path, path) {
            let taken = error.kind() == io::ErrorKind::AlreadyExists;
            let exists = || KeyringError::Exists(path.to_owned());
            return Err(if taken { exists() } else { io_error(path, error) });
        }
        drop(draft);
        sync_folder(path)?;
        Ok(Self::from_document(&document))
    }

    /// Reads a keyring.
    ///
    /// # Errors
    /// `Absent`, `Exposed`, `Malformed`, `Io`.
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        read(path).map(|document| Self::from_document(&document))
    }

    /// Reads the keyring, or writes a new one where there is none: for installations that hold
    /// everything in one folder. Elsewhere a missing keyring is an alarm, not an occasion.
    ///
    /// # Errors
    /// As [`Keyring::load`] and [`Keyring::create`].
    pub fn load_or_create(
        path: &Path,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        match Self::load(path) {
            Err(KeyringError::Absent(_)) => {}
            loaded => return loaded,
        }
        match Self::create(path, entropy, now) {
            // Another process was faster; its keyring is whole, for it appears by a link.
            Err(KeyringError::Exists(_)) => Self::load(path),
            created => created,
        }
    }

    /// Adds a master key and replaces the file in one step; returns the new key's id. Every process
    /// must load the keyring again before one of them wraps by it; then citizen keys are re-wrapped
    /// ([`crate::MasterKeys::is_outdated`]).
    ///
    /// # Errors
    /// `Absent`, `Exposed`, `Busy`, `Malformed`, `Io`; the old file then stands as it was.
    pub fn rotate_master(
        path: &Path,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<KeyId, KeyringError> {
        change(path, |document| Ok(document.rotate(entropy, now)))
    }
}

impl Keyring {
    /// Drops all master keys but `newest`, for ever; says how many. The caller has seen that nothing
    /// which is still needed is wrapped by them, and that every process wraps by `newest`.
    ///
    /// # Errors
    /// `Changed`: `newest` is not the newest any more. As [`Keyring::rotate_master`].
    pub fn drop_older_masters(path: &Path, newest: KeyId) -> Result<usize, KeyringError> {
        change(path, |document| {
            if document.newest() != Some(newest) {
                return Err(KeyringError::Changed(path.to_owned()));
            }
            Ok(document.drop_older())
        })
    }
}

/// Reads the document, changes it and puts it in the file's place in one step.
fn change<T>(
    path: &Path,
    change: impl FnOnce(&mut Document) -> Result<T, KeyringError>,
) -> Result<T, KeyringError> {
    // The draft is also the lock, so it is taken before the file is read.
    let mut draft = Draft::take(path)?;
    let mut document = read(path)?;
    let changed = change(&mut document)?;
    draft.fill(&document)?;
    fs::rename(&draft.path, path).map_err(|error| io_error(path, error))?;
    draft.renamed = true;
    sync_folder(path)?;
    Ok(changed)
}

/// The file to be, beside the file that is. Removed when dropped, unless it was renamed.
struct Draft {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Draft {
    fn take(target: &Path) -> Result<Self, KeyringError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".new");
        let path = PathBuf::from(name);
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self { path, file, renamed: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeyringError::Busy(path))
            }
            Err(error) => Err(io_error(&path, error)),
        }
    }

    fn fill(&mut self, document: &Document) -> Result<(), KeyringError> {
        let written = self.file.write_all(&document.to_json());
        written.and_then(|()| self.file.sync_all()).map_err(|error| io_error(&self.path, error))
    }

    fn write(target: &Path, document: &Document) -> Result<Self, KeyringError> {
        let mut draft = Self::take(target)?;
        draft.fill(document)?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.renamed {
            // Failing leaves a file that the next change names in its error.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn read(path: &Path) -> Result<Document, KeyringError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KeyringError::Absent(path.to_owned()));
        }
        Err(error) => return Err(io_error(path, error)),
    };
    // Of the open file, not of the name: the name may change hands in between.
    let about = file.metadata().map_err(|error| io_error(path, error))?;
    let mode = about.mode() & 0o777;
    if is_exposed(mode, about.uid(), nix::unistd::geteuid().as_raw()) {
        return Err(KeyringError::Exposed { path: path.to_owned(), mode });
    }
    let mut json = Zeroizing::new(Vec::with_capacity(4096));
    file.take(MAX_FILE_LEN).read_to_end(&mut json).map_err(|error| io_error(path, error))?;
    Document::from_json(&json)
        .map_err(|source| KeyringError::Malformed { path: path.to_owned(), source })
}

/// Whether somebody besides `owner` and the reader `me` (user ids) may get at it. What root holds for
/// us is ours by its group alone: so Kubernetes hands a Secret to a process that is not root, with
/// `fsGroup` and mode 0440. A group that may write is never believed.
fn is_exposed(mode: u32, owner: u32, me: u32) -> bool {
    let held_for_us = owner == ROOT && me != ROOT;
    let others = if held_for_us { OTHERS & !0o040 } else { OTHERS };
    mode & others != 0
}

fn sync_folder(path: &Path) -> Result<(), KeyringError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| io_error(path, error))
}

fn io_error(path: &Path, source: io::Error) -> KeyringError {
    KeyringError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_reads_only_what_root_holds_for_it() {
        let (us, them) = (65_532, 1_000);
        for (mode, owner, me, exposed) in [
            (0o600, us, us, false),
            (0o400, us, us, false),
            (0o440, us, us, true),
            (0o440, ROOT, us, false),
            (0o640, ROOT, us, false),
            (0o440, ROOT, ROOT, true),
            (0o440, them, us, true),
            (0o460, ROOT, us, true),
            (0o450, ROOT, us, true),
            (0o444, ROOT, us, true),
            (0o442, ROOT, us, true),
        ] {
            assert_eq!(is_exposed(mode, owner, me), exposed, "{mode:03o} of {owner} read by {me}");
        }
    }
}
