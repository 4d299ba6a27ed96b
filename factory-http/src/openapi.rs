//! The `OpenAPI` document: what the operations say of themselves, with the schemas that serde reads and writes by and
//! with everything that goes with any operation, so that the document is true.

use poem_openapi::OpenApiService;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::api::{self, Api};
use crate::problem;

/// What stands before the operations.
const DESCRIPTION: &str = "\
A goal becomes an approved commit: an agent works on it in a checkout of its own, the project's checks prove the result, \
you decide.

**Who may.** Every operation but `/health/live` takes `Authorization: Bearer TOKEN`. `factory token` prints the owner's; \
`factory token add NAME --role viewer|operator|admin` makes others. Viewers may read, operators may file and steer runs, \
admins set what commands run and where.

**Lists** come in pages: give `next_cursor` back as `cursor`, with the same filters, until it is null.

**Once.** Operations that make something take an `Idempotency-Key`: the same key with the same request answers what was \
answered before, for 24 hours, and makes nothing anew.

**Problems** are `application/problem+json` (RFC 9457). `code` is stable; `errors` names the parts of the request.

Live streams of events stand in the AsyncAPI document at `/asyncapi.json`.";

/// A problem that an operation may answer with: its status and what it means.
type Refusal = (&'static str, &'static str);

/// What any operation may answer that takes a credential.
const ALWAYS: [Refusal; 8] = [
    (
        "400",
        "The request cannot be read: a parameter, a header or the JSON itself.",
    ),
    ("401", "No credential came with it, or none that holds."),
    (
        "403",
        "The credential's role may not do this, or a foreign page asked for it.",
    ),
    ("408", "The request did not come whole in time."),
    ("421", "The `Host` is none that this server answers for."),
    (
        "429",
        "Too many requests that failed to show a credential, or too many at once; `Retry-After` says when.",
    ),
    ("500", "A defect of the server. Nothing that was stored is lost."),
    (
        "503",
        "The server is about to end, or too busy; `Retry-After` says when.",
    ),
];

/// What operations with a path parameter may answer.
const NAMED: [Refusal; 1] = [("404", "There is no such thing.")];

/// What operations with a body may answer.
const BODIED: [Refusal; 4] = [
    ("413", "The body is too large."),
    ("415", "The body is no `application/json`."),
    (
        "422",
        "The body does not have the form that the operation takes, or says what cannot be done.",
    ),
    ("507", "A disk is full. Make room, then say it again."),
];

/// What operations that change something may answer.
const CHANGING: [Refusal; 2] = [
    (
        "409",
        "Things do not stand so that this can be done; `allowed` says what can.",
    ),
    ("422", "It says what cannot be done."),
];

/// Returns the document.
pub(crate) fn document(service: &OpenApiService<Api, ()>) -> Value {
    let mut document: Value = serde_json::from_str(&service.spec()).expect("the library writes JSON");
    document["info"]["description"] = DESCRIPTION.into();
    document["info"]["license"] = json!({"name": "MIT OR Apache-2.0"});
    document["servers"] = json!([{"url": "/"}]);
    document["security"] = json!([{"token": []}]);
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer", "description": "A token of `factory token`."}
    });
    let own = schemas();
    match document["components"]["schemas"].as_object_mut() {
        Some(known) => known.extend(own),
        None => document["components"]["schemas"] = Value::Object(own),
    }
    for (path, operations) in members(&mut document["paths"]) {
        for (method, operation) in members(operations) {
            complete(path, method, operation);
        }
    }
    document
}

/// Returns every schema that operations name.
fn schemas() -> Map<String, Value> {
    let mut bodies = SchemaSettings::openapi3().for_deserialize().into_generator();
    api::describe_bodies(&mut bodies);
    let mut schemas = bodies.take_definitions(true);
    let mut answers = SchemaSettings::openapi3().for_serialize().into_generator();
    api::describe_answers(&mut answers);
    // Where a type is both taken and answered, what is answered is the fuller: everything is there.
    schemas.extend(answers.take_definitions(true));
    schemas
}

/// Adds what goes with any operation of its kind.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let is_open = path == "/health/live";
    if is_open {
        operation["security"] = json!([]);
    }
    let mut refusals: Vec<Refusal> = ALWAYS
        .into_iter()
        .filter(|(status, _)| !(is_open && matches!(*status, "401" | "403")))
        .collect();
    if path.contains('{') {
        refusals.extend(NAMED);
    }
    if !operation["requestBody"].is_null() {
        refusals.extend(BODIED);
    }
    if method != "get" {
        refusals.extend(CHANGING);
    }
    let responses = operation["responses"]
        .as_object_mut()
        .expect("every operation answers something");
    for (status, description) in refusals {
        responses.entry(status).or_insert_with(|| {
            json!({
                "description": description,
                "content": {problem::MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            })
        });
    }
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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
}
