//! Every crate that goes into the binary, or helps to build and test it, has a licence that we accept.

use std::process::Command;

use serde_json::Value;

/// Licences (SPDX) that ask for no more than that their text comes along.
const ACCEPTED: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_dependency_has_an_accepted_licence() {
    let metadata = metadata();
    let used: Vec<&Value> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| &node["id"])
        .collect();
    let packages: Vec<&Value> = list(&metadata["packages"])
        .iter()
        .filter(|package| used.contains(&&package["id"]))
        .collect();
    assert!(
        packages.len() > 50,
        "cargo names only {} packages",
        packages.len()
    );
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !accepted(package["license"].as_str().unwrap_or_default()))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    assert!(
        refused.is_empty(),
        "licences that are not accepted:\n{}",
        refused.join("\n")
    );
}

#[test]
fn licence_expressions_are_understood() {
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "(GPL-3.0 OR MIT) AND BSD-3-Clause",
        "Apache-2.0 WITH LLVM-exception",
        "MIT AND (GPL-2.0 OR (ISC AND Zlib))",
    ] {
        assert!(accepted(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "GPL-2.0 WITH Classpath-exception-2.0",
        "(MIT OR Apache-2.0) AND AGPL-3.0",
        "MIT AND",
        "(MIT",
        "MIT)",
        "MIT Apache-2.0",
    ] {
        assert!(!accepted(bad), "{bad}");
    }
}

/// Whether an SPDX expression leaves us a choice of accepted licences only; what can't be read is not accepted.
fn accepted(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest) == Some(true) && rest.is_empty()
}

fn any(words: &mut &[&str]) -> Option<bool> {
    let mut answer = all(words)?;
    while take(words, "OR") {
        answer |= all(words)?;
    }
    Some(answer)
}

fn all(words: &mut &[&str]) -> Option<bool> {
    let mut answer = one(words)?;
    while take(words, "AND") {
        answer &= one(words)?;
    }
    Some(answer)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    if take(words, "(") {
        let answer = any(words)?;
        return take(words, ")").then_some(answer);
    }
    let (first, rest) = words.split_first()?;
    *words = rest;
    if ["OR", "AND", "WITH", ")"].contains(first) {
        return None;
    }
    let mut name = (*first).to_owned();
    if take(words, "WITH") {
        let (exception, rest) = words.split_first()?;
        *words = rest;
        name = format!("{name} WITH {exception}");
    }
    Some(ACCEPTED.contains(&name.as_str()))
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let found = words.first() == Some(&word);
    if found {
        *words = &words[1..];
    }
    found
}

/// What cargo knows of our dependencies on this platform, without asking the network.
fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let version = Command::new(&cargo)
        .arg("-vV")
        .output()
        .expect("cargo runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("cargo -vV names its host");
    let output = Command::new(&cargo)
        .args([
            "metadata",
            "--offline",
            "--locked",
            "--format-version=1",
            "--filter-platform",
            host,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
