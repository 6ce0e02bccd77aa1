//! Alerts and dashboards, as Prometheus reads them.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{chart, folder};
use crate::console::say;
use crate::packages::{self, Need};
use crate::process;
use crate::test::Tally;

/// Rules that parse, incidents in which exactly the right alert fires, queries that parse.
pub fn check() -> Result<Tally> {
    packages::ensure(&[Need::Prometheus])?;
    let mut tally = Tally::default();
    for (what, outcome) in [
        ("rules that parse", rules()),
        ("incidents in which one alert fires, and clears", incidents()),
        ("dashboards whose queries parse", dashboards()),
    ] {
        match &outcome {
            Ok(()) => say(format_args!("helm {what} ... ok")),
            Err(error) => say(format_args!("helm {what} ... WRONG\n{error:#}")),
        }
        tally.add(Tally::one(outcome.is_ok()));
    }
    Ok(tally)
}

fn promtool(arguments: &[&str], file: &std::path::Path) -> Result<()> {
    let program = process::find("promtool").context("promtool was here a moment ago")?;
    let mut promtool = Command::new(program);
    let answer = promtool.args(arguments).arg(file).output().context("cannot start promtool")?;
    let said = [answer.stdout, answer.stderr].concat();
    ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

fn rules() -> Result<()> {
    promtool(&["check", "rules"], &chart().join("rules/staffetta.yaml"))
}

fn incidents() -> Result<()> {
    promtool(&["test", "rules"], &chart().join("rules/staffetta_test.yaml"))
}

/// As rules, which promtool parses; Grafana's variables stand for a time or for any text.
fn dashboards() -> Result<()> {
    let mut rules = Vec::new();
    for entry in fs::read_dir(chart().join("dashboards"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let board: Value =
            serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
        let before = rules.len();
        gather(&board, &mut rules);
        ensure!(rules.len() > before, "{} asks for nothing", path.display());
    }
    ensure!(!rules.is_empty(), "there is no dashboard");
    let file = folder()?.join("dashboards.json");
    let groups = json!({ "groups": [{ "name": "dashboards", "rules": rules }] });
    fs::write(&file, serde_json::to_string(&groups)?)?;
    promtool(&["check", "rules"], &file)
}

fn gather(value: &Value, rules: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            if let Some(query) = fields.get("expr").and_then(Value::as_str) {
                let query = query.replace("$__rate_interval", "5m").replace('$', "");
                let name = format!("dashboard:query_{}", rules.len());
                rules.push(json!({ "record": name, "expr": query }));
            }
            fields.values().for_each(|value| gather(value, rules));
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, rules)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
