//! What an Ollama server tells of its models, read out of its answers.
//!
//! The JSON is walked by hand: servers of different ages leave out different fields, and a field of an unexpected kind is
//! as good as absent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A model that lies on the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstalledModel {
    /// Its name, with the tag.
    pub name: String,
    /// The bytes that it takes on the server's disk.
    pub size: Option<u64>,
    /// The hash of its contents.
    pub digest: Option<String>,
    /// When it was last changed, as the server writes times.
    pub modified_at: Option<String>,
    /// What it is made of.
    pub build: ModelBuild,
    /// The longest window that it was trained for, if the server tells it in its list.
    pub context_length: Option<u64>,
    /// What it can do, if the server tells it in its list.
    pub capabilities: Option<Vec<String>>,
    /// Where it really runs, if that is not the server.
    pub remote_host: Option<String>,
}

/// What a model is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelBuild {
    /// The family, such as `qwen2`.
    pub family: Option<String>,
    /// How many parameters it has, such as `7.6B`.
    pub parameter_size: Option<String>,
    /// How its weights are quantised, such as `Q4_K_M`.
    pub quantization: Option<String>,
}

/// What the server knows of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelDetails {
    /// What it is made of.
    pub build: ModelBuild,
    /// Its architecture, such as `qwen2`.
    pub architecture: Option<String>,
    /// The longest window that it was trained for.
    pub context_length: Option<u64>,
    /// The window that its Modelfile sets.
    pub num_ctx: Option<u64>,
    /// What it can do, such as `completion`, `tools`, `thinking`; older servers do not tell.
    pub capabilities: Option<Vec<String>>,
    /// Where it really runs, if that is not the server.
    pub remote_host: Option<String>,
}

impl ModelDetails {
    /// Returns whether it has a capability; none if the server does not tell.
    pub fn is_capable_of(&self, capability: &str) -> Option<bool> {
        let capabilities = self.capabilities.as_ref()?;
        Some(capabilities.iter().any(|word| word == capability))
    }
}

/// A model that is in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadedModel {
    /// Its name, with the tag.
    pub name: String,
    /// The bytes that it takes in memory.
    pub size: Option<u64>,
    /// Those of them that are in the memory of a GPU.
    pub size_vram: Option<u64>,
    /// The window that it is loaded with; older servers do not tell.
    pub context_length: Option<u64>,
    /// When it will be unloaded, as the server writes times.
    pub expires_at: Option<String>,
}

/// How far a download is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PullProgress {
    /// What is being done, in the server's words.
    pub status: String,
    /// The part that is being fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The bytes of that part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Those of them that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
}

/// Reads the list of the models that lie on the server.
pub(super) fn installed_models(answer: &Value) -> Vec<InstalledModel> {
    entries(answer)
        .map(|model| InstalledModel {
            name: name(model),
            size: number(model, "size"),
            digest: text(model, "digest"),
            modified_at: text(model, "modified_at"),
            build: build(&model["details"]),
            context_length: number(&model["details"], "context_length"),
            capabilities: words(&model["capabilities"]),
            remote_host: text(model, "remote_host"),
        })
        .collect()
}

/// Reads what the server knows of one model.
pub(super) fn model_details(answer: &Value) -> ModelDetails {
    let info = &answer["model_info"];
    let architecture = text(info, "general.architecture");
    let context_length = architecture
        .as_ref()
        .and_then(|architecture| number(info, &format!("{architecture}.context_length")));
    ModelDetails {
        build: build(&answer["details"]),
        context_length: context_length.filter(|&length| length > 0),
        architecture,
        num_ctx: answer["parameters"].as_str().and_then(num_ctx),
        capabilities: words(&answer["capabilities"]),
        remote_host: text(answer, "remote_host"),
    }
}

/// Reads the list of the models that are in memory.
pub(super) fn loaded_models(answer: &Value) -> Vec<LoadedModel> {
    entries(answer)
        .map(|model| LoadedModel {
            name: name(model),
            size: number(model, "size"),
            size_vram: number(model, "size_vram"),
            context_length: number(model, "context_length").filter(|&length| length > 0),
            expires_at: text(model, "expires_at"),
        })
        .collect()
}

/// Reads a line of a download.
pub(super) fn pull_progress(line: &Value) -> PullProgress {
    PullProgress {
        status: text(line, "status").unwrap_or_default(),
        digest: text(line, "digest"),
        total: number(line, "total"),
        completed: number(line, "completed"),
    }
}

/// Returns whether two names are of one model: the server adds the tag, and leaves out the registry that it asks by
/// itself.
pub(super) fn is_same_model(one: &str, other: &str) -> bool {
    whole_name(one) == whole_name(other)
}

