//! The bounds of numbers, which the types of requests have and their schemas do not say: what is too large for its type
//! is then named with its place, like anything else.

use serde_json::{Value, json};

/// Adds to a schema and all within it the bounds of the numbers' types.
pub(crate) fn add(schema: &mut Value) {
    let bounds = match schema.get("format").and_then(Value::as_str) {
        Some("int64") => Some((json!(i64::MIN), json!(i64::MAX))),
        Some("uint64") => Some((json!(0), json!(u64::MAX))),
        Some("uint32") => Some((json!(0), json!(u32::MAX))),
        _ => None,
    };
    match (schema, bounds) {
        (Value::Object(members), Some((least, most))) => {
            members.entry("minimum").or_insert(least);
            members.entry("maximum").or_insert(most);
        }
        (Value::Object(members), None) => members.values_mut().for_each(add),
        (Value::Array(items), _) => items.iter_mut().for_each(add),
        _ => {}
    }
}
