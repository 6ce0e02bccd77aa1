//! What operators watch: metrics, alerts, dashboards and runbooks speak of one another and of the code.

use std::collections::BTreeSet;

use serde_json::Value;

use super::tree::{File, Finding, Tree};

const RULES: &str = "helm/rules/staffetta.yaml";
const TESTS: &str = "helm/rules/staffetta_test.yaml";
const DASHBOARDS: &str = "helm/dashboards/";
const RUNBOOKS: &str = "helm/runbooks/";
const README: &str = "README.md";
/// What Prometheus itself says of a target.
const OF_PROMETHEUS: &str = "up";

/// Every metric in an alert or on a dashboard is one that the binary exports, or recorded from them.
pub fn what_is_watched_is_exported(tree: &Tree) -> Vec<Finding> {
    let mut known = exported(tree);
    let rules = tree.file(RULES);
    let recorded = rules.iter().flat_map(|file| file.text.lines());
    known.extend(
        recorded.filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned),
    );
    known.insert(OF_PROMETHEUS.to_owned());
    let mut findings = Vec::new();
    let dashboards = tree.files.iter().filter(|file| file.path.starts_with(DASHBOARDS));
    for file in rules.into_iter().chain(dashboards) {
        let queries =
            if file.path == RULES { of_rules(&file.text) } else { of_dashboard(&file.text) };
        if queries.is_empty() {
            findings.push(file.finding(0, "holds no query"));
        }
        for name in queries.iter().flat_map(|query| metrics(query)) {
            let plain = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            if !known.contains(&name) && !plain.is_some_and(|plain| known.contains(plain)) {
                findings.push(file.finding(0, format!("asks for {name}, which nobody exports")));
            }
        }
    }
    findings
}

