//! What of the protocol one server does not take, learnt from its refusals.
//!
//! No server takes every field that another one needs, and none says beforehand which. So everything is sent, and where
//! a refusal names a field as one that the server does not know, the field is left out, or written in the other way,
//! from then on.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// A field that some servers refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    /// Instead, `max_completion_tokens` is sent.
    MaxTokens,
    StreamOptions,
    Seed,
    Temperature,
    /// Where servers that fill a chat template are told not to think.
    TemplateArguments,
    /// Instead, an object that has a schema is asked for, as older llama.cpp servers know it.
    JsonSchema,
    /// Instead, nothing is asked for: the prompt describes the form as well.
    JsonObject,
}

impl Field {
    const ALL: [Self; 7] = [
        Self::MaxTokens,
        Self::StreamOptions,
        Self::Seed,
        Self::Temperature,
        Self::TemplateArguments,
        Self::JsonSchema,
        Self::JsonObject,
    ];

    /// Returns the words by which a refusal names it.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::MaxTokens => &["max_tokens"],
            Self::StreamOptions => &["stream_options", "include_usage"],
            Self::Seed => &["seed"],
            Self::Temperature => &["temperature"],
            Self::TemplateArguments => &["chat_template_kwargs", "enable_thinking"],
            Self::JsonSchema | Self::JsonObject => &["response_format", "json_schema", "json_object"],
        }
    }

    fn is_in(self, body: &Value) -> bool {
        let format = || body.pointer("/response_format/type").and_then(Value::as_str);
        match self {
            Self::MaxTokens => body.get("max_tokens").is_some(),
            Self::StreamOptions => body.get("stream_options").is_some(),
            Self::Seed => body.get("seed").is_some(),
            Self::Temperature => body.get("temperature").is_some(),
            Self::TemplateArguments => body.get("chat_template_kwargs").is_some(),
            Self::JsonSchema => format() == Some("json_schema"),
            Self::JsonObject => format() == Some("json_object"),
        }
    }

    /// Writes a body without it.
    fn amend(self, body: &mut Value) {
        let Some(fields) = body.as_object_mut() else {
            return;
        };
        match self {
            Self::MaxTokens => {
                if let Some(bound) = fields.remove("max_tokens") {
                    fields.insert("max_completion_tokens".to_owned(), bound);
                }
            }
            Self::StreamOptions => _ = fields.remove("stream_options"),
            Self::Seed => _ = fields.remove("seed"),
            Self::Temperature => _ = fields.remove("temperature"),
            Self::TemplateArguments => _ = fields.remove("chat_template_kwargs"),
            Self::JsonSchema => {
                if let Some(format) = fields.get_mut("response_format")
                    && let Some(schema) = format.pointer_mut("/json_schema/schema").map(Value::take)
                {
                    *format = json!({"type": "json_object", "schema": schema});
                }
            }
            Self::JsonObject => _ = fields.remove("response_format"),
        }
    }
}

/// The fields that a server is known to refuse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dialect(BTreeSet<Field>);

impl Dialect {
    /// Writes a body as the server takes it.
    pub(super) fn amend(&self, body: &mut Value) {
        for field in &self.0 {
            if field.is_in(body) {
                field.amend(body);
            }
        }
    }

    /// Returns whether the server binds replies to a schema, as far as its refusals tell.
    pub(super) fn refuses_schemas(&self) -> bool {
        self.0.contains(&Field::JsonObject)
    }

    /// Learns from a refusal of the body: the field that it names first. Returns whether the body can be written in
    /// another way now.
    pub(super) fn learn(&mut self, body: &Value, refusal: &str) -> bool {
        let refusal = refusal.to_lowercase();
        let is_unknown = says_unknown(&refusal);
        let named = |field: &Field| {
            field
                .names()
                .iter()
                .filter_map(|name| place(&refusal, name))
                .min()
        };
        let first = Field::ALL
            .into_iter()
            .filter(|field| field.is_in(body))
            // Each server words it in its own way that a form of replies is not known; no other complaint names it.
            .filter(|field| is_unknown || matches!(field, Field::JsonSchema | Field::JsonObject))
            .filter_map(|field| Some((named(&field)?, field)))
            .min();
        first.is_some_and(|(_, field)| self.0.insert(field))
    }
}

