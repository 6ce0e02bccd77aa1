//! The chart as a cluster would see it: three variants that must be whole, wrong values that must be
//! refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::tools::Tool;
use super::{chart, folder};
use crate::console::say;
use crate::process::{self, cargo};
use crate::readers::{self, CHARTS};
use crate::test::Tally;

/// The Kubernetes whose schemas are asked.
const KUBERNETES: &str = "1.37.0";

/// What these secrets of the variants may hold, for the check of the configuration.
const SECRETS: [(&str, &str); 2] = [
    ("STAFFETTA_DIRECTORY__REDIS_URL", "rediss://redis:6379"),
    ("STAFFETTA_LOG__SECURITY", "{\"security.protocol\" = \"sasl_ssl\"}"),
];

/// What `manifests.py` finds in a rendered chart.
#[derive(Deserialize)]
struct Found {
    configuration: String,
    stages: Vec<Vec<String>>,
}

pub fn variants() -> Result<Tally> {
    let mut tally = Tally::default();
    let schemas = schemas()?;
    let staffetta = staffetta()?;
    for values in files("variants")? {
        let outcome = variant(&values, &schemas, &staffetta);
        tally.add(verdict(&values, outcome.as_ref().map(|()| "valid")));
    }
    Ok(tally)
}

fn variant(values: &Path, schemas: &Path, staffetta: &Path) -> Result<()> {
    let mut lint = Tool::Helm.command()?;
    lint.args(["lint", "--strict", "--quiet", "--kube-version", KUBERNETES, "--values"])
        .arg(values);
    process::output(lint.arg(chart()))?;
    let rendered = folder()?.join(values.file_name().context("a file has a name")?);
    fs::write(&rendered, process::output(&mut template(&[values])?)?)?;
    process::output(conform(&rendered, schemas)?.arg(&rendered))?;
    let mut score = Tool::KubeScore.command()?;
    // An image named by its digest cannot change under its name.
    score.args(["score", "--output-format", "ci", "--kubernetes-version", "v1.37"]);
    score.args(["--ignore-test", "container-image-pull-policy"]);
    let said = score.arg(&rendered).output().context("cannot start kube-score")?;
    let said = String::from_utf8_lossy(&said.stdout);
    let critical: Vec<_> = said.lines().filter(|line| line.starts_with("[CRITICAL]")).collect();
    ensure!(critical.is_empty() && said.contains("[OK]"), "{}", critical.join("\n"));
    let mut manifests = Command::new(readers::python(&CHARTS)?);
    manifests.arg("-B").arg(readers::script("manifests.py")).arg("--scalers");
    manifests.arg(chart().join("schemas/keda.sh/scalers.json")).arg(&rendered);
    let found: Found = serde_json::from_str(&process::output(&mut manifests)?)?;
    started(&found, &rendered.with_extension("toml"), staffetta)
}

/// Whether every process would start on the configuration that it is given.
fn started(found: &Found, file: &Path, staffetta: &Path) -> Result<()> {
    fs::write(file, &found.configuration)?;
    ensure!(!found.stages.is_empty(), "no pod runs a stage");
    for stages in &found.stages {
        let mut check = Command::new(staffetta);
        check.arg("--config").arg(file).args(["config", "check"]);
        if !stages.is_empty() {
            check.arg(format!("--stages={}", stages.join(",")));
        }
        // On the embedded log there is no such secret, and the keys then count for nothing.
        process::output(check.envs(SECRETS))?;
    }
    Ok(())
}

/// Files with a line `# over:`, the variant that they spoil, and `# says:`, what must be said.
pub fn refusals() -> Result<Tally> {
    let mut tally = Tally::default();
    for values in files("refused")? {
        let outcome = refused(&values);
        tally.add(verdict(&values, outcome.as_ref().map(|()| "refused")));
    }
    Ok(tally)
}

fn refused(values: &Path) -> Result<()> {
    let text = fs::read_to_string(values)?;
    let word = |mark: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(mark)).map(str::trim);
        found.with_context(|| format!("lacks a line that begins with {mark:?}"))
    };
    let (over, says) = (word("# over: ")?, word("# says: ")?);
    let over = chart().join(format!("variants/{over}.yaml"));
    let answer = template(&[&over, values])?.output().context("cannot start helm")?;
    ensure!(!answer.status.success(), "was taken");
    let said = String::from_utf8_lossy(&answer.stderr);
    ensure!(said.contains(says), "was refused without saying {says:?}:\n{said}");
    Ok(())
}

fn template(values: &[&Path]) -> Result<Command> {
    let mut template = Tool::Helm.command()?;
    template.args(["template", "staffetta"]).arg(chart());
    template.args(["--namespace", "town", "--kube-version", KUBERNETES]);
    for file in values {
        template.arg("--values").arg(file);
    }
    Ok(template)
}

fn conform(rendered: &Path, schemas: &Path) -> Result<Command> {
    ensure!(rendered.is_file(), "{} was not rendered", rendered.display());
    let places = [
        schemas.join("{{ .NormalizedKubernetesVersion }}{{ .StrictSuffix }}/{{ .ResourceKind }}{{ .KindSuffix }}.json"),
        chart().join("schemas/{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"),
    ];
    let mut conform = Tool::Kubeconform.command()?;
    conform.args(["-strict", "-kubernetes-version", KUBERNETES]);
    for place in places {
        conform.arg("-schema-location").arg(place);
    }
    Ok(conform)
}

/// Kubernetes' own schemas, laid out once.
fn schemas() -> Result<PathBuf> {
    let place = folder()?.join(format!("kubernetes-{KUBERNETES}"));
    if !place.is_dir() {
        let partial = folder()?.join(format!("partial-{}", std::process::id()));
        let mut lay = Command::new(readers::python(&CHARTS)?);
        lay.arg("-B").arg(readers::script("k8s_schemas.py")).arg(&partial).arg(KUBERNETES);
        process::output(&mut lay)?;
        fs::rename(&partial, &place)?;
    }
    Ok(place)
}

/// The binary that the chart's image holds.
fn staffetta() -> Result<PathBuf> {
    let mut build = cargo();
    build.current_dir(process::workspace()).args(["build", "--quiet", "--locked"]);
    ensure!(
        process::run_in_front(build.args(["--package", "staffetta"]))?.success(),
        "staffetta does not build"
    );
    Ok(process::workspace().join("target/debug/staffetta"))
}

fn files(kind: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(chart().join(kind)).with_context(|| format!("helm/{kind}"))?;
    let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|it| it.path())).collect();
    files.sort();
    ensure!(!files.is_empty(), "helm/{kind} is empty");
    Ok(files)
}

fn verdict(values: &Path, outcome: Result<&str, &anyhow::Error>) -> Tally {
    let name = values.strip_prefix(process::workspace()).unwrap_or(values).display();
    match outcome {
        Ok(word) => say(format_args!("helm {name} ... {word}")),
        Err(error) => say(format_args!("helm {name} ... WRONG\n{error:#}")),
    }
    Tally::one(outcome.is_ok())
}
