//! Tool calls that a model printed into its text instead of making them: in whatever dress it was trained with.
//!
//! Read are fenced and bare JSON, `name({…})`, and the usual tags, several at once and with prose around them. What is
//! mended in JSON is what has one reading only (raw line ends within a string, a comma before a closing bracket);
//! nothing is added. Quoted code that happens to be JSON is no call: an object must name a tool and hold its arguments.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

/// The most calls that are taken from one text.
const MAX_CALLS: usize = 32;
/// The most places at which JSON is looked for, so that a hostile text takes bounded time.
const MAX_PLACES: usize = 4096;
/// The longest name of a tool.
const MAX_NAME: usize = 64;

/// A call that was read out of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrintedCall {
    pub(super) name: String,
    /// The arguments as JSON.
    pub(super) arguments: String,
}

/// What a text holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Printed {
    /// No call.
    Nothing,
    /// Calls, in order.
    Calls(Vec<PrintedCall>),
    /// Something that is meant as a call and cannot be read.
    Broken(String),
}

/// Returns the calls that a text holds. `is_tool` tells the names of tools.
pub(super) fn calls(text: &str, is_tool: &dyn Fn(&str) -> bool) -> Printed {
    let mut found: Vec<(Range<usize>, PrintedCall)> = Vec::new();
    tagged_parameters(text, &mut found);
    named_tags(text, is_tool, &mut found);
    let broken = json_calls(text, is_tool, &mut found);
    found.sort_by_key(|(range, _)| range.start);
    let mut calls: Vec<PrintedCall> = Vec::new();
    let mut end = 0;
    for (range, call) in found {
        // What stands within an argument of another call is that argument's text.
        if range.start >= end && calls.len() < MAX_CALLS {
            end = range.end;
            calls.push(call);
        }
    }
    match (calls.is_empty(), broken) {
        (false, _) => Printed::Calls(calls),
        (true, Some(why)) => Printed::Broken(why),
        (true, None) => Printed::Nothing,
    }
}

/// `<function=NAME><parameter=KEY>VALUE</parameter></function>` and `<invoke name="NAME"><parameter name="KEY">…`.
fn tagged_parameters(text: &str, found: &mut Vec<(Range<usize>, PrintedCall)>) {
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?s)<(?:function=|invoke name=")([\w.-]{1,64})"?\s*>(.*?)</(?:function|invoke)>"#)
            .expect("the pattern is constant")
    });
    static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?s)<parameter(?:=| name=")([\w.-]{1,64})"?\s*>(.*?)</parameter>"#)
            .expect("the pattern is constant")
    });
    for call in CALL.captures_iter(text).take(MAX_CALLS) {
        let whole = call.get(0).expect("a match has a whole").range();
        let parameters = PARAMETER.captures_iter(&call[2]);
        let arguments = parameters.map(|parameter| (parameter[1].to_owned(), scalar(&parameter[2])));
        found.push((whole, printed(&call[1], arguments.collect())));
    }
}

/// `<read_file><path>x</path></read_file>`: a tag with a tool's name around one tag for each argument.
fn named_tags(text: &str, is_tool: &dyn Fn(&str) -> bool, found: &mut Vec<(Range<usize>, PrintedCall)>) {
    static OPEN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<([a-z_]{1,64})>").expect("the pattern is constant"));
    let mut at = 0;
    while let Some(open) = OPEN.captures_at(text, at) {
        let (whole, name) = (open.get(0).expect("a match has a whole"), &open[1]);
        at = whole.end();
        if !is_tool(name) || found.len() >= MAX_CALLS {
            continue;
        }
        let Some(length) = text[at..].find(&format!("</{name}>")) else {
            continue;
        };
        let inner = &text[at..at + length];
        let mut arguments = Map::new();
        let mut rest = 0;
        while let Some(key) = OPEN.captures_at(inner, rest) {
            let (tag, key) = (key.get(0).expect("a match has a whole"), key[1].to_owned());
            rest = tag.end();
            if let Some(length) = inner[rest..].find(&format!("</{key}>")) {
                arguments.insert(key.clone(), scalar(&inner[rest..rest + length]));
                rest += length;
            }
        }
        let end = at + length + name.len() + 3;
        if !arguments.is_empty() || inner.trim().is_empty() {
            found.push((whole.start()..end, printed(name, arguments)));
            at = end;
        }
    }
}

/// JSON in the text, fenced, tagged or bare. Returns what is wrong with the first that is meant as a call and is none.
fn json_calls(
    text: &str,
    is_tool: &dyn Fn(&str) -> bool,
    found: &mut Vec<(Range<usize>, PrintedCall)>,
) -> Option<String> {
    let mut broken = None;
    let mut at = 0;
    for _ in 0..MAX_PLACES {
        let Some(start) = text[at..].find(['{', '[']).map(|offset| at + offset) else {
            break;
        };
        match json_at(&text[start..]) {
            Ok((value, length)) => {
                let mut calls = Vec::new();
                if let Some(name) = called_name(&text[..start], &text[start + length..], is_tool)
                    && let Value::Object(arguments) = &value
                {
                    calls.push(printed(name, arguments.clone()));
                } else {
                    calls_of(&value, is_tool, &mut calls);
                }
                // The calls of a list share its place: each begins where the one before it ends.
                let last = calls.len().saturating_sub(1);
                found.extend(calls.into_iter().enumerate().map(|(index, call)| {
                    let end = if index == last { start + length } else { start };
                    (start..end, call)
                }));
                at = start + length;
            }
            Err(why) => {
                if broken.is_none() && is_meant_as_call(&text[start..], is_tool) {
                    broken = Some(why);
                }
                at = start + 1;
            }
        }
    }
    broken
}

