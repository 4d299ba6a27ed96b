//! The schemas that operations name, in the words of this version of `OpenAPI` and as generators of clients read them.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::api::{self, bounds};

/// Returns every schema that operations name.
pub(super) fn all() -> Map<String, Value> {
    let mut bodies = SchemaSettings::openapi3().for_deserialize().into_generator();
    api::describe_bodies(&mut bodies);
    let mut schemas = bodies.take_definitions(true);
    let mut answers = SchemaSettings::openapi3().for_serialize().into_generator();
    api::describe_answers(&mut answers);
    // Where a type is both taken and answered, what is answered is the fuller: everything is there.
    schemas.extend(answers.take_definitions(true));
    schemas.values_mut().for_each(bounds::add);
    schemas.values_mut().for_each(fit);
    schemas
}

/// Says in a schema and all within it what can be said here.
fn fit(schema: &mut Value) {
    plain_tuple(schema);
    plain_words(schema);
    described_default(schema);
    match schema {
        Value::Object(members) => members.values_mut().for_each(fit),
        Value::Array(items) => items.iter_mut().for_each(fit),
        _ => {}
    }
}

/// Describes a tuple as a list of so many items: there is no list with a schema for each place.
fn plain_tuple(schema: &mut Value) {
    let Some(items) = schema.get("items").and_then(Value::as_array) else {
        return;
    };
    let item = match &items[..] {
        [first, others @ ..] if others.iter().all(|other| other == first) => first.clone(),
        _ => json!({ "anyOf": items }),
    };
    schema["items"] = item;
}

/// Describes a choice of single words, each with a description, as one list of words, which generators know as such.
fn plain_words(schema: &mut Value) {
    let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let (mut words, mut described) = (Vec::new(), String::new());
    for choice in choices {
        let (Some(of_it), true) = (choice["enum"].as_array(), choice["type"] == "string") else {
            return;
        };
        for word in of_it.iter().filter_map(Value::as_str) {
            let meaning = choice["description"].as_str().unwrap_or_default();
            described.extend(["\n- `", word, "`: ", meaning]);
        }
        words.extend(of_it.iter().cloned());
    }
    let description = schema["description"].as_str().unwrap_or_default();
    let description = format!("{description}\n{described}");
    *schema = json!({"type": "string", "enum": words, "description": description});
}

/// Says in words what holds where nothing is said. Generators take a property with a default for one that is always
/// there, in requests too.
fn described_default(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    // A description in text tells a schema from a list of properties, one of which may be called so.
    let Some(Value::String(description)) = schema.get("description") else {
        return;
    };
    // Links of the source's own documentation lead nowhere here.
    let mut description = description.replace("[`", "`").replace("`]", "`");
    match schema.remove("default") {
        None | Some(Value::Null | Value::Object(_) | Value::Array(_)) => {}
        Some(default) => {
            description.extend([" `", &default.to_string(), "` where nothing is said."]);
        }
    }
    schema.insert("description".to_owned(), description.into());
}
