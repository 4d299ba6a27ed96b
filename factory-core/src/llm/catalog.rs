//! The models that a server lists, and what it tells of each beside its name.
//!
//! The protocol says no more than the name. What servers add stands in fields of their own, so the JSON is walked by
//! hand, and a field of an unexpected kind is as good as absent.

use serde_json::Value;

use crate::llm::event_stream::bounded_json;
use crate::llm::{Capabilities, Support, Window, WindowBasis};

/// The most parts of the JSON of a list; the longest known ones, of routers, have some ten thousands.
const PARTS: usize = 100_000;

/// The most names that an error gives.
const NAMES: usize = 5;

/// The longest name that is compared, and how many are.
const LONGEST_NAME: usize = 200;
const NAMES_COMPARED: usize = 2000;

/// The largest window that is believed.
const LARGEST_WINDOW: u64 = 100_000_000;

/// A server's models.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Catalog(Vec<Value>);

/// What a catalog says of a model.
#[derive(Debug, PartialEq)]
pub(super) enum Listed<'a> {
    /// It is there.
    Entry(&'a Value),
    /// It is not, and these are the names that come nearest.
    Missing(Vec<&'a str>),
    /// The list says nothing: it is empty.
    Untold,
}

impl Catalog {
    /// Reads a list; none if it is no list of models.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let list = match bounded_json(text, PARTS).ok()? {
            Value::Array(list) => list,
            Value::Object(mut answer) => match answer.remove("data")? {
                Value::Array(list) => list,
                _ => return None,
            },
            _ => return None,
        };
        Some(Self(
            list.into_iter().filter(|entry| name(entry).is_some()).collect(),
        ))
    }

    /// Looks a model up by what the operator calls it.
    pub(super) fn find(&self, model: &str) -> Listed<'_> {
        if self.0.is_empty() {
            return Listed::Untold;
        }
        let with_tag = format!("{model}:latest");
        // A router takes a model's name with a way of routing after it, which its list leaves out.
        let without_variant = model.rsplit_once(':').map(|(name, _)| name);
        let by_name = |wanted: &str| self.0.iter().find(|entry| is_called(entry, wanted));
        let found = by_name(model)
            .or_else(|| by_name(&with_tag))
            .or_else(|| by_name(without_variant?).filter(|entry| entry.get("top_provider").is_some()))
            .or_else(|| self.only_of_llama_cpp());
        found.map_or_else(|| Listed::Missing(self.nearest(model)), Listed::Entry)
    }

    /// Returns the entry of a llama.cpp server with one model, which it uses whatever it is asked for.
    fn only_of_llama_cpp(&self) -> Option<&Value> {
        match self.0.as_slice() {
            [only] if owner(only) == "llamacpp" => Some(only),
            _ => None,
        }
    }

    fn nearest(&self, model: &str) -> Vec<&str> {
        let wanted = model.to_lowercase();
        let mut names: Vec<(f64, &str)> = self
            .0
            .iter()
            .filter_map(name)
            // Comparing costs the product of the lengths, and a hostile list is long.
            .filter(|name| name.len() <= LONGEST_NAME)
            .take(NAMES_COMPARED)
            .map(|name| {
                (
                    strsim::normalized_damerau_levenshtein(&wanted, &name.to_lowercase()),
                    name,
                )
            })
            .collect();
        names.sort_by(|(near, name), (other, other_name)| other.total_cmp(near).then(name.cmp(other_name)));
        names.truncate(NAMES);
        names.into_iter().map(|(_, name)| name).collect()
    }
}

fn name(entry: &Value) -> Option<&str> {
    entry
        .get("id")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
}

/// Returns who serves a model: the name of the program, with servers on one's own machine.
pub(super) fn owner(entry: &Value) -> &str {
    entry.get("owned_by").and_then(Value::as_str).unwrap_or_default()
}

fn is_called(entry: &Value, wanted: &str) -> bool {
    let aliases = entry
        .get("aliases")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    name(entry) == Some(wanted) || aliases.filter_map(Value::as_str).any(|alias| alias == wanted)
}

/// Returns what an entry tells of its model.
pub(super) fn capabilities_of(entry: &Value) -> Capabilities {
    let parameters = entry.get("supported_parameters").and_then(Value::as_array);
    let takes = |names: &[&str]| match parameters {
        None => Support::Unknown,
        Some(list)
            if list
                .iter()
                .filter_map(Value::as_str)
                .any(|one| names.contains(&one)) =>
        {
            Support::Yes
        }
        Some(_) => Support::No,
    };
    Capabilities {
        tools: takes(&["tools"]),
        schema: takes(&["structured_outputs", "response_format"]),
        thinking: takes(&["reasoning", "include_reasoning"]),
        window: window_of(entry),
        ..Capabilities::default()
    }
}

