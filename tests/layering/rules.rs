//! The rules.

use crate::scan::{self, Token};

/// A directory below `src/`.
pub struct Layer {
    pub name: &'static str,
    /// Parts of our crate that it may name, besides itself: `plan` or `plan::step`.
    pub may: &'static [&'static str],
    /// Other crates, or parts of them, that it may not.
    pub not_outside: &'static [&'static str],
    /// Words that may not stand in it.
    pub not_words: &'static [&'static str],
}

/// What reaches a network, a file or a clock.
macro_rules! io {
    ($($more:literal),*) => {
        &[
            "tokio", "tokio_stream", "tokio_util", "russh", "tonic", "axum", "rustix", "std::fs", "std::net", "std::process", "std::env",
            "std::thread", "futures", "async_trait", "rand", "std::time::Instant", "std::time::SystemTime", $($more),*
        ]
    };
}

/// From the bottom up.
pub const LAYERS: &[Layer] = &[
    Layer {
        name: "telemetry",
        may: &[],
        not_outside: &["kube", "k8s_openapi", "russh", "tonic"],
        not_words: &[],
    },
    Layer {
        name: "gluster",
        may: &[],
        not_outside: io!("kube", "k8s_openapi", "schemars", "jiff"),
        not_words: &["async", "await", "Instant", "SystemTime"],
    },
    Layer {
        name: "api",
        may: &["gluster::names"],
        not_outside: io!(
            "kube::Client",
            "kube::Api",
            "kube::client",
            "kube::api",
            "kube::runtime"
        ),
        not_words: &["async", "await", "Instant", "SystemTime"],
    },
    Layer {
        name: "plan",
        may: &["api", "gluster"],
        not_outside: io!(
            "kube",
            "jiff",
            "chrono",
            "std::collections::HashMap",
            "std::collections::HashSet"
        ),
        // maps whose order is random, and every way to the time
        not_words: &[
            "async",
            "await",
            "Instant",
            "SystemTime",
            "Timestamp::now",
            "Zoned::now",
            "RandomState",
            "HashMap",
            "HashSet",
            "tracing",
        ],
    },
    Layer {
        name: "host",
        may: &[
            "gluster::operation",
            "gluster::outcome",
            "gluster::names",
            "gluster::model",
        ],
        not_outside: &["kube", "k8s_openapi", "tonic", "axum"],
        not_words: &[],
    },
    Layer {
        name: "pool",
        may: &["gluster", "host", "plan::step"],
        not_outside: &["kube", "k8s_openapi", "tonic", "axum", "russh"],
        not_words: &[],
    },
    Layer {
        name: "controller",
        may: &["api", "gluster", "plan", "pool", "host", "telemetry"],
        not_outside: &["russh", "tonic"],
        not_words: &[],
    },
    Layer {
        // on every node, without access to the API server or to storage hosts
        name: "csi",
        may: &["gluster::names", "telemetry"],
        not_outside: &["kube", "k8s_openapi", "russh"],
        not_words: &[],
    },
    Layer {
        name: "cli",
        may: &[
            "api",
            "gluster",
            "plan",
            "pool",
            "host",
            "controller",
            "csi",
            "telemetry",
        ],
        not_outside: &["russh"],
        not_words: &[],
    },
];

/// True if that layer may name some part of the other.
pub fn may_name(from: &Layer, to: &str) -> bool {
    from.name == to
        || from
            .may
            .iter()
            .any(|part| part.split("::").next() == Some(to))
}

/// What is wrong with a file that is the module `module`; `main`: it is the program's, not the library's.
pub fn violations(module: &[String], main: bool, text: &str) -> Vec<String> {
    let (tokens, _) = scan::without_tests(&scan::tokens(text));
    let paths = scan::paths(&tokens, module);
    let mut found = ways_around(&tokens);
    let Some(name) = module.first() else {
        found.extend(root(&paths, &tokens, main));
        return found;
    };
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
        found.push(format!("{name} is no layer"));
        return found;
    };
    for path in &paths {
        let whole = path.join("::");
        if path.first().is_some_and(|first| first == "crate") {
            let inside = path[1..].join("::");
            let under = |part: &str| {
                inside == part
                    || inside
                        .strip_prefix(part)
                        .is_some_and(|rest| rest.starts_with("::"))
            };
            if !under(layer.name) && !layer.may.iter().any(|part| under(part)) {
                found.push(format!("{name} names {whole}"));
            }
            continue;
        }
        // what a `use` brought in is checked where it came in; `std::time::{…}` arrives here spread out
        let under = |part: &&&str| {
            whole == **part
                || whole
                    .strip_prefix(**part)
                    .is_some_and(|rest| rest.starts_with("::"))
        };
        found.extend(
            layer
                .not_outside
                .iter()
                .find(under)
                .map(|part| format!("{name} uses {part}: {whole}")),
        );
        for word in layer.not_words {
            let hit = format!("::{whole}::").contains(&format!("::{word}::"));
            found.extend(hit.then(|| format!("{name} says {word}: {whole}")));
        }
    }
    found
}

/// The root of the library says which modules there are, and no more; the program calls cli.
fn root(paths: &[Vec<String>], tokens: &[Token], main: bool) -> Vec<String> {
    if main {
        let ours = paths
            .iter()
            .filter(|path| path.first().is_some_and(|first| first == "crate"));
        return ours
            .filter(|path| path.get(1).map(String::as_str) != Some("cli"))
            .map(|path| format!("main names {}", path.join("::")))
            .collect();
    }
    let uses = tokens
        .iter()
        .filter(|token| **token == Token::Word("use".into()));
    uses.map(|_| "the root of the library re-exports nothing".to_owned())
        .collect()
}

/// Texts that bring in other files past the tree of modules.
fn ways_around(tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    for three in tokens.windows(3) {
        match three {
            [Token::Word(word), Token::Sign('!'), _] if word == "include" => {
                found.push("include! of a file".to_owned());
            }
            [Token::Sign('['), Token::Word(word), Token::Sign('=')] if word == "path" => {
                found.push("a module at another path".to_owned());
            }
            _ => {}
        }
    }
    found
}