/// Returns whether a refusal says that the server calls no tools at all, or is not set up for it.
pub(super) fn refuses_tools(refusal: &str) -> bool {
    let refusal = refusal.to_lowercase();
    let names_tools = ["tool", "tools", "tool_choice", "tool choice", "function calling"]
        .iter()
        .any(|name| place(&refusal, name).is_some());
    let is_not_set_up = ["--jinja", "--enable-auto-tool-choice"]
        .iter()
        .any(|option| refusal.contains(option));
    is_not_set_up || (names_tools && says_unknown(&refusal))
}

/// Returns whether a refusal is about something that the server does not know, rather than about its value.
fn says_unknown(refusal: &str) -> bool {
    const SIGNS: [&str; 11] = [
        "unsupported",
        "not supported",
        "does not support",
        "doesn't support",
        "unknown",
        "unrecognized",
        "unexpected",
        "not permitted",
        "not allowed",
        "extra_forbidden",
        "not available",
    ];
    SIGNS.iter().any(|sign| refusal.contains(sign))
}

/// Returns where a text names something, as a word of its own.
fn place(text: &str, name: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Value {
        json!({
            "max_tokens": 9, "seed": 1, "temperature": 0.5, "stream_options": {"include_usage": true},
            "chat_template_kwargs": {"enable_thinking": false},
            "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        })
    }

    /// Learns from the refusal, and returns the fields that are other than before; none if nothing was learnt.
    fn learnt(refusal: &str) -> Option<Vec<(String, Value)>> {
        let mut dialect = Dialect::default();
        if !dialect.learn(&body(), refusal) {
            return None;
        }
        let (before, mut after) = (body(), body());
        dialect.amend(&mut after);
        let names: BTreeSet<&String> = before
            .as_object()?
            .keys()
            .chain(after.as_object()?.keys())
            .collect();
        let changed = names
            .into_iter()
            .filter(|name| before.get(name) != after.get(name));
        Some(
            changed
                .map(|name| (name.clone(), after.get(name).cloned().unwrap_or_default()))
                .collect(),
        )
    }

    fn check(refusal: &str, expect: &[(&str, Value)]) {
        let expect: Vec<(String, Value)> = expect
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        assert_eq!(learnt(refusal), Some(expect), "{refusal}");
    }

    #[test]
    fn a_field_that_is_named_is_left_out_or_written_otherwise() {
        check(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            &[("max_completion_tokens", json!(9)), ("max_tokens", Value::Null)],
        );
        check(
            "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) is supported.",
            &[("temperature", Value::Null)],
        );
        check(
            r#"[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]"#,
            &[("stream_options", Value::Null)],
        );
        check(
            "Unrecognized request argument supplied: chat_template_kwargs",
            &[("chat_template_kwargs", Value::Null)],
        );
        check(
            "This response_format type is unavailable now",
            &[(
                "response_format",
                json!({"type": "json_object", "schema": {"type": "object"}}),
            )],
        );
    }

    #[test]
    fn the_field_that_is_named_first_is_meant() {
        check(
            "unknown field `seed`, expected one of `max_tokens`, `temperature`",
            &[("seed", Value::Null)],
        );
    }

    #[test]
    fn other_complaints_teach_nothing() {
        for refusal in [
            "max_tokens must be at least 1",
            "max_tokens is too large: 9. This model takes at most 4 completion tokens",
            "unknown model `seedling`",
            "unsupported parameter: 'max_completion_tokens'",
            "",
        ] {
            assert_eq!(learnt(refusal), None, "{refusal}");
        }
    }

    #[test]
    fn a_form_of_replies_is_given_up_in_steps_and_nothing_twice() {
        let mut dialect = Dialect::default();
        let refusal = "response_format: unsupported";
        let mut sent = body();
        assert!(dialect.learn(&sent, refusal) && !dialect.refuses_schemas());
        dialect.amend(&mut sent);
        assert!(dialect.learn(&sent, refusal) && dialect.refuses_schemas());
        dialect.amend(&mut sent);
        assert_eq!(sent.get("response_format"), None);
        assert!(!dialect.learn(&sent, refusal));
        // What is known is used for the next request at once.
        let mut next = body();
        dialect.amend(&mut next);
        assert_eq!(next.get("response_format"), None);
    }

    #[test]
    fn a_server_without_tools_says_so() {
        for (refusal, expect) in [
            ("registry/phi:latest does not support tools", true),
            ("tools param requires --jinja flag", true),
            (
                "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
                true,
            ),
            ("unknown parameter: tools", true),
            ("tools[0].function.name: invalid", false),
            ("unsupported image", false),
        ] {
            assert_eq!(refuses_tools(refusal), expect, "{refusal}");
        }
    }
}