fn window_of(entry: &Value) -> Option<Window> {
    let tokens = |path: &str| window_tokens(entry.pointer(path)?);
    // What a model is loaded with (LM Studio) is less than what it could be loaded with.
    if let Some(tokens) = tokens("/loaded_context_length") {
        return Some(Window {
            tokens,
            basis: WindowBasis::Verified,
        });
    }
    // vLLM, routers, Groq, LM Studio, llama.cpp.
    let told = [
        "/max_model_len",
        "/context_length",
        "/context_window",
        "/max_context_length",
        "/meta/n_ctx",
    ];
    let told = told.iter().find_map(|path| tokens(path))?;
    let provided = tokens("/top_provider/context_length");
    Some(Window {
        tokens: provided.map_or(told, |provided| provided.min(told)),
        basis: WindowBasis::Told,
    })
}

/// Reads a number of tokens that can be a window.
pub(super) fn window_tokens(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .filter(|tokens| (1..=LARGEST_WINDOW).contains(tokens))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn catalog(entries: &Value) -> Catalog {
        Catalog::parse(json!({"object": "list", "data": entries}).to_string().as_bytes()).unwrap()
    }

    /// Looks the model up among the names and returns the name found, or the nearest ones.
    fn check(names: &[&str], model: &str, expect: Result<&str, &[&str]>) {
        let entries: Vec<Value> = names.iter().map(|name| json!({"id": name})).collect();
        let catalog = catalog(&Value::from(entries));
        let found = match catalog.find(model) {
            Listed::Entry(entry) => Ok(name(entry).unwrap()),
            Listed::Missing(names) => Err(names),
            Listed::Untold => Err(vec![]),
        };
        assert_eq!(found, expect.map_err(<[&str]>::to_vec), "{model}");
    }

    #[test]
    fn a_model_is_found_by_its_name() {
        let names = ["qwen3:8b", "phi:latest", "org/model"];
        check(&names, "qwen3:8b", Ok("qwen3:8b"));
        check(&names, "phi", Ok("phi:latest"));
        check(&names, "qwen3", Err(&["qwen3:8b", "phi:latest", "org/model"]));
        check(&[], "qwen3", Err(&[]));
    }

    #[test]
    fn the_nearest_names_are_few() {
        let names = ["gpt-4o", "gpt-4o-mini", "gpt-5", "o3", "whisper", "tts", "dall-e"];
        check(
            &names,
            "GPT4o",
            Err(&["gpt-4o", "gpt-5", "gpt-4o-mini", "tts", "dall-e"]),
        );
    }

    #[test]
    fn a_server_with_one_model_takes_any_name() {
        let llama = json!([{"id": "/models/a.gguf", "owned_by": "llamacpp", "aliases": ["small"]}]);
        for name in ["small", "anything"] {
            assert!(matches!(catalog(&llama).find(name), Listed::Entry(_)), "{name}");
        }
        let other = json!([{"id": "/models/a.gguf", "owned_by": "vllm"}]);
        assert!(matches!(catalog(&other).find("anything"), Listed::Missing(_)));
    }

    #[test]
    fn a_router_takes_a_variant() {
        let router = json!([{"id": "org/model", "top_provider": {"context_length": 5}}, {"id": "phi"}]);
        assert!(matches!(
            catalog(&router).find("org/model:floor"),
            Listed::Entry(_)
        ));
        assert!(matches!(catalog(&router).find("phi:floor"), Listed::Missing(_)));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for body in [
            "",
            "<html>",
            "7",
            "{}",
            r#"{"data":7}"#,
            &format!(r#"{{"data":[{}0]}}"#, "0,".repeat(PARTS)),
            &"[".repeat(10_000),
        ] {
            assert_eq!(Catalog::parse(body.as_bytes()), None);
        }
        assert_eq!(Catalog::parse(b"\xff"), None);
        assert_eq!(
            Catalog::parse(br#"[7, {"id": 7}, {"id": ""}]"#),
            Some(Catalog(vec![]))
        );
    }

    #[test]
    fn the_window_is_read_where_each_server_tells_it() {
        let told = |tokens| Some((tokens, WindowBasis::Told));
        for (entry, expect) in [
            (json!({"max_model_len": 8192}), told(8192)),
            (
                json!({"context_length": 8192, "top_provider": {"context_length": 4096}}),
                told(4096),
            ),
            (json!({"context_window": 8192}), told(8192)),
            (json!({"max_context_length": 8192}), told(8192)),
            (json!({"meta": {"n_ctx": 8192, "n_ctx_train": 32768}}), told(8192)),
            (
                json!({"max_context_length": 32768, "loaded_context_length": 4096}),
                Some((4096, WindowBasis::Verified)),
            ),
            (json!({"max_model_len": 0}), None),
            (json!({"max_model_len": u64::MAX}), None),
            (json!({"max_model_len": "8192", "meta": 7}), None),
        ] {
            let window = window_of(&entry).map(|window| (window.tokens, window.basis));
            assert_eq!(window, expect, "{entry}");
        }
    }

    #[test]
    fn a_router_says_what_its_models_take() {
        let told = capabilities_of(&json!({"supported_parameters": ["tools", "response_format"]}));
        assert_eq!(
            (told.tools, told.schema, told.thinking),
            (Support::Yes, Support::Yes, Support::No)
        );
        assert_eq!(capabilities_of(&json!({})), Capabilities::default());
    }
}
