//! Ollama's own description of its protocol, which every request and every sample reply of the tests is held to.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// What we send although the description does not have it: the schema, the field, and why.
pub(crate) const BEYOND: [(&str, &str, &str); 7] = [
    (
        "ChatRequest",
        "truncate",
        "the server has it, and leaves out messages in silence without it",
    ),
    (
        "ChatRequest",
        "shift",
        "the server has it, and drops the beginning of the prompt in silence without it",
    ),
    ("GenerateRequest", "truncate", "as in a chat"),
    ("GenerateRequest", "shift", "as in a chat"),
    (
        "ChatMessage",
        "tool_name",
        "the server has it, and templates name the tool that spoke by it",
    ),
    (
        "ChatMessage",
        "tool_call_id",
        "newer servers have it, for templates that name the call; others do not read it",
    ),
    (
        "ToolCall",
        "id",
        "newer servers have it, and give it themselves; others do not read it",
    ),
];

/// The description, with its validators compiled once.
pub(crate) static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::without(None));

pub(crate) struct Contract {
    /// By method and path, and closed: a field that the description does not have is a fault.
    requests: BTreeMap<(String, String), Validator>,
    /// By path: what a whole answer is held to, and what each line of a stream is.
    replies: BTreeMap<String, Vec<(String, Validator)>>,
    error: Validator,
}

impl Contract {
    /// Returns the contract, with all that we add to it but one.
    pub(crate) fn without(left_out: Option<(&str, &str)>) -> Self {
        let described = description();
        let components = &described["components"];
        let mut closed = components.clone();
        close(&mut closed);
        for (schema, field, _) in BEYOND {
            let properties = &mut closed["schemas"][schema]["properties"];
            assert!(
                properties.is_object() && properties.get(field).is_none(),
                "the description has {schema}.{field} by now, or {schema} no more"
            );
            if left_out != Some((schema, field)) {
                properties[field] = json!(true);
            }
        }
        let mut requests = BTreeMap::new();
        let mut replies = BTreeMap::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                let schema = if schema.is_null() {
                    &json!({"type": "null"})
                } else {
                    schema
                };
                requests.insert((method.to_uppercase(), path.clone()), compile(schema, &closed));
                let content = operation["responses"]["200"]["content"].as_object();
                let kinds = content.into_iter().flatten();
                let kinds =
                    kinds.map(|(kind, content)| (kind.clone(), compile(&content["schema"], components)));
                replies.insert(path.clone(), kinds.collect());
            }
        }
        let error = compile(&json!({"$ref": "#/components/schemas/ErrorResponse"}), components);
        Self {
            requests,
            replies,
            error,
        }
    }

    /// Returns what is wrong with a request.
    pub(crate) fn request(&self, method: &str, path: &str, body: &Value) -> Result<(), String> {
        let validator = self
            .requests
            .get(&(method.to_owned(), path.to_owned()))
            .ok_or_else(|| format!("the contract has no {method} {path}"))?;
        judge(validator, body).map_err(|fault| format!("{method} {path} breaks the contract: {fault}"))
    }

    /// Returns what is wrong with an answer, or with a line of a stream.
    pub(crate) fn reply(&self, path: &str, line: &Value) -> Result<(), String> {
        if line.get("error").is_some() {
            return judge(&self.error, line);
        }
        // The description forgets the last line of a stream, which is like a whole answer.
        for (kind, validator) in &self.replies[path] {
            judge(validator, line)
                .map_err(|fault| format!("{kind} of {path} breaks the contract: {fault} in {line}"))?;
        }
        Ok(())
    }
}

/// Reads the description.
fn description() -> Value {
    let text = include_str!("../contracts/ollama.openapi.yaml");
    serde_saphyr::from_str(text).unwrap()
}

/// Refuses fields that an object's schema does not name, unless it says itself what it takes.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("properties").is_some_and(Value::is_object)
                && !fields.contains_key("additionalProperties")
            {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn compile(schema: &Value, components: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = components.clone();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn judge(validator: &Validator, value: &Value) -> Result<(), String> {
    validator
        .validate(value)
        .map_err(|error| format!("{error} at {}", error.instance_path()))
}
