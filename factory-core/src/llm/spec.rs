//! A model as the operator writes it on the command line or in the settings, and how to open it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

#[cfg(feature = "anthropic")]
use super::anthropic::{AnthropicConfig, AnthropicLlm};
use super::configured::Configured;
use super::endpoint::{Endpoint, EndpointKind, Endpoints, OLLAMA, OPENAI, check_name};
use super::ollama::{OllamaConfig, OllamaLlm};
use super::openai::{OpenAiConfig, OpenAiLlm};
use super::recorded::{RecordedLlm, Strictness};
use super::scripted::ScriptedLlm;
use super::server::BaseUrl;
use super::striking::Striking;
use super::struck::Struck;
use super::{Llm, LlmError};

/// The forms, for the error of someone who wrote none of them.
const FORMS: &str = "write ENDPOINT:NAME (such as ollama:qwen3:8b), openai:NAME@URL (such as \
                     openai:qwen3@http://127.0.0.1:8080/v1), scripted:FILE or recorded:FILE";

#[cfg(not(feature = "anthropic"))]
/// Why an endpoint of the kind `anthropic` has no models here.
const NO_ANTHROPIC: &str = "this factory was built without the feature `anthropic`; build it with \
                            `--features anthropic`, or reach the model through a server that speaks OpenAI's protocol";

/// What a model's text begins with where the rest is a file.
const OF_FILES: [&str; 3] = ["scripted:", "recorded:", "recorded-loose:"];

/// Returns what a model's text begins with and the file that it names, where the model is one that plays from a file.
pub(crate) fn of_file(spec: &str) -> Option<(&'static str, &str)> {
    OF_FILES
        .into_iter()
        .find_map(|begin| Some((begin, spec.strip_prefix(begin)?)))
}

/// A model as the operator writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSpec {
    /// `scripted:FILE`: the script in a file.
    Scripted {
        /// The script's file.
        file: PathBuf,
    },
    /// `recorded:FILE`: a conversation that was stored, played again.
    Recorded {
        /// The conversation's file.
        file: PathBuf,
        /// Whether the conversation is held to what was recorded.
        strictness: Strictness,
    },
    /// `openai:NAME@URL`: a model on an OpenAI-compatible server that wants no key.
    At {
        /// The model as the server calls it.
        model: String,
        /// The server's address.
        url: String,
    },
    /// `ENDPOINT:NAME`: a model of an endpoint.
    Of {
        /// The endpoint's name.
        endpoint: String,
        /// The model as the endpoint's server calls it.
        model: String,
    },
}

impl FromStr for ModelSpec {
    type Err = LlmError;

    fn from_str(text: &str) -> Result<Self, LlmError> {
        let unusable = |detail: String| LlmError::Unusable {
            model: without_credentials(text),
            detail,
        };
        let (begin, rest) = text.split_once(':').ok_or_else(|| unusable(FORMS.to_owned()))?;
        match begin {
            _ if rest.is_empty() => Err(unusable(format!("nothing stands after the colon; {FORMS}"))),
            "scripted" => Ok(Self::Scripted {
                file: PathBuf::from(rest),
            }),
            "recorded" => Ok(Self::Recorded {
                file: PathBuf::from(rest),
                strictness: Strictness::Strict,
            }),
            "recorded-loose" => Ok(Self::Recorded {
                file: PathBuf::from(rest),
                strictness: Strictness::Loose,
            }),
            OPENAI if let Some(at) = address(rest) => {
                let (model, url) = (&rest[..at], &rest[at + 1..]);
                if model.is_empty() {
                    return Err(unusable(format!("the model's name is missing; {FORMS}")));
                }
                BaseUrl::parse(url).map_err(unusable)?;
                Ok(Self::At {
                    model: model.to_owned(),
                    url: url.to_owned(),
                })
            }
            _ if address(rest).is_some() => Err(unusable(format!(
                "only `{OPENAI}:` takes an address after the name; give another server a name in factory.toml \
                 ([endpoint.NAME] kind, url)"
            ))),
            endpoint if check_name(endpoint).is_ok() => Ok(Self::Of {
                endpoint: endpoint.to_owned(),
                model: rest.to_owned(),
            }),
            _ => Err(unusable(FORMS.to_owned())),
        }
    }
}

/// Returns where the address begins: at the first `@` before a scheme, because a model's name may hold one, and so may an
/// address that is refused.
fn address(text: &str) -> Option<usize> {
    ["@http://", "@https://"]
        .iter()
        .filter_map(|sign| text.find(sign))
        .min()
}

