//! What an API server checks of an object by its schema, as far as our definitions use it: without the rules in CEL.

use regex::Regex;
use serde_json::Value;

/// Keywords that say nothing about whether an object is accepted, or that only an API server evaluates.
const IGNORED: [&str; 8] = [
    "default",
    "description",
    "format",
    "nullable",
    "title",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
];

/// All that the schema has against the value, each with its path.
pub fn problems(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    if value.is_null() && schema["nullable"] == true {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
        let fits = match keyword.as_str() {
            "type" => is_of_type(wanted.as_str().unwrap(), value),
            "enum" => wanted.as_array().unwrap().contains(value),
            "pattern" => value.as_str().is_none_or(|text| {
                let pattern = Regex::new(wanted.as_str().unwrap()).unwrap();
                pattern.is_match(text)
            }),
            "minLength" => at_least(wanted, value.as_str().map(|text| text.chars().count())),
            "maxLength" => at_most(wanted, value.as_str().map(|text| text.chars().count())),
            "minItems" => at_least(wanted, value.as_array().map(Vec::len)),
            "maxItems" => at_most(wanted, value.as_array().map(Vec::len)),
            "maxProperties" => at_most(wanted, value.as_object().map(serde_json::Map::len)),
            "minimum" => value
                .as_f64()
                .is_none_or(|it| it >= wanted.as_f64().unwrap()),
            "maximum" => value
                .as_f64()
                .is_none_or(|it| it <= wanted.as_f64().unwrap()),
            "required" => {
                for name in wanted.as_array().unwrap() {
                    let name = name.as_str().unwrap();
                    if value.is_object() && value.get(name).is_none() {
                        found.push(format!("{path}.{name}: required"));
                    }
                }
                true
            }
            "properties" | "additionalProperties" => true,
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(problems(wanted, item, &format!("{path}[{at}]")));
                }
                true
            }
            other => {
                assert!(
                    IGNORED.contains(&other),
                    "{path}: {other} is not known here"
                );
                true
            }
        };
        if !fits {
            found.push(format!("{path}: {value} against {keyword} {wanted}"));
        }
    }
    // of a map, or of a part that the definition leaves open like metadata, every name is known
    let more = schema.get("additionalProperties");
    let closed = more.is_none() && schema.get("properties").is_some();
    for (name, inner) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match (schema["properties"].get(name), more) {
            (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                found.extend(problems(schema, inner, &path));
            }
            (None, _) if closed => found.push(format!("{path}: unknown")),
            (None, _) => {}
        }
    }
    found
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("{other} is no type"),
    }
}

fn at_least(wanted: &Value, length: Option<usize>) -> bool {
    length.is_none_or(|length| length as u64 >= wanted.as_u64().unwrap())
}

fn at_most(wanted: &Value, length: Option<usize>) -> bool {
    length.is_none_or(|length| length as u64 <= wanted.as_u64().unwrap())
}
