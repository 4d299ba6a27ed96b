//! Whether the document is whole, says what it has to say, and shows what is true.

use std::collections::BTreeSet;

use super::*;
use crate::{api, problem};

/// Runs `check` on every operation, with its name.
fn for_each(document: &Value, mut check: impl FnMut(&str, &str, &Value)) {
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(!name.is_empty(), "{method} {path}");
            check(name, method, operation);
        }
    }
}

fn is_said(text: &Value) -> bool {
    text.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// Returns what makes sure that something is as a schema of the document says, with no member that it does not name.
fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    as_json_schema(&mut whole, Within::Nothing);
    jsonschema::draft202012::new(&whole).unwrap()
}

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    /// One of several that describe one value together: none of them names all its members.
    Several,
}

/// Says a schema of `OpenAPI` 3.0 in the words of JSON Schema, and closes it.
fn as_json_schema(schema: &mut Value, within: Within) {
    if let Some(members) = schema.as_object_mut() {
        let is_open = members.contains_key("properties") && !members.contains_key("additionalProperties");
        let is_alone = ["allOf", "anyOf", "oneOf"]
            .iter()
            .all(|several| !members.contains_key(*several));
        if is_open && is_alone && within == Within::Nothing {
            members.insert("additionalProperties".to_owned(), false.into());
        }
        let several = if is_alone || !members.contains_key("properties") && !members.contains_key("allOf") {
            Within::Nothing
        } else {
            Within::Several
        };
        for (name, member) in members.iter_mut() {
            let of = if ["allOf", "anyOf", "oneOf"].contains(&name.as_str()) {
                several
            } else {
                Within::Nothing
            };
            match member {
                Value::Array(items) => items.iter_mut().for_each(|item| as_json_schema(item, of)),
                other => as_json_schema(other, Within::Nothing),
            }
        }
        if members.remove("nullable") == Some(true.into()) {
            let plain = Value::Object(std::mem::take(members));
            *schema = json!({"anyOf": [plain, {"type": "null"}]});
        }
    }
}

#[test]
fn every_operation_and_parameter_says_what_it_is() {
    let document = document(&api::service());
    for_each(&document, |name, _, operation| {
        for text in ["summary", "description"] {
            assert!(is_said(&operation[text]), "{name} has no {text}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(is_said(&parameter["description"]), "{name}: {parameter}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(is_said(&response["description"]), "{name}: {status}");
        }
    });
    for tag in document["tags"].as_array().unwrap() {
        assert!(is_said(&tag["description"]), "{tag}");
    }
}

#[test]
fn every_body_and_answer_has_an_example_that_is_one() {
    let document = document(&api::service());
    let check = |what: &str, media: &Value| {
        let example = media
            .get("example")
            .unwrap_or_else(|| panic!("{what} has no example"));
        let validator = validator(&document, &media["schema"]);
        let wrong: Vec<_> = validator
            .iter_errors(example)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
        let mut other = example.clone();
        other["unknown"] = true.into();
        assert!(!validator.is_valid(&other), "{what} may have any member");
    };
    for_each(&document, |name, _, operation| {
        if let Some(content) = operation.pointer("/requestBody/content") {
            check(name, &content["application/json"]);
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with('2') && response["content"].get("application/json").is_some() {
                check(name, &response["content"]["application/json"]);
            }
        }
    });
}

#[test]
fn every_operation_says_what_it_may_refuse_and_how() {
    let document = document(&api::service());
    let validator = validator(&document, &json!({"$ref": "#/components/schemas/Problem"}));
    let mut shown = BTreeSet::new();
    for_each(&document, |name, method, operation| {
        let responses = operation["responses"].as_object().unwrap();
        let mut expected = vec!["400", "408", "413", "415", "421", "429", "500", "503"];
        if name != "health_live" {
            expected.extend(["401", "403"]);
        }
        if method != "get" {
            expected.push("507");
        }
        if operation["requestBody"].is_object() {
            expected.push("422");
        }
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        if parameters.any(|parameter| parameter["in"] == "path") {
            expected.push("404");
        }
        for status in expected {
            assert!(responses.contains_key(status), "{name} does not say {status}");
        }
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
            let content = &response["content"][problem::MEDIA_TYPE];
            assert_eq!(
                content["schema"]["$ref"], "#/components/schemas/Problem",
                "{name}: {status}"
            );
            let examples = content["examples"].as_object().unwrap();
            assert!(!examples.is_empty(), "{name}: {status}");
            for (code, reference) in examples {
                let pointer = reference["$ref"].as_str().unwrap().trim_start_matches('#');
                let example = &document.pointer(pointer).unwrap()["value"];
                assert!(validator.is_valid(example), "{code}: {example}");
                assert_eq!(example["code"], code.as_str());
                assert_eq!(example["status"].to_string(), *status, "{name}: {code}");
                shown.insert(code.clone());
            }
        }
    });
    let examples = document["components"]["examples"].as_object().unwrap();
    assert_eq!(
        shown,
        examples.keys().cloned().collect(),
        "every example is one of some operation's"
    );
}

#[test]
fn every_number_has_its_bounds() {
    fn check(place: &str, schema: &Value) {
        if schema["type"] == "integer" && schema.get("format").is_some() {
            assert!(
                schema["minimum"].is_number() && schema["maximum"].is_number(),
                "{place}: {schema}"
            );
        }
        match schema {
            Value::Object(members) => members
                .iter()
                .for_each(|(name, member)| check(&format!("{place}/{name}"), member)),
            Value::Array(items) => items.iter().for_each(|item| check(place, item)),
            _ => {}
        }
    }
    let document = document(&api::service());
    check("", &document["components"]["schemas"]);
    for_each(&document, |name, _, operation| {
        check(name, &operation["parameters"]);
    });
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => {
                        found.insert(target.clone());
                    }
                    Value::Object(mapping) if name == "mapping" => {
                        found.extend(mapping.values().filter_map(Value::as_str).map(str::to_owned));
                    }
                    other => references(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_whole() {
    let document = document(&api::service());
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').expect("references stay inside");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        assert_ne!(schema, &json!({"type": "object"}), "{name} is not described");
        assert!(
            found.contains(&format!("#/components/schemas/{name}")),
            "nothing names {name}"
        );
    }
}

#[test]
fn the_document_is_the_known_one() {
    let document = document(&api::service());
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}