impl fmt::Display for ModelSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scripted { file } => write!(formatter, "scripted:{}", file.display()),
            Self::Recorded { file, strictness } => {
                let kind = match strictness {
                    Strictness::Strict => "recorded",
                    Strictness::Loose => "recorded-loose",
                };
                write!(formatter, "{kind}:{}", file.display())
            }
            Self::At { model, url } => write!(formatter, "{OPENAI}:{model}@{url}"),
            Self::Of { endpoint, model } => write!(formatter, "{endpoint}:{model}"),
        }
    }
}

/// Returns the endpoint and the name of a model that is to be managed: `ENDPOINT:NAME`, or a name of Ollama's, whose tag
/// may look like one.
pub fn managed_model(text: &str, endpoints: &Endpoints) -> (String, String) {
    match text.split_once(':') {
        Some((endpoint, model)) if !model.is_empty() && endpoints.get(endpoint).is_some() => {
            (endpoint.to_owned(), model.to_owned())
        }
        _ => (OLLAMA.to_owned(), text.to_owned()),
    }
}

/// A model with what its endpoint allows.
#[derive(Debug)]
pub struct Opened {
    /// The model, without its endpoint's limit.
    pub model: Arc<dyn Llm>,
    /// What the model shares its server's limit with; none for a model that has no server.
    pub limit: Option<LimitOf>,
}

/// How many replies a server gives at a time, for all models that come from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitOf {
    /// The endpoint's name, or a server's origin.
    pub server: String,
    /// How many replies.
    pub parallel: usize,
}

/// Opens the model that `spec` names. Connects to nothing, but reads a script's file and blocks while it does.
pub fn open_model(spec: &str, endpoints: &Endpoints) -> Result<Opened, LlmError> {
    match spec.parse()? {
        ModelSpec::Scripted { file } => Ok(Opened {
            model: Arc::new(ScriptedLlm::from_file(file)?),
            limit: None,
        }),
        ModelSpec::Recorded { file, strictness } => Ok(Opened {
            model: Arc::new(RecordedLlm::from_file(spec, file, strictness)?),
            limit: None,
        }),
        ModelSpec::At { model, url } => {
            let endpoint = Endpoint::new(EndpointKind::OpenAi, url);
            open_at(spec, &endpoint, None, &model)
        }
        ModelSpec::Of {
            endpoint: name,
            model,
        } => open_at(spec, endpoints.find(&name, spec)?, Some(name), &model),
    }
}

/// Opens a model of an endpoint, wrapped in what holds for every backend.
fn open_at(spec: &str, endpoint: &Endpoint, name: Option<String>, model: &str) -> Result<Opened, LlmError> {
    let unusable = |detail: String| LlmError::Unusable {
        model: without_credentials(spec),
        detail,
    };
    let server = endpoint.server().map_err(unusable)?;
    let settings = endpoint.of_model(model);
    let limit = LimitOf {
        server: name.unwrap_or_else(|| server.base.origin()),
        parallel: endpoint.parallel(),
    };
    let opened: Arc<dyn Llm> = match endpoint.kind {
        EndpointKind::Ollama => Arc::new(OllamaLlm::new(OllamaConfig {
            context: settings.context,
            ..OllamaConfig::new(spec, server, model)
        })?),
        EndpointKind::OpenAi => Arc::new(OpenAiLlm::new(OpenAiConfig {
            context_window: settings.context,
            ..OpenAiConfig::new(spec, server, model)
        })?),
        #[cfg(feature = "anthropic")]
        EndpointKind::Anthropic => Arc::new(AnthropicLlm::new(AnthropicConfig {
            context_window: settings.context,
            ..AnthropicConfig::new(spec, server, model)
        })?),
        #[cfg(not(feature = "anthropic"))]
        EndpointKind::Anthropic => return Err(unusable(NO_ANTHROPIC.to_owned())),
    };
    let mut model: Arc<dyn Llm> = Arc::new(Configured::new(opened, settings));
    if let Some(striking) = Striking::new(&endpoint.secrets()) {
        model = Arc::new(Struck::new(model, striking));
    }
    Ok(Opened {
        model,
        limit: Some(limit),
    })
}

