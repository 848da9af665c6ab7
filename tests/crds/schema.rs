//! What the schemas themselves say, read off the definitions.

use std::collections::BTreeSet;

use serde_json::Value;

/// A thing that a schema demands: the path of the field (`spec.nodes[].name`, `spec.options{}`) and the
/// keyword, or the message of a rule.
pub type Demand = (String, String);

/// The OpenAPI schema in a definition.
pub fn schema(definition: &Value) -> &Value {
    definition
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .expect("a definition has a schema")
}

/// Calls `visit` with the path and schema of every field of the kind, the object itself (path "") first.
pub fn walk<'a>(definition: &'a Value, visit: &mut dyn FnMut(&str, &'a Value)) {
    fn below<'a>(path: &str, schema: &'a Value, visit: &mut dyn FnMut(&str, &'a Value)) {
        visit(path, schema);
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let dot = if path.is_empty() { "" } else { "." };
            below(&format!("{path}{dot}{name}"), field, visit);
        }
        for (key, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
            if let Some(inner @ Value::Object(_)) = schema.get(key) {
                below(&format!("{path}{sign}"), inner, visit);
            }
        }
    }
    below("", schema(definition), visit);
}

/// All that the spec, and the object itself, demand.
pub fn demands(definition: &Value) -> BTreeSet<Demand> {
    let mut found = BTreeSet::new();
    walk(definition, &mut |path, schema| {
        if path.starts_with("status") {
            return;
        }
        let mut demand = |path: &str, what: &str| found.insert((path.to_owned(), what.to_owned()));
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            match keyword.as_str() {
                // a list of at least none demands nothing
                "minItems" | "minLength" | "minProperties" if *value == 0 => {}
                "pattern" | "maxLength" | "minLength" | "maxItems" | "minItems"
                | "maxProperties" | "enum" | "minimum" | "maximum" => {
                    demand(path, keyword);
                }
                "required" => {
                    for field in value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                    {
                        if field != "spec" {
                            demand(&format!("{path}.{field}"), "required");
                        }
                    }
                }
                "x-kubernetes-list-type" if value == "map" || value == "set" => {
                    demand(&format!("{path}[]"), "unique");
                }
                "x-kubernetes-validations" => {
                    for rule in value.as_array().into_iter().flatten() {
                        demand(
                            "",
                            rule["message"].as_str().expect("every rule has a message"),
                        );
                    }
                }
                _ => {}
            }
        }
    });
    found
}

/// What a refusal by the API server is about: its field, with indexes and keys of maps as in [`Demand`], and the keyword.
pub fn refused(field: &str, message: &str, definition: &Value) -> Demand {
    let mut path = String::new();
    let mut rest = field;
    // `spec.nodes[0].name`, `spec.options.performance.x`, `spec.…matchLabels.a`
    while let Some(open) = rest.find('[') {
        path.push_str(&rest[..open]);
        path.push_str("[]");
        rest = rest[open..].split_once(']').map_or("", |(_, after)| after);
    }
    path.push_str(rest);
    let mut maps = Vec::new();
    walk(definition, &mut |path, _| {
        maps.extend(path.strip_suffix("{}").map(str::to_owned));
    });
    for map in maps {
        if path
            .strip_prefix(map.as_str())
            .is_some_and(|rest| rest.starts_with(['.', '[']))
        {
            path = format!("{map}{{}}");
        }
    }
    let known = [
        ("should match", "pattern"),
        ("Too long", "maxLength"),
        ("chars long", "minLength"),
        ("Too many", "maxItems"),
        ("should have at least", "minItems"),
        ("Unsupported value", "enum"),
        ("less than or equal to", "maximum"),
        ("greater than or equal to", "minimum"),
        ("Required value", "required"),
        ("Duplicate value", "unique"),
    ];
    let found = known.iter().find(|(words, _)| message.contains(words));
    let mut rules = Vec::new();
    walk(definition, &mut |_, schema| {
        rules.extend(
            schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten(),
        );
    });
    let rule = rules
        .iter()
        .filter_map(|rule| rule["message"].as_str())
        .find(|rule| message.contains(rule));
    match (rule, found) {
        (Some(rule), _) => (String::new(), rule.to_owned()),
        (None, Some((_, "maxItems"))) if message.contains("items") && is_map(definition, &path) => {
            (path, "maxProperties".to_owned())
        }
        (None, Some((_, keyword))) => (path, (*keyword).to_owned()),
        (None, None) => (path, message.to_owned()),
    }
}

fn is_map(definition: &Value, wanted: &str) -> bool {
    let mut map = false;
    walk(definition, &mut |path, schema| {
        map |= path == wanted && schema.get("maxProperties").is_some();
    });
    map
}

/// What is missing in a schema for people and for the cost of rules.
pub fn gaps(definition: &Value) -> Vec<String> {
    let mut gaps = Vec::new();
    walk(definition, &mut |path, schema| {
        let mut gap = |what: &str| gaps.push(format!("{path}: {what}"));
        let undocumented = schema["description"]
            .as_str()
            .is_none_or(|text| text.len() < 8);
        // what is in a list of words, or in a map, is described with the list
        if undocumented && !path.ends_with("[]") && !path.ends_with("{}") {
            gap("no description");
        }
        if path.starts_with("status") {
            return; // written by us alone, and no rule reads it
        }
        match schema["type"].as_str() {
            Some("string") if schema.get("enum").is_none() => {
                for keyword in ["maxLength", "pattern"] {
                    if schema.get(keyword).is_none() {
                        gap(&format!("a string without {keyword}"));
                    }
                }
            }
            Some("array") => {
                for keyword in ["maxItems", "x-kubernetes-list-type"] {
                    if schema.get(keyword).is_none() {
                        gap(&format!("a list without {keyword}"));
                    }
                }
            }
            Some("object")
                if schema.get("properties").is_none()
                    && !path.is_empty()
                    && schema.get("maxProperties").is_none() =>
            {
                gap("a map without maxProperties");
            }
            Some("integer") => {
                for keyword in ["minimum", "maximum"] {
                    if schema.get(keyword).is_none() {
                        gap(&format!("a number without {keyword}"));
                    }
                }
            }
            _ => {}
        }
    });
    gaps
}
