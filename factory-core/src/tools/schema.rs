//! JSON Schemas in the subset that every model server takes: no references, no titles, no unions with null.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// Returns the schema of `T`.
pub(super) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = Value::from(settings.into_generator().into_root_schema_for::<T>());
    plain(&mut schema);
    // The description of the struct is the tool's own, said elsewhere.
    if let Some(root) = schema.as_object_mut() {
        root.remove("description");
        root.entry("properties")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    schema
}

/// Returns the schema as one short line for an error: `{"path": string, "limit"?: integer}`.
pub(super) fn brief(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("object") => {
            let required: Vec<&str> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields: Vec<String> = properties
                .map(|(name, schema)| {
                    let mark = if required.contains(&name.as_str()) {
                        ""
                    } else {
                        "?"
                    };
                    format!("\"{name}\"{mark}: {}", brief(schema))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Some("array") => format!("[{}]", brief(&schema["items"])),
        Some(name) => name.to_owned(),
        None => "value".to_owned(),
    }
}

fn plain(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // `properties` maps names to schemas: a property may be called `title`.
            for (keyword, value) in map.iter_mut() {
                if keyword == "properties" {
                    value
                        .as_object_mut()
                        .into_iter()
                        .flatten()
                        .for_each(|(_, schema)| plain(schema));
                } else {
                    plain(value);
                }
            }
            for keyword in ["$schema", "title", "format", "default", "minimum", "maximum"] {
                if map.get(keyword).is_some_and(|value| !value.is_object()) {
                    map.remove(keyword);
                }
            }
            if let Some(kinds) = map.get("type").and_then(Value::as_array) {
                let only = kinds.iter().find(|kind| *kind != "null").cloned();
                map.extend(only.map(|kind| ("type".to_owned(), kind)));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}
