//! A copy of the tracked files that touches nothing that is equal already.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Makes `to` hold what is tracked in `from`, as it lies there now, and nothing else.
pub fn tracked(from: &Path, to: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.current_dir(from).args(["ls-files", "-z"]);
    let listed = process::output(&mut git).context("the sources are no git repository")?;
    let files: BTreeSet<PathBuf> =
        listed.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    let mut kept = BTreeSet::new();
    for path in files {
        // Tracked and deleted meanwhile: gone there, gone here.
        let Ok(bytes) = std::fs::read(from.join(&path)) else { continue };
        put(&to.join(&path), &bytes)?;
        kept.insert(path);
    }
    remove_others(to, to, &kept)
}

fn put(file: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(file).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    std::fs::write(file, bytes).with_context(|| format!("{}", file.display()))
}

fn remove_others(root: &Path, folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        let inside = path.strip_prefix(root).unwrap_or(&path);
        if path.is_dir() {
            remove_others(root, &path, kept)?;
        } else if !kept.contains(inside) {
            std::fs::remove_file(&path).with_context(|| format!("{}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_keeps_its_age_and_what_is_not_listed_goes() {
        let root = tempfile::tempdir().unwrap();
        let (kept, stray) = (root.path().join("a/kept"), root.path().join("a/stray"));
        put(&kept, b"x").unwrap();
        put(&stray, b"y").unwrap();
        let age = |file: &Path| file.metadata().unwrap().modified().unwrap();
        let before = age(&kept);
        put(&kept, b"x").unwrap();
        assert_eq!(age(&kept), before);
        remove_others(root.path(), root.path(), &[PathBuf::from("a/kept")].into()).unwrap();
        assert_eq!((kept.exists(), stray.exists()), (true, false));
    }
}
