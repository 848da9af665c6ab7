//! The patterns in the schemas and the grammars of the typed names are the same.

use gluster_operator::api::quantity;
use gluster_operator::gluster::names::{
    AddressPattern, Brick, ClusterName, HostName, HostPath, OptionKey, OptionValue, OwnerId,
    VolumeName,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use regex::Regex;
use serde_json::Value;

use super::rows::Kind;
use super::schema::schema;

/// What a schema demands of a string.
struct Words {
    pattern: Regex,
    length: std::ops::RangeInclusive<usize>,
}

impl Words {
    /// Of the field at this path below the schema's root.
    fn of(kind: Kind, pointer: &str) -> Self {
        let definition = super::definition(kind);
        let field = schema(&definition)
            .pointer(pointer)
            .expect("there is such a field");
        let number = |key: &str| field[key].as_u64().map(|n| usize::try_from(n).unwrap());
        Self {
            pattern: Regex::new(field["pattern"].as_str().expect("it has a pattern")).unwrap(),
            length: number("minLength").unwrap_or(0)
                ..=number("maxLength").expect("it has a length"),
        }
    }

    fn accepts(&self, text: &str) -> bool {
        self.length.contains(&text.chars().count()) && self.pattern.is_match(text)
    }
}

const NODE: &str = "/properties/spec/properties/nodes/items/properties";

/// The rule beside the patterns of paths.
fn dots(text: &str) -> bool {
    text.split('/').any(|part| matches!(part, "." | ".."))
}

/// The regular expression in the rule on the keys of options.
fn key_rule(kind: Kind) -> Regex {
    let definition = super::definition(kind);
    let rules = schema(&definition)
        .pointer("/properties/spec/properties/options/x-kubernetes-validations")
        .and_then(Value::as_array)
        .expect("there is a rule on keys");
    let rule = rules[0]["rule"].as_str().unwrap();
    assert!(rule.contains("key.size() <= 100"), "{rule}");
    let pattern = rule
        .split('\'')
        .nth(1)
        .expect("the rule holds an expression");
    Regex::new(pattern).unwrap()
}

/// Strings near the border of a grammar: of its own characters, with now and then one that is not.
fn near() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        4 => "[a-c0-2]{1,4}".boxed(),
        3 => prop::sample::select(vec![".", "-", "_", "/", ":", "*", "..", "/..", "/.", "~", "255", "256", "10.", ".*", "all", "gluster_shared_storage"])
            .prop_map(str::to_owned).boxed(),
        1 => prop::sample::select(vec!["\n", " ", "'", "\"", "`", "\\", "#", "]", "^", ";", "$(x)", "ü", "\0", "\t", "%", "+", "A", "Gi", "Mi"]).prop_map(str::to_owned).boxed(),
        1 => "[a-z]{15,40}".boxed(),
    ];
    prop::collection::vec(token, 0..9).prop_map(|tokens| tokens.concat())
}

/// Valid ones of each grammar, so that agreement is not agreement on refusals alone.
fn good() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9][A-Za-z0-9_-]{0,54}",
        "[a-z0-9][a-z0-9-]{0,22}[a-z0-9]",
        "[a-z0-9]{1,5}(\\.[a-z0-9]{1,5}){0,3}",
        "(/[a-z0-9.]{1,6}){1,5}",
        "[a-z0-9]{1,5}:(/[a-z0-9._-]{1,6}){1,5}",
        "[a-z]{1,8}\\.[a-z-]{1,8}",
        "([0-9]{1,3}\\.){1,4}\\*",
        "[0-9]{1,3}(\\.[0-9]{1,3}){3}",
        "[0-9]{1,6}[smhdw]",
        "[0-9]{1,9}(\\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?",
    ]
}

