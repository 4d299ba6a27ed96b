//! What parameters can hold, where the library that reads them does not say it.

use serde_json::{Value, json};

/// Completes the parameters of an operation.
pub(super) fn complete(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let bounds = match (parameter["in"].as_str(), parameter["name"].as_str()) {
            (Some("header"), Some("Idempotency-Key")) => {
                json!({"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})
            }
            (Some("query"), Some("cursor")) => json!({"pattern": "^[A-Za-z0-9_-]+$"}),
            (place, _) => numbers(place, parameter["schema"]["format"].as_str()),
        };
        let known = parameter["schema"].as_object_mut().into_iter();
        for (known, bounds) in known.zip(bounds.as_object().cloned()) {
            for (name, bound) in bounds {
                known.entry(name).or_insert(bound);
            }
        }
    }
}

/// Returns the bounds of a number. What a path names is counted from 1.
fn numbers(place: Option<&str>, format: Option<&str>) -> Value {
    let is_name = place == Some("path");
    let least = i64::from(is_name);
    match format {
        Some("uint32") => json!({"minimum": least, "maximum": u32::MAX}),
        Some("uint64") => json!({"minimum": least, "maximum": u64::MAX}),
        Some("int64") if is_name => json!({"minimum": least, "maximum": i64::MAX}),
        Some("int64") => json!({"minimum": i64::MIN, "maximum": i64::MAX}),
        _ => Value::Null,
    }
}
