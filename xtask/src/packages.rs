//! What the machine must offer beyond Rust, as Debian packages: looked for, installed where that is
//! allowed, named precisely where it is not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::console;
use crate::process;

/// One thing that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    PkgConfig,
    Zlib,
    OpenSsl,
    Java,
    Maven,
    Redis,
    Postfix,
    OpenSslTool,
    Python,
    Prometheus,
    /// For C++: libFuzzer's.
    Compiler,
}

/// What the workspace needs to be built: librdkafka is compiled with compression and TLS.
pub const BUILD: [Need; 3] = [Need::PkgConfig, Need::Zlib, Need::OpenSsl];

impl Need {
    #[must_use]
    pub fn package(self) -> &'static str {
        match self {
            Self::PkgConfig => "pkg-config",
            Self::Zlib => "zlib1g-dev",
            Self::OpenSsl => "libssl-dev",
            Self::Java => "openjdk-17-jre-headless",
            Self::Maven => "maven",
            Self::Redis => "redis-server",
            Self::Postfix => "postfix",
            Self::OpenSslTool => "openssl",
            Self::Python => "python3-venv",
            Self::Prometheus => "prometheus",
            Self::Compiler => "g++",
        }
    }

    fn is_here(self) -> bool {
        match self {
            Self::PkgConfig => process::find("pkg-config").is_some(),
            Self::Zlib => Path::new("/usr/include/zlib.h").is_file(),
            Self::OpenSsl => Path::new("/usr/include/openssl/ssl.h").is_file(),
            Self::Java => java_is_new_enough(),
            Self::Maven => process::find("mvn").is_some(),
            Self::Redis => process::find("redis-server").is_some(),
            Self::Postfix => process::find("postfix").is_some(),
            Self::OpenSslTool => process::find("openssl").is_some(),
            Self::Python => python().is_some(),
            Self::Prometheus => process::find("promtool").is_some(),
            Self::Compiler => process::find("c++").is_some(),
        }
    }
}

/// Kafka's server runs on Java 17 or newer.
fn java_is_new_enough() -> bool {
    let Ok(out) = Command::new("java").arg("-version").output() else { return false };
    java_major(&String::from_utf8_lossy(&out.stderr)).is_some_and(|major| major >= 17)
}

/// A Python of a version that the readers are pinned for, able to make an environment: Debian keeps
/// that part in a package of its own.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let able = "import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))";
    let places = process::find("python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    places.into_iter().find(|python| {
        let asked = Command::new(python).args(["-c", able]).output();
        asked.is_ok_and(|answer| answer.status.success())
    })
}

fn java_major(said: &str) -> Option<u32> {
    let version = said.split('"').nth(1)?;
    version.split(['.', '-', '+']).next()?.parse().ok()
}

/// Everything named is here afterwards, or the error says what is missing and what to type.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|need| need.package()).collect::<Vec<_>>().join(" ");
    let by_hand = format!("apt-get install -y --no-install-recommends {names}");
    if process::find("apt-get").is_none() {
        bail!("missing: {names} (the Debian names); install them with this system's own tools");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("missing: {names}\nrun: sudo {by_hand}");
    }
    console::note(format_args!("installing {names}"));
    install(&missing)?;
    let still = self::missing(needs);
    if !still.is_empty() {
        bail!("apt-get installed {names}, yet {still:?} cannot be found; try: {by_hand}");
    }
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| !need.is_here()).collect()
}

fn install(missing: &[Need]) -> Result<()> {
    if missing.contains(&Need::Postfix) {
        // Else the package's own answer makes a mail server of this machine.
        let answer = "postfix postfix/main_mailer_type select No configuration";
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo \"$0\" | debconf-set-selections", answer]);
        process::output(&mut shell)?;
    }
    apt_get(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(missing.iter().map(|need| need.package()));
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdout(std::io::stderr()); // the answer's own channel stays clean
    let status = process::run_in_front(&mut command)?;
    if !status.success() {
        bail!("apt-get {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_version_is_read_in_every_spelling() {
        assert_eq!(java_major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(java_major("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(java_major("java version \"1.8.0_392\""), Some(1));
        assert_eq!(java_major("openjdk version \"26-ea\""), Some(26));
        assert_eq!(java_major("no java here"), None);
    }
}