/// Returns the name where the text before an object is `name(` and what follows is `)`.
fn called_name<'a>(before: &'a str, after: &str, is_tool: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let before = before.strip_suffix('(')?;
    let start = before
        .rfind(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .map_or(0, |index| index + 1);
    let name = &before[start..];
    (is_tool(name) && after.trim_start().starts_with(')')).then_some(name)
}

fn calls_of(value: &Value, is_tool: &dyn Fn(&str) -> bool, calls: &mut Vec<PrintedCall>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| calls_of(item, is_tool, calls)),
        Value::Object(object) => {
            if let Some(all @ Value::Array(_)) = object.get("tool_calls") {
                calls_of(all, is_tool, calls);
            } else if let Some(call @ Value::Object(_)) = object.get("function") {
                calls_of(call, is_tool, calls);
            } else {
                calls.extend(call_of(object, is_tool));
            }
        }
        _ => {}
    }
}

/// Reads an object as a call: it names a tool and holds its arguments, in one of the usual spellings.
fn call_of(object: &Map<String, Value>, is_tool: &dyn Fn(&str) -> bool) -> Option<PrintedCall> {
    const NAMES: [&str; 6] = ["name", "tool", "tool_name", "function", "action", "act"];
    const ARGUMENTS: [&str; 6] = [
        "arguments",
        "parameters",
        "args",
        "input",
        "action_input",
        "params",
    ];
    let (key, name) = NAMES
        .iter()
        .find_map(|key| Some((*key, object.get(*key)?.as_str()?)))?;
    let name = name.trim().trim_start_matches("functions.");
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    let arguments = ARGUMENTS.iter().find_map(|key| object.get(*key));
    match arguments {
        Some(Value::Object(arguments)) => Some(printed(name, arguments.clone())),
        // The object within a string, as some protocols have it.
        Some(Value::String(text)) if is_tool(name) => Some(PrintedCall {
            name: name.to_owned(),
            arguments: text.clone(),
        }),
        Some(Value::Null) | None if is_tool(name) => {
            // The arguments beside the name.
            let beside = object
                .iter()
                .filter(|(other, _)| *other != key && !ARGUMENTS.contains(&other.as_str()));
            Some(printed(
                name,
                beside.map(|(key, value)| (key.clone(), value.clone())).collect(),
            ))
        }
        _ => None,
    }
}

fn printed(name: &str, arguments: Map<String, Value>) -> PrintedCall {
    PrintedCall {
        name: name.to_owned(),
        arguments: Value::Object(arguments).to_string(),
    }
}

/// Reads a tag's content: JSON where it is a list, an object or a number, else the text without the line ends around it.
fn scalar(text: &str) -> Value {
    let trimmed = text.trim();
    match serde_json::from_str::<Value>(trimmed) {
        Ok(value @ (Value::Array(_) | Value::Object(_) | Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(
            text.strip_prefix('\n')
                .unwrap_or(text)
                .trim_end_matches('\n')
                .to_owned(),
        ),
    }
}

/// Reads the JSON value at the start of a text and how long it is, mended where that leaves no doubt.
fn json_at(text: &str) -> Result<(Value, usize), String> {
    let plain = one_value(text);
    let Err(error) = plain else {
        return plain.map_err(|error| error.to_string());
    };
    let Some(end) = balanced(text) else {
        return Err(error.to_string());
    };
    let mended = mended(&text[..end]);
    match serde_json::from_str(&mended) {
        Ok(value) => Ok((value, end)),
        Err(error) => Err(error.to_string()),
    }
}

fn one_value(text: &str) -> Result<(Value, usize), serde_json::Error> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next().transpose()?;
    Ok((value.unwrap_or(Value::Null), values.byte_offset()))
}

/// Returns where the bracket at the start of a text is closed, strings counted as JSON has them.
fn balanced(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Escapes raw control characters within strings and drops commas before closing brackets.
fn mended(text: &str) -> String {
    let mut mended = String::with_capacity(text.len() + 16);
    let (mut in_string, mut escaped) = (false, false);
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => {
                escaped = false;
                mended.push(character);
            }
            '\\' if in_string => {
                escaped = true;
                mended.push(character);
            }
            '"' => {
                in_string = !in_string;
                mended.push(character);
            }
            '\n' if in_string => mended.push_str("\\n"),
            '\r' if in_string => mended.push_str("\\r"),
            '\t' if in_string => mended.push_str("\\t"),
            ',' if !in_string && text[index + 1..].trim_start().starts_with(['}', ']']) => {}
            character => mended.push(character),
        }
    }
    mended
}

/// Whether what begins here and cannot be read names a tool where a call would.
fn is_meant_as_call(text: &str, is_tool: &dyn Fn(&str) -> bool) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^[\[{\s]*"(?:name|tool|tool_name|function|action|act)"\s*:\s*"([\w.-]{1,64})""#)
            .expect("the pattern is constant")
    });
    let head = &text[..text.floor_char_boundary(400)];
    NAME.captures(head).is_some_and(|name| is_tool(&name[1]))
}

#[cfg(test)]
mod tests;
