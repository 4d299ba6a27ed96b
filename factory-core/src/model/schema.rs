//! How the vocabulary's texts and the event are described in JSON Schema, for the documents of the HTTP API.
//!
//! Structs and enums describe themselves; here stands what serde reads and writes by hand.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::{Actor, Event, EventId, EventKind, RunId, Seq, StepId, Temperature, Timestamp};

/// Returns the schema of a hash.
pub(super) fn hexadecimal(what: &str, lengths: &[usize]) -> Schema {
    let lengths: Vec<String> = lengths
        .iter()
        .map(|length| format!("[0-9a-f]{{{length}}}"))
        .collect();
    json_schema!({
        "type": "string",
        "description": what,
        "pattern": format!("^({})$", lengths.join("|")),
    })
}

impl JsonSchema for Actor {
    fn schema_name() -> Cow<'static, str> {
        "Actor".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Who caused it: `operator:NAME`, `agent:TYPE` or `system`.",
            "pattern": "^(operator:.+|agent:.+|system)$",
        })
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "A moment in UTC with microseconds, as 2026-01-31T12:00:00.000000Z.",
        })
    }
}

impl JsonSchema for Temperature {
    fn schema_name() -> Cow<'static, str> {
        "Temperature".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": 2,
            "description": "How freely a reply is drawn, from 0 (always the likeliest) to 2.",
        })
    }
}

/// Returns the name of the schema that describes the events of one type, as `RunCreatedEvent` for `RUN_CREATED`.
fn name_of(type_name: &str) -> String {
    let words = type_name.split('_').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        format!("{first}{}", rest.to_lowercase())
    });
    format!("{}Event", words.collect::<String>())
}

/// Takes out the definition of a payload that is one of several objects, and returns these whole: generators of clients
/// put together objects, and no choices of them.
fn choices(generator: &mut SchemaGenerator, payload: &Schema) -> Option<Vec<Value>> {
    let name = payload.get("$ref")?.as_str()?.rsplit('/').next()?;
    let definition = generator.definitions().get(name)?.clone();
    let choices = definition.get("oneOf")?.as_array()?.clone();
    generator.definitions_mut().remove(name);
    let common = |member: &str| definition.get(member).cloned().unwrap_or_default();
    let whole = choices.into_iter().map(|mut choice| {
        let properties = common("properties");
        if let (Some(own), Some(common)) = (choice["properties"].as_object_mut(), properties.as_object()) {
            own.extend(common.clone());
        }
        if let (Some(own), Some(common)) = (choice["required"].as_array_mut(), common("required").as_array())
        {
            own.extend(common.clone());
        }
        choice
    });
    Some(whole.collect())
}

fn one_of(choices: impl Iterator<Item = Value>) -> Value {
    let mut choices: Vec<Value> = choices.collect();
    match choices.pop() {
        Some(only) if choices.is_empty() => only,
        last => {
            choices.extend(last);
            json!({ "oneOf": choices })
        }
    }
}

/// Adds the version to what an object has.
fn with_version(mut object: Value, version: u32) -> Value {
    object["properties"]["v"] =
        json!({"type": "integer", "enum": [version], "description": "The payload's version."});
    match object["required"].as_array_mut() {
        Some(required) => required.push("v".into()),
        None => object["required"] = json!(["v"]),
    }
    object
}

impl JsonSchema for Event {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let common = json!({
            "id": generator.subschema_for::<EventId>(),
            "run_id": generator.subschema_for::<RunId>(),
            "seq": generator.subschema_for::<Seq>(),
            "actor": generator.subschema_for::<Actor>(),
            "cause": generator.subschema_for::<Option<Seq>>(),
            "step_id": generator.subschema_for::<Option<StepId>>(),
            "created_at": generator.subschema_for::<Timestamp>(),
        });
        let required: Vec<&str> = [
            "id",
            "run_id",
            "seq",
            "type",
            "actor",
            "cause",
            "step_id",
            "payload",
            "created_at",
        ]
        .into();
        let object = |type_schema: Value, payload: Value, description: String| {
            let mut properties = common.as_object().cloned().unwrap_or_default();
            properties.insert("type".to_owned(), type_schema);
            properties.insert("payload".to_owned(), payload);
            json!({
                "type": "object",
                "description": description,
                "properties": properties,
                "required": required,
            })
        };
        let prefix = generator
            .settings()
            .definitions_path
            .trim_end_matches('/')
            .to_owned();
        let reference = |name: &str| format!("#{prefix}/{name}");
        let (mut variants, mut mapping) = (Vec::new(), Map::new());
        for (type_name, version, payload) in EventKind::payload_schemas(generator) {
            let payload = match choices(generator, &payload) {
                Some(choices) => one_of(choices.into_iter().map(|choice| with_version(choice, version))),
                None => json!({"allOf": [payload, with_version(json!({"type": "object"}), version)]}),
            };
            let schema = object(
                json!({"type": "string", "enum": [type_name]}),
                payload,
                format!("An event of the type `{type_name}`."),
            );
            let name = name_of(type_name);
            let reference = reference(&name);
            generator.definitions_mut().insert(name, schema);
            mapping.insert(type_name.to_owned(), Value::String(reference.clone()));
            variants.push(json!({"$ref": reference}));
        }
        let unknown = object(
            json!({"type": "string"}),
            json!({"description": "Whatever was stored."}),
            "An event of a type, or with a payload, that this program does not know (an older or a newer one wrote \
             it), kept and served as it was stored."
                .to_owned(),
        );
        // Apart from the unknown ones, so that whoever knows the type's name knows the payload's form.
        let known = json!({
            "description": "What happened in a run; `type` says what, and `payload` has its details.",
            "oneOf": variants,
            "discriminator": {"propertyName": "type", "mapping": mapping},
        });
        generator.definitions_mut().insert("KnownEvent".to_owned(), known);
        generator
            .definitions_mut()
            .insert("UnknownEvent".to_owned(), unknown);
        json_schema!({
            "description": "What happened in a run. Read it as a `KnownEvent` where you know its `type`.",
            "anyOf": [{"$ref": reference("KnownEvent")}, {"$ref": reference("UnknownEvent")}],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::payload::DirectiveReceived;

    #[test]
    fn an_event_is_described_as_it_is_written() {
        let schema = schemars::generate::SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator()
            .into_root_schema_for::<Event>();
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        let event = |kind: EventKind| Event {
            id: EventId(1),
            run_id: RunId(1),
            seq: Seq(1),
            actor: Actor::System,
            cause: None,
            step_id: None,
            kind,
            created_at: Timestamp::UNKNOWN,
        };
        let known = serde_json::to_value(event(DirectiveReceived { text: "x".to_owned() }.into())).unwrap();
        assert!(validator.is_valid(&known), "{known}");
        let mut directive = schema.as_value()["$defs"]["DirectiveReceivedEvent"].clone();
        directive["$defs"] = schema.as_value()["$defs"].clone();
        let directive = jsonschema::validator_for(&directive).unwrap();
        assert!(directive.is_valid(&known), "{known}");
        let mut other = known;
        other["payload"] = json!({"v": 1});
        assert!(
            !directive.is_valid(&other),
            "a payload without its text is no directive"
        );
        let unknown = event(EventKind::from_stored(
            "STORY_TOLD".to_owned(),
            Some("no json".to_owned()),
        ));
        assert!(validator.is_valid(&serde_json::to_value(unknown).unwrap()));
    }

    #[test]
    fn types_are_named_after_what_they_say() {
        assert_eq!(name_of("LLM_REQUESTED"), "LlmRequestedEvent");
    }
}
