//! The `OpenAPI` document: what the operations say of themselves, with the schemas that serde reads and writes by and
//! with everything that goes with any operation, so that the document is true.

mod examples;
mod links;
mod parameters;
mod refusals;
mod schemas;
#[cfg(test)]
mod tests;

use poem_openapi::OpenApiService;
use serde_json::{Value, json};

use crate::api::Api;

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
    let own = schemas::all();
    match document["components"]["schemas"].as_object_mut() {
        Some(known) => known.extend(own),
        None => document["components"]["schemas"] = Value::Object(own),
    }
    document["components"]["examples"] = examples::of_every_problem();
    let schemas = document["components"]["schemas"].clone();
    for (path, operations) in members(&mut document["paths"]) {
        for (method, operation) in members(operations) {
            complete(path, method, operation);
            examples::add(operation, &schemas);
        }
    }
    links::add(&mut document);
    document
}

/// Adds what goes with any operation of its kind.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let is_open = path == "/health/live";
    if is_open {
        operation["security"] = json!([]);
    }
    if !has_parameter(operation, "Idempotency-Key") {
        for (_, response) in members(&mut operation["responses"]) {
            if let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) {
                headers.remove("Idempotency-Replayed");
            }
        }
    }
    // The library has no words for what is no JSON.
    if let Some(response) = operation.pointer_mut("/responses/200")
        && response["description"] == ""
    {
        response["description"] = "As asked.".into();
    }
    parameters::complete(operation);
    refusals::add(path, method, is_open, operation);
}

fn has_parameter(operation: &Value, name: &str) -> bool {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.into_iter().any(|parameter| parameter["name"] == name)
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}
