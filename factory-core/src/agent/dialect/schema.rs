//! One act as JSON, for models whose server binds the reply to a schema.
//!
//! The schema keeps to what servers turn into grammars well: constants, strings, one object for each act, the act's name
//! first. Code stands in a list of lines, because small models lose themselves in one long escaped string.

use serde_json::{Value, json};

use super::acts::Act;
use crate::tools::Tool;

/// Each act with the fields that it takes.
const ACTS: [(&str, &[&str]); 8] = [
    ("file", &["path", "lines"]),
    ("edit", &["path", "search", "replace"]),
    ("delete", &["path"]),
    ("read", &["path"]),
    ("search", &["text"]),
    ("run", &["command"]),
    ("ask", &["question"]),
    ("done", &["summary"]),
];

/// The fields that are lists of lines.
const LISTS: [&str; 3] = ["lines", "search", "replace"];

/// Returns the schema of an act.
pub(super) fn schema() -> Value {
    let act = |(name, fields): &(&str, &[&str])| {
        let mut properties = serde_json::Map::new();
        properties.insert("act".to_owned(), json!({"const": name}));
        for field in *fields {
            let kind = if LISTS.contains(field) {
                json!({"type": "array", "items": {"type": "string"}})
            } else {
                json!({"type": "string"})
            };
            properties.insert((*field).to_owned(), kind);
        }
        let required: Vec<&str> = std::iter::once("act").chain(fields.iter().copied()).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    };
    json!({"anyOf": ACTS.iter().map(act).collect::<Vec<_>>()})
}

/// Reads an act; the error says what is wrong with it.
pub(super) fn act(text: &str) -> Result<Act, String> {
    let start = text.find('{').ok_or("the answer is no JSON object")?;
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
    let value = match values.next() {
        Some(Ok(Value::Object(object))) => object,
        Some(Err(error)) => return Err(format!("the answer is no JSON: {error}")),
        _ => return Err("the answer is no JSON object".to_owned()),
    };
    let name = value
        .get("act")
        .and_then(Value::as_str)
        .ok_or("the answer names no `act`")?;
    let text = |field: &str| match value.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(lines)) => Ok(joined(lines)),
        _ => Err(format!("the act `{name}` needs `{field}`")),
    };
    let (tool, arguments) = match name {
        "file" => {
            let mut content = text("lines")?;
            if !content.is_empty() && !content.ends_with('\n') {
                content.push('\n');
            }
            (
                Tool::ChangeFile,
                json!({"path": text("path")?, "content": content}),
            )
        }
        "edit" => (
            Tool::EditFile,
            json!({"path": text("path")?, "edits": [{"search": text("search")?, "replace": text("replace")?}]}),
        ),
        "delete" => (Tool::DeleteFile, json!({"path": text("path")?})),
        "read" => (Tool::ReadFile, json!({"path": text("path")?})),
        "search" => (Tool::Search, json!({"pattern": regex::escape(&text("text")?)})),
        "run" => (Tool::RunCommand, json!({"command": text("command")?})),
        "ask" => (Tool::AskOperator, json!({"question": text("question")?})),
        "done" => (Tool::FinishStep, json!({"summary": text("summary")?})),
        other => {
            let names: Vec<&str> = ACTS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "there is no act `{other}`; the acts are {}",
                names.join(", ")
            ));
        }
    };
    Ok(Act { tool, arguments })
}

fn joined(lines: &[Value]) -> String {
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, tool: Tool, arguments: Value) {
        assert_eq!(act(text), Ok(Act { tool, arguments }), "{text}");
    }

    #[test]
    fn each_act_becomes_a_call() {
        check(
            r#"{"act":"file","path":"a.py","lines":["def f():","    return 1"]}"#,
            Tool::ChangeFile,
            json!({"path": "a.py", "content": "def f():\n    return 1\n"}),
        );
        check(
            r#"{"act":"edit","path":"a","search":["x"],"replace":[]}"#,
            Tool::EditFile,
            json!({"path": "a", "edits": [{"search": "x", "replace": ""}]}),
        );
        check(
            r#" {"act":"done","summary":"all"} "#,
            Tool::FinishStep,
            json!({"summary": "all"}),
        );
        check(
            r#"{"act":"search","text":"f("}"#,
            Tool::Search,
            json!({"pattern": "f\\("}),
        );
    }

    #[test]
    fn what_is_no_act_is_said() {
        for (text, why) in [
            ("I think", "the answer is no JSON object"),
            (
                "{",
                "the answer is no JSON: EOF while parsing an object at line 1 column 1",
            ),
            ("{}", "the answer names no `act`"),
            (
                r#"{"act":"fly"}"#,
                "there is no act `fly`; the acts are file, edit, delete, read, search, run, ask, done",
            ),
            (r#"{"act":"read"}"#, "the act `read` needs `path`"),
        ] {
            assert_eq!(act(text).unwrap_err(), why);
        }
    }

    #[test]
    fn the_schema_is_the_reviewed_one() {
        insta::assert_json_snapshot!("act_schema", schema());
    }
}
