//! What the Helm chart says of the configuration.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tree::{Finding, Tree};

const DEFAULTS: &str = "pipeline/src/config/default.toml";
const SCHEMA: &str = "helm/values.schema.json";

/// The chart takes every key of the defaults, of the same type, and no other: one that is misspelt is
/// refused before anything is installed.
pub fn the_charts_configuration_equals_the_defaults(tree: &Tree) -> Vec<Finding> {
    let (Some(defaults), Some(chart)) = (tree.file(DEFAULTS), tree.file(SCHEMA)) else {
        let what = format!("{SCHEMA} or {DEFAULTS} is missing");
        return vec![Finding { path: SCHEMA.to_owned(), line: 0, what }];
    };
    let (Ok(table), Ok(schema)) =
        (defaults.text.parse::<toml::Table>(), serde_json::from_str::<Value>(&chart.text))
    else {
        return vec![chart.finding(0, "or the defaults cannot be read")];
    };
    let (mut wanted, mut found) = (BTreeMap::new(), BTreeMap::new());
    of_defaults("", &table, &mut wanted);
    let mut findings = Vec::new();
    let open = of_schema("config", &schema["properties"]["config"], &mut found);
    findings.extend(open.map(|key| chart.finding(0, format!("{key} takes keys that are none"))));
    let found: BTreeMap<_, _> = found
        .iter()
        .filter_map(|(key, kind)| Some((key.strip_prefix("config.")?, *kind)))
        .collect();
    for (key, kind) in &wanted {
        match found.get(key.as_str()) {
            Some(other) if other == kind => {}
            Some(other) => {
                findings.push(chart.finding(0, format!("{key} is {kind}, the chart says {other}")));
            }
            None => findings.push(chart.finding(0, format!("lacks {key}, {kind}"))),
        }
    }
    for key in found.keys().filter(|key| !wanted.contains_key(**key)) {
        findings.push(chart.finding(0, format!("has {key}, which is no key")));
    }
    findings
}

fn of_defaults(prefix: &str, table: &toml::Table, keys: &mut BTreeMap<String, &'static str>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let kind = match value {
            toml::Value::Table(inner) if !inner.is_empty() => {
                of_defaults(&key, inner, keys);
                continue;
            }
            toml::Value::Table(_) => "object",
            toml::Value::String(_) | toml::Value::Datetime(_) => "string",
            toml::Value::Integer(_) => "integer",
            toml::Value::Float(_) => "number",
            toml::Value::Boolean(_) => "boolean",
            toml::Value::Array(_) => "array",
        };
        keys.insert(key, kind);
    }
}

/// Answers a table that would take any key, if there is one.
fn of_schema<'a>(
    path: &str,
    schema: &'a Value,
    keys: &mut BTreeMap<String, &'a str>,
) -> Option<String> {
    let Some(properties) = schema["properties"].as_object() else {
        keys.insert(path.to_owned(), schema["type"].as_str().unwrap_or("of no type"));
        return None;
    };
    let mut open = (schema["additionalProperties"] != false).then(|| path.to_owned());
    for (name, inner) in properties {
        open = of_schema(&format!("{path}.{name}"), inner, keys).or(open);
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expected: &[&str]) {
        let defaults = (DEFAULTS, "[log]\nkind = \"x\"\npartitions = 8\nsecurity = {}");
        let schema = format!("{{\"properties\": {{\"config\": {schema}}}}}");
        let tree = Tree::planted(&[defaults, (SCHEMA, schema.as_str())]);
        let found = the_charts_configuration_equals_the_defaults(&tree);
        let whats: Vec<_> = found.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(whats, expected);
    }

    fn closed(properties: &str) -> String {
        format!("{{\"additionalProperties\": false, \"properties\": {{{properties}}}}}")
    }

    #[test]
    fn a_key_that_the_chart_lacks_misspells_or_types_wrongly_is_found() {
        let log = |inner: &str| closed(&format!("\"log\": {}", closed(inner)));
        let kind = "\"kind\": {\"type\": \"string\"}, \"security\": {\"type\": \"object\"}";
        check(&log(&format!("{kind}, \"partitions\": {{\"type\": \"integer\"}}")), &[]);
        check(&log(kind), &["lacks log.partitions, integer"]);
        check(
            &log(&format!("{kind}, \"partitions\": {{\"type\": \"string\"}}")),
            &["log.partitions is integer, the chart says string"],
        );
        let other = format!("{kind}, \"partitions\": {{\"type\": \"integer\"}}, \"x\": {{}}");
        check(&log(&other), &["has log.x, which is no key"]);
        let open = log(&format!("{kind}, \"partitions\": {{\"type\": \"integer\"}}"))
            .replacen("false", "true", 1);
        check(&open, &["config takes keys that are none"]);
    }
}