fn whole_name(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = name.strip_prefix("registry.ollama.ai/").unwrap_or(&name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if has_tag {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

/// Finds the window among a Modelfile's parameters: lines of a name, white space, and a value.
fn num_ctx(parameters: &str) -> Option<u64> {
    let mut values = parameters.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("num_ctx")).then(|| words.next())?
    });
    let number = values.next_back()?.trim_matches('"').parse().ok()?;
    (number > 0).then_some(number)
}

fn entries(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["models"].as_array().into_iter().flatten()
}

fn name(model: &Value) -> String {
    text(model, "name")
        .or_else(|| text(model, "model"))
        .unwrap_or_default()
}

fn build(details: &Value) -> ModelBuild {
    ModelBuild {
        family: text(details, "family"),
        parameter_size: text(details, "parameter_size"),
        quantization: text(details, "quantization_level"),
    }
}

fn text(object: &Value, name: &str) -> Option<String> {
    let text = object.get(name)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn number(object: &Value, name: &str) -> Option<u64> {
    object.get(name)?.as_u64()
}

fn words(list: &Value) -> Option<Vec<String>> {
    let words = list.as_array()?.iter().filter_map(Value::as_str);
    Some(words.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_of_a_model_is_read() {
        let answer = json!({
            "parameters": "stop                           \"<|im_end|>\"\nnum_ctx                        2048",
            "details": {"family": "qwen2", "parameter_size": "494.03M", "quantization_level": "Q4_K_M"},
            "model_info": {"general.architecture": "qwen2", "qwen2.context_length": 32768, "llama.context_length": 1},
            "capabilities": ["completion", "tools"],
        });
        let details = model_details(&answer);
        assert_eq!(
            details,
            ModelDetails {
                build: ModelBuild {
                    family: Some("qwen2".to_owned()),
                    parameter_size: Some("494.03M".to_owned()),
                    quantization: Some("Q4_K_M".to_owned()),
                },
                architecture: Some("qwen2".to_owned()),
                context_length: Some(32_768),
                num_ctx: Some(2048),
                capabilities: Some(vec!["completion".to_owned(), "tools".to_owned()]),
                remote_host: None,
            }
        );
        assert_eq!(details.is_capable_of("tools"), Some(true));
        assert_eq!(details.is_capable_of("thinking"), Some(false));
        assert_eq!(ModelDetails::default().is_capable_of("tools"), None);
    }

    #[test]
    fn fields_of_an_unexpected_kind_are_as_good_as_absent() {
        for answer in [
            json!(null),
            json!([]),
            json!({"models": {}, "model_info": [], "parameters": 7, "capabilities": "tools", "details": null}),
            json!({"model_info": {"general.architecture": "x", "x.context_length": 0}, "parameters": "num_ctx\nnum_ctx x"}),
        ] {
            let details = model_details(&answer);
            let expect = ModelDetails {
                architecture: details.architecture.clone(),
                ..ModelDetails::default()
            };
            assert_eq!(details, expect, "{answer}");
            assert_eq!(installed_models(&answer), []);
            assert_eq!(loaded_models(&answer), []);
            assert_eq!(pull_progress(&answer), PullProgress::default());
        }
        assert_eq!(
            installed_models(&json!({"models": [{"model": "a:b", "size": -1}]})),
            [InstalledModel {
                name: "a:b".to_owned(),
                ..InstalledModel::default()
            }]
        );
    }

    #[test]
    fn a_modelfile_may_set_the_window() {
        for (parameters, expect) in [
            ("", None),
            ("num_ctx 4096", Some(4096)),
            ("num_ctx 1\nnum_ctx \"4096\"\n", Some(4096)),
            ("num_ctx_extra 5\nstop \"num_ctx 7\"", None),
            ("num_ctx 0", None),
            ("num_ctx -1", None),
        ] {
            assert_eq!(num_ctx(parameters), expect, "{parameters}");
        }
    }

    #[test]
    fn names_of_one_model_are_the_same() {
        for (one, other, expect) in [
            ("qwen3", "qwen3:latest", true),
            ("Qwen3:8B", "qwen3:8b", true),
            ("registry.ollama.ai/library/qwen3:8b", "qwen3:8b", true),
            ("library/qwen3", "qwen3", true),
            ("localhost:5000/me/qwen3", "localhost:5000/me/qwen3:latest", true),
            ("qwen3:8b", "qwen3:4b", false),
            ("me/qwen3", "qwen3", false),
        ] {
            assert_eq!(is_same_model(one, other), expect, "{one} {other}");
        }
    }
}
