//! Examples: of every body, every answer and every problem, so that whoever reads the document sees what goes over the wire.
//! A test holds them to their schemas.

mod answers;
mod problems;

use serde_json::{Map, Value, json};

/// The media type of bodies and answers. What is answered in another one has no example.
const JSON: &str = "application~1json";

/// Adds the examples of an operation's body, which stands beside its type, and of what it answers where it did what was
/// asked.
pub(super) fn add(operation: &mut Value, schemas: &Value) {
    if let Some(media) = operation.pointer_mut(&format!("/requestBody/content/{JSON}")) {
        let schema = media["schema"]["$ref"].as_str().unwrap_or_default();
        let name = schema.rsplit('/').next().unwrap_or_default();
        set(media, schemas[name].get("example").cloned());
    }
    let answer = answers::of(operation["operationId"].as_str().unwrap_or_default());
    for status in ["200", "201"] {
        if let Some(media) = operation.pointer_mut(&format!("/responses/{status}/content/{JSON}")) {
            set(media, answer.clone());
        }
    }
}

fn set(media: &mut Value, example: Option<Value>) {
    if let Some(example) = example {
        media["example"] = example;
    }
}

/// Returns an example of every problem, for the place in the document where all refusals find them.
pub(super) fn of_every_problem() -> Value {
    let examples = problems::all().map(|(code, value)| {
        let meaning = crate::problem::codes::meaning(code).unwrap_or_default();
        (code.to_owned(), json!({"summary": meaning, "value": value}))
    });
    Value::Object(examples.collect())
}

/// Returns a refusal's references to the examples of the problems that it may be.
pub(super) fn of_problems(codes: &[&str]) -> Value {
    let references = codes.iter().map(|code| {
        let reference = json!({"$ref": format!("#/components/examples/{code}")});
        ((*code).to_owned(), reference)
    });
    Value::Object(references.collect::<Map<_, _>>())
}
