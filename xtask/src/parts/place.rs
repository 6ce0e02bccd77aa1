//! Where things lie on this machine.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::running;
use crate::process;

/// The folder of one server.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
    /// The folder goes with the command that made it.
    passing: bool,
}

impl Place {
    /// A server that outlives the command: `.staffetta/<what>`.
    #[must_use]
    pub fn standing(what: &str) -> Self {
        Self { folder: state().join(what), passing: false }
    }

    /// A server that ends with this command: `.staffetta/run/<process id>/<what>`, so that two
    /// commands at once never meet.
    #[must_use]
    pub fn passing(what: &str) -> Self {
        let own = std::process::id().to_string();
        Self { folder: state().join("run").join(own).join(what), passing: true }
    }

    /// As [`Place::passing`], in the machine's temporary folder: for a server whose own users must
    /// reach it, wherever this checkout lies.
    #[must_use]
    pub fn passing_for_all(what: &str) -> Self {
        let own = format!("staffetta-{}", std::process::id());
        Self { folder: std::env::temp_dir().join(own).join(what), passing: true }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty folder, open to its owner only.
    pub fn prepare(&self) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        self.remove()?;
        if let Some(parent) = self.folder.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))
    }

    /// Removes the folder of a passing server; a standing one keeps its data until the next start.
    pub fn leave(&self) {
        if self.passing {
            let _ = self.remove();
            if let Some(parent) = self.folder.parent() {
                let _ = fs::remove_dir(parent); // stays while a sibling is in it
            }
        }
    }

    fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot empty {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }
}

fn state() -> PathBuf {
    process::workspace().join(".staffetta")
}

/// What is fetched once and kept: `$STAFFETTA_CACHE`, or `.staffetta/cache`.
#[must_use]
pub fn cache() -> PathBuf {
    std::env::var_os("STAFFETTA_CACHE").map_or_else(|| state().join("cache"), PathBuf::from)
}

/// Ends what a killed command has left running, and removes its folders.
pub fn sweep() -> Result<()> {
    let Ok(entries) = fs::read_dir(state().join("run")) else { return Ok(()) };
    for entry in entries.flatten() {
        let owner = entry.file_name().to_string_lossy().parse::<u32>();
        let lives = owner.is_ok_and(|pid| process::is_alive(pid, OsStr::new("xtask")));
        if lives {
            continue;
        }
        for part in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            running::stop_recorded(&part.path())?;
        }
        let _ = fs::remove_dir_all(entry.path());
    }
    Ok(())
}