/// The README's table of metrics is the catalogue.
pub fn exported_metrics_equal_the_table(tree: &Tree) -> Vec<Finding> {
    let exported = exported(tree);
    let Some(readme) = tree.file(README) else { return Vec::new() };
    let section = readme.text.split("\n## Metrics\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let rows: BTreeSet<String> = rows.map(str::to_owned).collect();
    let absent = exported.difference(&rows).map(|name| readme.finding(0, format!("lacks {name}")));
    let unknown = rows.difference(&exported);
    let unknown =
        unknown.map(|name| readme.finding(0, format!("names {name}, which nobody exports")));
    let mut findings: Vec<Finding> = absent.chain(unknown).collect();
    if exported.is_empty() {
        findings.push(readme.finding(0, "no CATALOGUE of a metrics.rs names a metric"));
    }
    findings
}

/// Each alert has a page that bears its name and a test that expects it; each page has its alert.
pub fn an_alert_has_a_page_and_a_test(tree: &Tree) -> Vec<Finding> {
    let (Some(rules), Some(tests)) = (tree.file(RULES), tree.file(TESTS)) else {
        let what = format!("{RULES} or {TESTS} is missing");
        return vec![Finding { path: RULES.to_owned(), line: 0, what }];
    };
    let mut findings = Vec::new();
    let mut pages = BTreeSet::new();
    for alert in rules.text.split("- alert: ").skip(1) {
        let name = alert.lines().next().unwrap_or_default().trim();
        let page =
            alert.lines().find_map(|line| line.trim().strip_prefix("runbook_url: RUNBOOKS/"));
        let page = format!("{RUNBOOKS}{}", page.unwrap_or_default());
        let titled =
            tree.file(&page).is_some_and(|file| file.text.starts_with(&format!("# {name}\n")));
        if !titled {
            findings
                .push(rules.finding(0, format!("{name} has no page {page} that bears its name")));
        }
        if !tests.text.contains(&format!("alertname=\"{name}\"")) {
            findings.push(tests.finding(0, format!("never expects {name}")));
        }
        pages.insert(page);
    }
    let is_page = |file: &&File| {
        file.path.starts_with(RUNBOOKS)
            && file.path.ends_with(".md")
            && !file.path.ends_with(README)
    };
    for file in tree.files.iter().filter(is_page).filter(|file| !pages.contains(&file.path)) {
        findings.push(file.finding(0, "no alert leads to this page"));
    }
    if pages.is_empty() {
        findings.push(rules.finding(0, "holds no alert"));
    }
    findings
}

/// The names that the catalogues of all files `metrics.rs` begin their rows with.
fn exported(tree: &Tree) -> BTreeSet<String> {
    let files = tree.rust().filter(|file| file.path.ends_with("metrics.rs"));
    let rows =
        files.filter_map(|file| file.text.split("const CATALOGUE").nth(1)?.split("];").next());
    let mut names = BTreeSet::new();
    for rows in rows {
        for row in rows.split('(').skip(1) {
            let name = row.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

/// `expr:` of a rules file, on its line or folded below it.
fn of_rules(text: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut queries: Vec<String> = Vec::new();
    let mut below = None;
    for line in text.lines() {
        if let (Some(depth), Some(query)) = (below, queries.last_mut())
            && indent(line) > depth
        {
            query.push_str(line);
            continue;
        }
        below = None;
        if let Some(query) = line.trim().strip_prefix("expr: ") {
            let folded = query == ">-";
            below = folded.then(|| indent(line));
            queries.push(if folded { String::new() } else { query.to_owned() });
        }
    }
    queries
}

/// Every `expr` of a dashboard.
fn of_dashboard(text: &str) -> Vec<String> {
    fn walk(value: &Value, queries: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                queries.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| walk(value, queries));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, queries)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut queries = Vec::new();
    walk(&serde_json::from_str(text).unwrap_or_default(), &mut queries);
    queries
}

/// The metrics that a query asks for: its words that are no function, no label and no keyword.
fn metrics(query: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "Inf"];
    const OVER_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    let bare = without(&without(&without(query, '"', '"'), '{', '}'), '[', ']');
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut names = BTreeSet::new();
    let mut rest = bare.as_str();
    while let Some(start) = rest.find(word) {
        let end = rest[start..].find(|c| !word(c)).map_or(rest.len(), |length| start + length);
        let name = &rest[start..end];
        let after = rest[end..].trim_start();
        rest = after;
        if OVER_LABELS.contains(&name) && after.starts_with('(') {
            rest = after.split_once(')').map_or("", |(_, behind)| behind);
        } else if !after.starts_with('(')
            && !after.starts_with("by ")
            && !after.starts_with("without ")
            && !KEYWORDS.contains(&name)
            && !name.starts_with(|c: char| c.is_ascii_digit())
        {
            names.insert(name.to_owned());
        }
    }
    names
}

/// The text without what stands between two marks, and without the marks.
fn without(text: &str, open: char, close: char) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(open) {
        kept.push_str(before);
        rest = inside.split_once(close).map_or("", |(_, behind)| behind);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: (&str, &str) = (
        "a/metrics.rs",
        "pub const CATALOGUE: &[X] = &[(\"door_letters_total\", \"Help (of a kind).\", &[\"door\"]), \
         (\n  \"door_wait_seconds\", \"Help.\", &[])];\nfn f() { g(\"no_metric\") }",
    );

    fn whats(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.what.as_str()).collect()
    }

    #[test]
    fn the_metrics_of_a_query_are_its_words_that_are_nothing_else() {
        let query = "sum by (door) (rate(a_total{x=\"b_total{\"}[5m])) > 0.5 unless on () max(c) offset 10m\n\
                     or staffetta:d / scalar(clamp_min(e, 1)) == bool f";
        let expected = ["a_total", "c", "e", "f", "staffetta:d"].map(str::to_owned);
        assert_eq!(metrics(query), BTreeSet::from(expected));
    }

    #[test]
    fn an_alert_or_panel_on_a_metric_that_nobody_exports_is_found() {
        let check = |rules: &str, panel: &str, expected: &[&str]| {
            let panel = format!("{{\"panels\": [{{\"targets\": [{{\"expr\": \"{panel}\"}}]}}]}}");
            let files = [CATALOGUE, (RULES, rules), ("helm/dashboards/a.json", panel.as_str())];
            assert_eq!(whats(&what_is_watched_is_exported(&Tree::planted(&files))), expected);
        };
        let good = "  - record: door:rate\n    expr: rate(door_letters_total[1m])\n  - alert: A\n    expr: >-\n      \
                    door:rate > 1\n      and up == 0\n    for: 1m";
        check(good, "rate(door_wait_seconds_bucket[1m])", &[]);
        let stray = "asks for door_other, which nobody exports";
        check(&good.replace("up", "door_other"), "door:rate", &[stray]);
        check(good, "door_other", &[stray]);
        check("", "door:rate", &["holds no query", "asks for door:rate, which nobody exports"]);
    }

    #[test]
    fn a_metric_that_the_readme_lacks_or_invents_is_found() {
        let check = |rows: &str, expected: &[&str]| {
            let readme =
                format!("# A\n\n## Metrics\n\n| Metric |\n| --- |\n{rows}\n\n## More\n\n| `x` |");
            let found =
                exported_metrics_equal_the_table(&Tree::planted(&[CATALOGUE, (README, &readme)]));
            assert_eq!(whats(&found), expected);
        };
        let (first, second) = ("| `door_letters_total` | a |", "| `door_wait_seconds` | b |");
        check(&format!("{first}\n{second}"), &[]);
        check(first, &["lacks door_wait_seconds"]);
        let more = format!("{first}\n{second}\n| `door_x` | c |");
        check(&more, &["names door_x, which nobody exports"]);
    }

    #[test]
    fn an_alert_without_page_or_test_and_a_page_without_alert_are_found() {
        let rules = "- alert: Late\n  runbook_url: RUNBOOKS/late.md\n";
        let tests = "alertname=\"Late\"";
        let page = ("helm/runbooks/late.md", "# Late\n");
        let check = |rules: &str, tests: &str, page: (&str, &str), expected: usize| {
            let files = [(RULES, rules), (TESTS, tests), page];
            assert_eq!(an_alert_has_a_page_and_a_test(&Tree::planted(&files)).len(), expected);
        };
        check(rules, tests, page, 0);
        check(rules, "", page, 1);
        check(rules, tests, ("helm/runbooks/late.md", "# Early\n"), 1);
        check(rules, tests, ("helm/runbooks/other.md", "# Late\n"), 2);
        check("", tests, page, 2);
    }
}
