//! Configuration: one commented default compiled in, a file over it, the environment over both.
//!
//! All of it is checked before any port opens. A fault names the key, what is wrong and the fix.

mod environment;
mod roles;
mod settings;

use std::path::Path;

pub use roles::uses_directory;
pub use settings::{
    CitizenApiSettings, DirectoryKind, DirectorySettings, LogKind, LogSettings, Settings,
};

/// The manual: every key with its default and what it is for.
pub const DEFAULTS: &str = include_str!("default.toml");

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong:\n{}", .0.iter().map(|f| format!("  - {f}")).collect::<Vec<_>>().join("\n"))]
pub struct BadConfig(pub Vec<String>);

/// Defaults, then `file` if given, then `variables` (name, value) that begin with `STAFFETTA_`.
///
/// # Errors
/// [`BadConfig`] with every fault found.
pub fn load(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Settings, BadConfig> {
    let mut table = DEFAULTS.parse::<toml::Table>().map_err(|e| bad(format!("defaults: {e}")))?;
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|e| bad(format!("{}: {e}; name a readable file", path.display())))?;
        let over =
            text.parse::<toml::Table>().map_err(|e| bad(format!("{}: {e}", path.display())))?;
        let mut faults = Vec::new();
        merge(&mut table, over, "", &mut faults);
        if !faults.is_empty() {
            return Err(BadConfig(faults));
        }
    }
    environment::apply(&mut table, variables)?;
    let settings: Settings = table.try_into().map_err(|e: toml::de::Error| bad(e.to_string()))?;
    let faults = settings.faults();
    if faults.is_empty() { Ok(settings) } else { Err(BadConfig(faults)) }
}

fn bad(fault: String) -> BadConfig {
    BadConfig(vec![fault.trim().to_owned()])
}

fn merge(base: &mut toml::Table, over: toml::Table, path: &str, faults: &mut Vec<String>) {
    for (key, value) in over {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (base.get_mut(&key), value) {
            // An empty table of the defaults takes any names: what stands in it is not ours to know.
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) if !inner.is_empty() => {
                merge(inner, value, &name, faults);
            }
            (Some(slot), value) => *slot = value,
            (None, _) => {
                faults
                    .push(format!("{name}: no such key; see `staffetta config show` for all keys"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: Result<(), &str>) {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        match (load(None, variables), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (Ok(_), Err(part)) => panic!("expected a fault that says {part}"),
            (Err(error), Ok(())) => panic!("{error}"),
        }
    }

    #[test]
    fn the_defaults_are_a_valid_configuration() {
        check(&[], Ok(()));
    }

    #[test]
    fn the_environment_sets_any_key_by_its_own_type() {
        check(&[("STAFFETTA_TIME_SCALE", "1.0"), ("STAFFETTA_LOG__PARTITIONS", "3")], Ok(()));
        check(&[("STAFFETTA_LOG__PARTITIONS", "many")], Err("STAFFETTA_LOG__PARTITIONS"));
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_fix() {
        check(&[("STAFFETTA_LOG__PARTITION", "3")], Err("no such key"));
    }

    #[test]
    fn a_file_fills_the_tables_that_take_any_name_and_no_other() {
        let bed = tempfile::tempdir().unwrap();
        let file = bed.path().join("staffetta.toml");
        let loaded = |text: &str| {
            std::fs::write(&file, text).unwrap();
            load(Some(&file), std::iter::empty())
        };
        let filled =
            "log.security.\"security.protocol\" = \"ssl\"\nregistry_ids = {a = 7, b = [7, 9]}";
        let settings = loaded(filled).unwrap();
        assert_eq!(settings.log.security["security.protocol"], "ssl");
        assert_eq!(settings.registry_ids["a"], 7.into());
        assert_eq!(settings.registry_ids["b"], vec![7, 9].into());
        let refused = loaded("log.\"security.protocol\" = \"ssl\"").unwrap_err().to_string();
        assert!(refused.contains("log.security.protocol: no such key"), "{refused}");
    }

    #[test]
    fn a_shortened_time_is_refused_with_real_providers() {
        let faults = [("STAFFETTA_TIME_SCALE", "60.0"), ("STAFFETTA_APNS__ENABLED", "true")];
        check(&faults, Err("time_scale"));
    }
}
