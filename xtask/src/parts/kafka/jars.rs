//! Kafka's jars: fetched once by Maven, accepted only with the pinned checksums.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::VERSION;
use crate::console::Waiting;
use crate::packages::{self, Need};
use crate::parts::place;
use crate::process;

const POM: &str = include_str!("../../../kafka.pom.xml");
/// The output of `sha256sum *.jar`, in the folder that the POM above fills.
const PINNED: &str = include_str!("../../../kafka.sha256");

/// The folder with the jars, each one checked now.
pub fn ready() -> Result<PathBuf> {
    let folder = place::cache().join(format!("kafka-{VERSION}"));
    if folder.is_dir() {
        check(&folder, &pinned(PINNED)?)
            .with_context(|| format!("remove {} to fetch it again", folder.display()))?;
        return Ok(folder);
    }
    packages::ensure(&[Need::Maven])?;
    fetch(&folder)?;
    Ok(folder)
}

/// Into a folder beside the right one, renamed when every sum agrees: a cut fetch leaves nothing
/// that looks whole.
fn fetch(folder: &Path) -> Result<()> {
    let partial = folder.with_extension(format!("partial-{}", std::process::id()));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    let pom = partial.join("pom.xml");
    fs::write(&pom, POM).with_context(|| format!("cannot write {}", pom.display()))?;
    let jars = partial.join("jars");
    let waiting = Waiting::on(format!("fetching Apache Kafka {VERSION} with mvn"));
    let fetched = process::output(
        Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(&pom)
            .arg("dependency:copy-dependencies")
            .args(["-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", jars.display())),
    );
    let checked = fetched.and_then(|_| check(&jars, &pinned(PINNED)?));
    let kept = checked.and_then(|()| {
        fs::rename(&jars, folder).with_context(|| format!("cannot make {}", folder.display()))
    });
    let _ = fs::remove_dir_all(&partial);
    waiting.done(if kept.is_ok() { "fetched and checked" } else { "failed" });
    kept
}

fn pinned(text: &str) -> Result<BTreeMap<&str, &str>> {
    text.lines()
        .map(|line| line.split_once("  ").map(|(sum, name)| (name, sum)))
        .collect::<Option<_>>()
        .context("kafka.sha256 is not in the form of sha256sum")
}

/// Every pinned jar is there with its sum, and no other jar: all of them end on the class path.
fn check(folder: &Path, pinned: &BTreeMap<&str, &str>) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, sum) in pinned {
        match fs::read(folder.join(name)) {
            Ok(bytes) if hex::encode(Sha256::digest(&bytes)) == **sum => {}
            Ok(_) => wrong.push(format!("{name} has another checksum")),
            Err(_) => wrong.push(format!("{name} is missing")),
        }
    }
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !pinned.contains_key(name.as_str()) {
            wrong.push(format!("{name} is not pinned"));
        }
    }
    if !wrong.is_empty() {
        bail!("Kafka's jars are not the pinned ones: {}", wrong.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn check_with(files: &[(&str, &str)]) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        check(folder.path(), &BTreeMap::from([("a.jar", SUM_OF_ABC)]))
    }

    #[test]
    fn only_the_pinned_jars_pass() {
        check_with(&[("a.jar", "abc")]).unwrap();
        assert!(check_with(&[]).is_err());
        assert!(check_with(&[("a.jar", "abd")]).is_err());
        assert!(check_with(&[("a.jar", "abc"), ("b.jar", "abc")]).is_err());
    }

    #[test]
    fn every_line_of_the_pinned_list_is_a_sum_and_a_jar() {
        let pinned = pinned(PINNED).unwrap();
        assert_eq!(pinned.len(), PINNED.lines().count());
        for (name, sum) in pinned {
            assert!(name.ends_with(".jar"), "{name}");
            assert_eq!(hex::decode(sum).unwrap().len(), 32, "{name}");
        }
    }

    #[test]
    fn the_pinned_server_is_of_the_version_that_is_printed() {
        assert!(PINNED.contains(&format!("  kafka_2.13-{VERSION}.jar\n")));
        assert!(POM.contains(&format!("<artifactId>kafka_2.13</artifactId><version>{VERSION}<")));
    }
}
