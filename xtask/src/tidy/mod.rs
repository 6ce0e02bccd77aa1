//! The house rules that no lint knows. Each rule is a function from the tree to its findings and
//! has a test that shows it red on a planted sample.

mod chart;
mod documents;
mod exceptions;
mod hazards;
mod hygiene;
mod laws;
mod rust;
mod sizes;
mod stages;
mod tree;
mod watching;
mod words;

use std::process::ExitCode;

use anyhow::Result;

use crate::console::say;
use crate::process;
pub use tree::{Finding, Tree};

type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: [Rule; 21] = [
    ("a_file_fits_its_limit", sizes::a_file_fits_its_limit),
    ("a_function_fits_its_limit", sizes::a_function_fits_its_limit),
    ("an_exception_is_still_needed", sizes::an_exception_is_still_needed),
    ("a_foreign_word_lives_in_one_place", words::a_foreign_word_lives_in_one_place),
    ("a_topic_is_spelt_once", words::a_topic_is_spelt_once),
    ("a_metric_is_spelt_in_one_file", words::a_metric_is_spelt_in_one_file),
    ("no_stage_names_another_stage", stages::no_stage_names_another_stage),
    ("schemas_depends_on_nothing_of_ours", stages::schemas_depends_on_nothing_of_ours),
    ("simulators_depend_on_nothing_of_ours", stages::simulators_depend_on_nothing_of_ours),
    ("a_path_in_a_document_exists", documents::a_path_in_a_document_exists),
    ("configuration_keys_equal_the_table", documents::configuration_keys_equal_the_table),
    (
        "the_charts_configuration_equals_the_defaults",
        chart::the_charts_configuration_equals_the_defaults,
    ),
    ("exported_metrics_equal_the_table", watching::exported_metrics_equal_the_table),
    ("what_is_watched_is_exported", watching::what_is_watched_is_exported),
    ("an_alert_has_a_page_and_a_test", watching::an_alert_has_a_page_and_a_test),
    ("a_law_in_a_document_exists", laws::a_law_in_a_document_exists),
    ("every_hazard_has_its_law", hazards::every_hazard_has_its_law),
    ("no_registry_host_is_named", hygiene::no_registry_host_is_named),
    ("no_path_of_a_machine_is_named", hygiene::no_path_of_a_machine_is_named),
    ("nothing_is_left_unfinished", hygiene::nothing_is_left_unfinished),
    ("no_test_sleeps", hygiene::no_test_sleeps),
];

/// `cargo xtask tidy`: prints every finding.
pub fn run() -> Result<ExitCode> {
    let broken = check()?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks every rule over the workspace; how many are broken.
pub fn check() -> Result<usize> {
    let tree = Tree::of(&process::workspace())?;
    let mut broken = 0;
    for (name, rule) in RULES {
        let findings = rule(&tree);
        say(format_args!("tidy {name} ... {}", if findings.is_empty() { "ok" } else { "BROKEN" }));
        for finding in &findings {
            say(format_args!("    {finding}"));
        }
        broken += usize::from(!findings.is_empty());
    }
    say(sizes::summary(&tree));
    Ok(broken)
}
