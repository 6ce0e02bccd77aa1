//! What `cargo tree` cannot see: links between the stages of one crate, and dependencies as written.

use std::collections::BTreeSet;

use super::rust;
use super::tree::{File, Finding, Tree};

const STAGES: &str = "consumers/src/";

/// Folders that stages may name: what they share, beside or with a `stage.rs` of its own. They must
/// not name a stage in turn, or two stages would meet through them.
const SHARED: [&str; 2] = [
    "channel",   // the shell of apns, fcm and email
    "directory", // the view that is read before every send, with the projector that builds it
];

/// A stage is a folder with a `stage.rs`. It may use what lies beside the stages, never another one;
/// what lies beside them names none, but for the list in `lib.rs`.
pub fn no_stage_names_another_stage(tree: &Tree) -> Vec<Finding> {
    let folder_of = |file: &File| -> Option<String> {
        let inside = file.path.strip_prefix(STAGES)?;
        Some(inside.split_once('/').map_or("", |(folder, _)| folder).to_owned())
    };
    let is_stage = |folder: &String| {
        !SHARED.contains(&folder.as_str()) && tree.has(&format!("{STAGES}{folder}/stage.rs"))
    };
    let stages: BTreeSet<String> = tree.rust().filter_map(folder_of).filter(is_stage).collect();
    if stages.is_empty() {
        let what = "no stage is found".to_owned();
        return vec![Finding { path: STAGES.to_owned(), line: 0, what }];
    }
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| !file.path.ends_with("/lib.rs")) {
        let Some(own) = folder_of(file) else { continue };
        let code = rust::code(&file.text);
        for (name, at) in named_at_the_root(&code, depth(&file.path)) {
            if name != own && stages.contains(&name) {
                findings
                    .push(file.finding(rust::line_of(&code, at), format!("names stage {name}")));
            }
        }
    }
    findings
}

/// How many `super` lead from a file of the crate to its root.
fn depth(path: &str) -> usize {
    let inside = path.strip_prefix(STAGES).unwrap_or(path);
    let folders = inside.matches('/').count();
    if inside.ends_with("/mod.rs") { folders } else { folders + 1 }
}

/// The first names of every path that begins at the root of the crate, with their places.
fn named_at_the_root(code: &str, depth: usize) -> Vec<(String, usize)> {
    let climb = "super::".repeat(depth);
    let mut out = Vec::new();
    for start in ["crate::", "consumers::", climb.as_str()] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            out.extend(first_names(rest).into_iter().map(|name| (name, at)));
        }
    }
    out
}

/// `a` of `a::b`, or `a` and `c` of `{a::b, c}`.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut names = vec![name(group)];
    let mut depth = 1_usize;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

pub fn schemas_depends_on_nothing_of_ours(tree: &Tree) -> Vec<Finding> {
    depends_on_nothing_of_ours(tree, "schemas/Cargo.toml")
}

/// They accept and refuse as the providers do; sharing our code would let both err alike.
pub fn simulators_depend_on_nothing_of_ours(tree: &Tree) -> Vec<Finding> {
    depends_on_nothing_of_ours(tree, "pipeline/simulators/Cargo.toml")
}

fn depends_on_nothing_of_ours(tree: &Tree, path: &str) -> Vec<Finding> {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    let ours: BTreeSet<String> = manifests.filter_map(|file| package(&file.text)).collect();
    let (Some(file), true) = (tree.file(path), ours.len() > 1) else {
        let what = "the manifest, or every other one, is missing".to_owned();
        return vec![Finding { path: path.to_owned(), line: 0, what }];
    };
    let named = dependencies(&file.text);
    named
        .iter()
        .filter(|name| ours.contains(*name))
        .map(|name| file.finding(0, format!("depends on our {name}")))
        .collect()
}

fn package(manifest: &str) -> Option<String> {
    let table: toml::Table = manifest.parse().ok()?;
    Some(table.get("package")?.get("name")?.as_str()?.to_owned())
}

fn dependencies(manifest: &str) -> Vec<String> {
    let table: toml::Table = manifest.parse().unwrap_or_default();
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| table.get(*kind)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: usize) {
        let tree = Tree::planted(&[
            ("consumers/src/red/stage.rs", ""),
            ("consumers/src/blue/stage.rs", ""),
            ("consumers/src/shared.rs", ""),
            (path, text),
        ]);
        assert_eq!(no_stage_names_another_stage(&tree).len(), expected, "{path}: {text}");
    }

    #[test]
    fn a_stage_that_names_another_is_found() {
        check("consumers/src/red/port.rs", "use crate::blue::Port;", 1);
        check("consumers/src/red/port.rs", "use crate::{shared::{A, B}, blue};", 1);
        check("consumers/src/red/port.rs", "fn f() { super::super::blue::g() }", 1);
        check("consumers/src/red/mod.rs", "use super::blue;", 1);
        check("consumers/src/red/port.rs", "use crate::{shared::{blue, B}, red};", 0);
        check("consumers/src/red/port.rs", "use policy::blue; // crate::blue", 0);
        check("consumers/src/red/port.rs", "use super::blue;", 0);
        check("consumers/src/lib.rs", "use crate::blue;", 0);
        check("consumers/src/helper.rs", "use crate::blue;", 1);
        check("consumers/src/channel/stage.rs", "use crate::blue;", 1);
        check("consumers/src/red/port.rs", "use crate::channel;", 0);
    }

    #[test]
    fn a_tree_without_stages_proves_nothing() {
        assert_eq!(no_stage_names_another_stage(&Tree::planted(&[("a.rs", "")])).len(), 1);
    }

    #[test]
    fn a_dependency_on_our_own_is_found() {
        let ours = ("policy/Cargo.toml", "[package]\nname = \"policy\"");
        let check = |section: &str, expected: usize| {
            let text = format!("[package]\nname = \"schemas\"\n[{section}]\npolicy = \"1\"\n");
            let tree = Tree::planted(&[ours, ("schemas/Cargo.toml", &text)]);
            assert_eq!(schemas_depends_on_nothing_of_ours(&tree).len(), expected, "{section}");
        };
        check("dependencies", 1);
        check("dev-dependencies", 1);
        check("features", 0);
        assert_eq!(schemas_depends_on_nothing_of_ours(&Tree::planted(&[ours])).len(), 1);
    }
}
