//! `STAFFETTA_SECTION__KEY=value`: every key, by the type that its default has.

use super::{BadConfig, bad};

const PREFIX: &str = "STAFFETTA_";
/// Not configuration: these belong to the test suite.
const TESTS: &str = "STAFFETTA_TEST_";
/// Not configuration either: the file that holds it, a folder of `xtask`, and what `send` is let in with.
const OTHERS: [&str; 3] = ["config", "cache", "api_key"];

pub(super) fn apply(
    table: &mut toml::Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), BadConfig> {
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX).filter(|_| !name.starts_with(TESTS)) else {
            continue;
        };
        let path = path.to_lowercase();
        if OTHERS.contains(&path.as_str()) {
            continue;
        }
        let mut slot: Option<&mut toml::Value> = None;
        for part in path.split("__") {
            slot = match slot {
                None => table.get_mut(part),
                Some(toml::Value::Table(inner)) => inner.get_mut(part),
                Some(_) => None,
            };
            if slot.is_none() {
                return Err(bad(format!(
                    "{name}: no such key; sections and keys are joined by two underscores, see \
                     `staffetta config show`"
                )));
            }
        }
        if let Some(slot) = slot {
            *slot = read(&name, &value, slot)?;
        }
    }
    Ok(())
}

fn read(name: &str, value: &str, like: &toml::Value) -> Result<toml::Value, BadConfig> {
    let wrong = |kind: &str| bad(format!("{name}: {value:?} is not {kind}"));
    Ok(match like {
        toml::Value::String(_) => toml::Value::String(value.to_owned()),
        toml::Value::Integer(_) => {
            toml::Value::Integer(value.parse().map_err(|_| wrong("a whole number"))?)
        }
        toml::Value::Float(_) => toml::Value::Float(value.parse().map_err(|_| wrong("a number"))?),
        toml::Value::Boolean(_) => {
            toml::Value::Boolean(value.parse().map_err(|_| wrong("true or false"))?)
        }
        toml::Value::Array(_) | toml::Value::Table(_) | toml::Value::Datetime(_) => {
            let line = format!("value = {value}");
            let mut parsed: toml::Table = line.parse().map_err(|_| wrong("a TOML value"))?;
            parsed.remove("value").ok_or_else(|| wrong("a TOML value"))?
        }
    })
}