#[test]
fn patterns_and_typed_names_agree() {
    type Check = (
        &'static str,
        Box<dyn Fn(&str) -> bool>,
        Box<dyn Fn(&str) -> bool>,
    );
    fn is<T: std::str::FromStr>(text: &str) -> bool {
        text.parse::<T>().is_ok()
    }
    let words = |kind, pointer: &str| {
        let words = Words::of(kind, pointer);
        move |text: &str| words.accepts(text)
    };
    let spec = |field: &str| format!("/properties/spec/properties/{field}");
    let volume_name = words(Kind::Volume, &spec("volumeName"));
    let brick = words(Kind::Volume, &spec("bricks/items"));
    let path = words(
        Kind::Cluster,
        &format!("{NODE}/devices/items/properties/path"),
    );
    let keys = [key_rule(Kind::Volume), key_rule(Kind::Cluster)];
    let checks: Vec<Check> = vec![
        (
            "volumeName",
            // the rule on reserved names stands beside the pattern; `rules_on_a_real_api_server` tries it
            Box::new(move |text| {
                volume_name(text) && !matches!(text, "all" | "gluster_shared_storage")
            }),
            Box::new(is::<VolumeName>),
        ),
        (
            "clusterName",
            Box::new(words(Kind::Volume, &spec("clusterName"))),
            Box::new(is::<ClusterName>),
        ),
        (
            "bricks",
            // but: the pattern can't count the characters of the host, the name can; at most 320 in all
            Box::new(move |text| {
                brick(text) && !dots(text) && text.find(':').is_none_or(|at| at <= 63)
            }),
            Box::new(|text| is::<Brick>(text) && text.len() <= 320),
        ),
        (
            "node name",
            Box::new(words(Kind::Cluster, &format!("{NODE}/name"))),
            Box::new(is::<HostName>),
        ),
        (
            "node address",
            Box::new(words(Kind::Cluster, &format!("{NODE}/address"))),
            Box::new(is::<HostName>),
        ),
        (
            "device path",
            // but: a mount point is at most 256 long, so that there is room for bricks below it
            Box::new(move |text| path(text) && !dots(text)),
            Box::new(|text| is::<HostPath>(text) && text.len() <= 256),
        ),
        (
            "takeOver",
            Box::new(words(Kind::Cluster, &spec("takeOver"))),
            Box::new(|text| text.is_empty() || is::<OwnerId>(text)),
        ),
        (
            "volume option",
            Box::new(words(Kind::Volume, &spec("options/additionalProperties"))),
            Box::new(is::<OptionValue>),
        ),
        (
            "pool option",
            Box::new(words(Kind::Cluster, &spec("options/additionalProperties"))),
            Box::new(is::<OptionValue>),
        ),
        (
            "option key",
            Box::new(move |text| text.len() <= 100 && keys.iter().all(|key| key.is_match(text))),
            Box::new(is::<OptionKey>),
        ),
        (
            "trash retention",
            Box::new(words(Kind::Cluster, &spec("trash/properties/retention"))),
            Box::new(|text| quantity::retention(text).is_ok()),
        ),
        (
            "client address",
            Box::new(words(
                Kind::Cluster,
                &spec("clients/properties/addresses/items"),
            )),
            Box::new(is::<AddressPattern>),
        ),
    ];
    let mut accepted = vec![0_u32; checks.len()];
    let runner = &mut proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1,
        ..ProptestConfig::default()
    });
    let strings = prop_oneof![near(), good()];
    for _ in 0..6_000 {
        let text = strings.new_tree(runner).unwrap().current();
        for (at, (name, schema, typed)) in checks.iter().enumerate() {
            assert_eq!(
                schema(&text),
                typed(&text),
                "{name}: schema and typed name differ on {text:?}"
            );
            accepted[at] += u32::from(schema(&text));
        }
    }
    for ((name, ..), count) in checks.iter().zip(accepted) {
        assert!(count > 60, "only {count} strings were valid for {name}");
    }
}

/// A capacity that the schema lets through is one for us, but for sizes beyond 8Ei and parts of a byte; and whatever is one
/// for us passes the schema, but for more than 24 characters.
#[test]
fn capacities_agree() {
    let schema = Words::of(Kind::Volume, "/properties/spec/properties/capacity");
    let config = ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(text in prop_oneof![near(), good()])| {
        match (schema.accepts(&text), quantity::bytes(&text)) {
            (true, Ok(_)) | (false, Err(_)) => {}
            (true, Err(error)) => {
                let error = error.to_string();
                prop_assert!(error.contains("too large") || error.contains("fraction of a byte"), "{text:?}: {error}");
            }
            (false, Ok(_)) => prop_assert!(text.len() > 24, "{text:?}"),
        }
    });
}
