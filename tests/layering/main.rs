//! Who may name whom: the layers of the crate, checked on its own text, and the check checked on planted violations.
//! And that no file is left out of the build.

mod rules;
mod scan;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// `src/plan/mod.rs` is `plan`, `src/plan/step.rs` is `plan::step`, `src/lib.rs` is the root.
fn module_of(file: &Path) -> Vec<String> {
    let inside = file
        .strip_prefix(root().join("src"))
        .unwrap_or(file)
        .with_extension("");
    let mut parts: Vec<String> = inside
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(
        parts.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        parts.pop();
    }
    parts
}

#[test]
fn nobody_names_what_is_above() {
    let files = rust_files(&root().join("src"));
    assert!(files.len() > 50, "only {} files", files.len());
    let texts: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|file| (file.clone(), std::fs::read_to_string(file).unwrap()))
        .collect();
    // modules that are compiled for tests only, in files of their own
    let mut tests = BTreeSet::new();
    for (file, text) in &texts {
        for name in scan::without_tests(&scan::tokens(text)).1 {
            let mut module = module_of(file);
            module.push(name);
            tests.insert(module);
        }
    }
    let mut wrong = Vec::new();
    let mut layers = BTreeSet::new();
    for (file, text) in &texts {
        let module = module_of(file);
        if tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        layers.extend(module.first().cloned());
        let is_main = file.ends_with("src/main.rs");
        for violation in rules::violations(&module, is_main, text) {
            wrong.push(format!(
                "{}: {violation}",
                file.strip_prefix(root()).unwrap().display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for layer in &layers {
        assert!(
            rules::LAYERS.iter().any(|rule| rule.name == layer),
            "layer {layer} has no rule"
        );
    }
    for rule in rules::LAYERS {
        assert!(
            layers.contains(rule.name),
            "there is no layer {}",
            rule.name
        );
    }
}

/// Every pair of layers where one may not name the other is planted in every way of writing it.
#[test]
fn planted_violations_in_every_direction_are_found() {
    let mut planted = 0;
    for from in rules::LAYERS {
        for to in rules::LAYERS {
            if rules::may_name(from, to.name) {
                continue;
            }
            let to = to.name;
            for text in [
                format!("use crate::{to}::Thing;"),
                format!("use crate::{to};"),
                format!("use crate::{to}::*;"),
                format!("pub use crate::{to}::Thing as Other;"),
                format!(
                    "use crate::{{{own}::Fine, {to}::{{self, Thing}}}};",
                    own = from.name
                ),
                format!("use {{std::fmt, crate::{{{to}}}}};"),
                format!("use crate :: {to} :: Thing;"),
                format!("use crate::r#{to}::Thing;"),
                format!("use gluster_operator::{to}::Thing;"),
                format!("fn f() {{ let x = crate::{to}::make(1); }}"),
                format!("fn f(x: &crate::{to}::Thing) -> Vec<crate::{to}::Thing> {{ g(x) }}"),
                format!("use super::super::{to}::Thing;"),
                format!("fn f() {{ super::super::{to}::make() }}"),
                format!("mod inner {{ use super::super::super::{to}::Thing; }}"),
                format!("mod inner {{ fn f() {{}} }} use super::super::{to}::Thing;"),
                format!("macro_rules! m {{ () => {{ $crate::{to}::make() }} }}"),
                format!("println!(\"{{}}\", crate::{to}::NAME);"),
                format!("#[serde(default = \"crate::{to}::value\")] struct S;"),
                format!("#[cfg(test)] mod tests {{ fn ok() {{}} }} use crate::{to}::Thing;"),
                format!("const Q: char = '\"'; use crate::{to}::Thing; const R: &str = \"\\\"\";"),
                format!("fn f<'a>(x: &'a str) {{ crate::{to}::make(x) }}"),
                format!("/* a /* b */ c */ use crate::{to}::Thing;"),
                format!("const R: &str = r#\"a \" b\"#; use crate::{to}::Thing;"),
                format!("pub(crate) use crate::{to}::Thing;"),
                format!(
                    "impl From<u8> for X {{ fn from(x: u8) -> Self {{ <crate::{to}::Thing as Y>::new(x) }} }}"
                ),
            ] {
                let module = [from.name.to_owned(), "planted".to_owned()];
                let found = rules::violations(&module, false, &text);
                assert!(
                    found.iter().any(|violation| violation.contains(to)),
                    "{}: not found in: {text}",
                    from.name
                );
                planted += 1;
            }
            let text = format!("use super::{to}::Thing;");
            assert!(
                !rules::violations(&[from.name.to_owned()], false, &text).is_empty(),
                "{}: {text}",
                from.name
            );
        }
    }
    assert!(planted > 1000, "only {planted}");
    for rule in rules::LAYERS {
        assert!(
            rule.name == "cli" || !rules::may_name(rule, "cli"),
            "{} may name cli",
            rule.name
        );
    }
    let found = |module: &[&str], main, text: &str| {
        let module: Vec<String> = module.iter().map(ToString::to_string).collect();
        rules::violations(&module, main, text)
    };
    // main names cli alone, and the root of the library only says which modules there are
    assert!(found(&[], true, "fn main() { gluster_operator::cli::main() }").is_empty());
    assert!(
        !found(
            &[],
            true,
            "fn main() { gluster_operator::controller::run() }"
        )
        .is_empty()
    );
    assert!(
        !found(&[], false, "pub use host::Host;").is_empty(),
        "a way around the rules"
    );
    assert!(!found(&[], false, "pub use self::host::Host;").is_empty());
    assert!(found(&[], false, "pub mod host; pub mod api;").is_empty());
}

/// Each thing that a layer may not use, planted.
#[test]
fn planted_words_and_crates_are_found() {
    let mut planted = 0;
    for rule in rules::LAYERS {
        let module = [rule.name.to_owned(), "planted".to_owned()];
        let finds = |text: String| {
            assert!(
                !rules::violations(&module, false, &text).is_empty(),
                "{}: not found in: {text}",
                rule.name
            );
        };
        for outside in rule.not_outside {
            finds(format!("use {outside}::Thing;"));
            finds(format!("use ::{outside}::Thing;"));
            finds(format!("fn f() {{ {outside}::thing() }}"));
            if let Some((head, tail)) = outside.split_once("::") {
                finds(format!("use {head}::{{mem, {tail}}};"));
            } else {
                finds(format!("extern crate {outside} as other;"));
                finds(format!("use {outside} as other;"));
            }
            planted += 1;
        }
        for word in rule.not_words {
            finds(format!("fn f() {{ x({word}) }}"));
            planted += 1;
        }
    }
    assert!(planted > 30, "only {planted}");
    let plan = ["plan".to_owned(), "planted".to_owned()];
    for text in [
        "async fn f() {}",
        "fn f() { g().await }",
        "fn f() { std::time::Instant::now(); }",
        "use std::time::{Duration, SystemTime};",
        "fn f() { Timestamp::now(); }",
        "fn f() { k8s_openapi::jiff::Timestamp::now(); }",
        "use std::collections::HashMap;",
        "fn f() { rand::random::<u8>(); }",
        "include!(\"../host/mod.rs\");",
        "#[path = \"../host/mod.rs\"] mod other;",
        "use crate as everything;",
        "use crate::*;",
        "use crate::Unknown;",
    ] {
        assert!(
            !rules::violations(&plan, false, text).is_empty(),
            "not found in: {text}"
        );
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    let fine = |module: &[&str], text: &str| {
        let module: Vec<String> = module.iter().map(ToString::to_string).collect();
        let found = rules::violations(&module, false, text);
        assert!(found.is_empty(), "{module:?}: {text}: {found:?}");
    };
    fine(
        &["plan", "x"],
        "use crate::{api::condition, gluster::{model, names::{self, Brick}}, plan::step::Step};",
    );
    fine(
        &["plan", "x"],
        "// use crate::host::Host;\n/* tokio */ fn f() { let s = \"an async host of kube\"; }",
    );
    fine(
        &["plan", "x"],
        "#[cfg(test)] mod tests { use crate::host::Host; use tokio::test; } fn f() {}",
    );
    fine(
        &["plan", "x"],
        "pub(crate) fn f() {} pub(in crate::plan) fn g() {} pub(super) fn h() {}",
    );
    fine(
        &["plan", "x"],
        "fn f(host: &str) { let pool = host; pool.kube(); }",
    );
    fine(
        &["pool", "x"],
        "use crate::plan::step::{BrickPlace, Step}; use super::super::host::Host;",
    );
    fine(
        &["host", "ssh", "x"],
        "use super::super::run::LIMIT; use super::super::super::gluster::names::HostName;",
    );
    fine(
        &["controller", "x"],
        "use crate::pool::Pool; use kube::Api; async fn f() {}",
    );
    assert!(
        !rules::violations(&["pool".to_owned()], false, "use crate::plan::attach::X;").is_empty(),
        "pool knows steps, not how they are decided"
    );
    assert!(
        !rules::violations(
            &["host".to_owned()],
            false,
            "use crate::gluster::get_state::state;"
        )
        .is_empty()
    );
}

/// The files that a crate root pulls in.
fn reach(file: &Path, crate_root: bool, found: &mut BTreeSet<PathBuf>) {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    if !found.insert(file.to_path_buf()) {
        return;
    }
    let directory = file.parent().unwrap();
    let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
    let own = if crate_root || stem == "mod" {
        directory.to_path_buf()
    } else {
        directory.join(stem)
    };
    for (inline, name, path) in scan::declared(&scan::tokens(&text)) {
        let below = inline.iter().fold(own.clone(), |at, part| at.join(part));
        let child = match path {
            Some(path) => normal(&directory.join(path)),
            None => [
                below.join(format!("{name}.rs")),
                below.join(&name).join("mod.rs"),
            ]
            .into_iter()
            .find(|path| path.is_file())
            .unwrap_or_else(|| panic!("{}: mod {name} has no file", file.display())),
        };
        reach(&child, false, found);
    }
}

fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts
}

#[test]
fn every_file_is_part_of_the_build() {
    let root = root();
    let mut roots = vec![root.join("src/lib.rs"), root.join("src/main.rs")];
    for entry in std::fs::read_dir(root.join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            roots.extend(Some(path.join("main.rs")).filter(|path| path.is_file()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            roots.push(path);
        }
    }
    let mut found = BTreeSet::new();
    for file in &roots {
        reach(file, true, &mut found);
    }
    let all = rust_files(&root.join("src"))
        .into_iter()
        .chain(rust_files(&root.join("tests")));
    let lost: Vec<_> = all.filter(|file| !found.contains(file)).collect();
    assert!(lost.is_empty(), "no `mod` names {lost:?}");
}