/// Returns a text without what may be a user and password in an address.
pub(super) fn without_credentials(text: &str) -> String {
    let Some(start) = text.find("//").map(|index| index + 2) else {
        return text.to_owned();
    };
    match text[start..].rfind('@') {
        Some(end) => format!("{}…{}", &text[..start], &text[start + end..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &ModelSpec) {
        let spec: ModelSpec = text.parse().unwrap();
        assert_eq!((&spec, spec.to_string().as_str()), (expect, text));
    }

    fn check_error(text: &str, expect: &str) {
        assert_eq!(
            open_model(text, &Endpoints::built_in()).unwrap_err().to_string(),
            expect
        );
    }

    #[test]
    fn the_forms_are_told_apart() {
        check(
            "scripted:/tmp/a:b.json",
            &ModelSpec::Scripted {
                file: "/tmp/a:b.json".into(),
            },
        );
        for (text, strictness) in [
            ("recorded:/tmp/a.jsonl", Strictness::Strict),
            ("recorded-loose:/tmp/a.jsonl", Strictness::Loose),
        ] {
            let file = "/tmp/a.jsonl".into();
            check(text, &ModelSpec::Recorded { file, strictness });
        }
        let of = |endpoint: &str, model: &str| ModelSpec::Of {
            endpoint: endpoint.to_owned(),
            model: model.to_owned(),
        };
        check("ollama:qwen3:8b", &of("ollama", "qwen3:8b"));
        check("openai:ft:gpt-x:org::id", &of("openai", "ft:gpt-x:org::id"));
        check("work:org/model@2", &of("work", "org/model@2"));
        check(
            "openai:org/model:1@2@https://host.example/v1",
            &ModelSpec::At {
                model: "org/model:1@2".to_owned(),
                url: "https://host.example/v1".to_owned(),
            },
        );
    }

    #[test]
    fn anything_else_is_told_the_forms() {
        for text in ["", "qwen3", "GPT:4", "a b:c"] {
            check_error(text, &format!("the model `{text}`: {FORMS}"));
        }
        check_error(
            "openai:",
            &format!("the model `openai:`: nothing stands after the colon; {FORMS}"),
        );
        check_error(
            "openai:@http://h",
            &format!("the model `openai:@http://h`: the model's name is missing; {FORMS}"),
        );
        check_error(
            "ollama:m@http://h",
            "the model `ollama:m@http://h`: only `openai:` takes an address after the name; give another server a \
             name in factory.toml ([endpoint.NAME] kind, url)",
        );
        check_error(
            "qwen3:8b",
            "the model `qwen3:8b`: there is no endpoint `qwen3`; there are ollama, openai; a model of Ollama with a \
             tag is written `ollama:qwen3:8b`",
        );
    }

    #[test]
    fn credentials_in_an_address_are_refused_and_not_repeated() {
        check_error(
            "openai:m@http://user:hunter2@host/v1",
            "the model `openai:m@http://…@host/v1`: its address holds credentials; give the key apart from the address",
        );
        check_error(
            "hunter2://user:hunter2@host",
            "the model `hunter2://…@host`: there is no endpoint `hunter2`; there are ollama, openai; a model of \
             Ollama with a tag is written `ollama:hunter2://…@host`",
        );
    }

    #[test]
    fn a_model_keeps_the_name_that_the_operator_wrote_and_the_limit_of_its_server() {
        let endpoints = Endpoints::built_in();
        for (text, server, parallel) in [
            ("ollama:qwen3:8b", "ollama", 1),
            ("openai:m@http://127.0.0.1:1/v1", "http://127.0.0.1:1", 16),
        ] {
            let opened = open_model(text, &endpoints).unwrap();
            let limit = LimitOf {
                server: server.to_owned(),
                parallel,
            };
            assert_eq!((opened.model.name(), opened.limit), (text, Some(limit)));
        }
    }

    #[test]
    fn why_an_endpoint_cannot_be_used_is_told_when_it_is_used() {
        check_error(
            "openai:gpt",
            "the model `openai:gpt`: it has no key; put it into the variable OPENAI_API_KEY, or name another with \
             `key_env` or `key_file`",
        );
    }

    #[cfg(not(feature = "anthropic"))]
    #[test]
    fn a_protocol_that_was_not_built_in_is_told() {
        let mut endpoints = Endpoints::built_in();
        let claude = Endpoint::new(EndpointKind::Anthropic, EndpointKind::Anthropic.url());
        endpoints.insert("claude", claude).unwrap();
        let refusal = open_model("claude:x", &endpoints).unwrap_err().to_string();
        assert!(
            refusal.contains("built without the feature `anthropic`"),
            "{refusal}"
        );
    }

    #[test]
    fn a_name_to_manage_is_ollamas_unless_it_names_an_endpoint() {
        let endpoints = Endpoints::built_in();
        for (text, endpoint, model) in [
            ("qwen3:8b", "ollama", "qwen3:8b"),
            ("qwen3", "ollama", "qwen3"),
            ("ollama:qwen3:8b", "ollama", "qwen3:8b"),
            ("openai:gpt", "openai", "gpt"),
            ("ollama:", "ollama", "ollama:"),
        ] {
            let expected = (endpoint.to_owned(), model.to_owned());
            assert_eq!(managed_model(text, &endpoints), expected, "{text}");
        }
    }
}
