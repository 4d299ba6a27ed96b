//! A model as the operator writes it on the command line or in the settings, and how to open it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::ollama::{OllamaConfig, OllamaLlm};
use super::openai::{OpenAiConfig, OpenAiLlm};
use super::recorded::{RecordedLlm, Strictness};
use super::scripted::ScriptedLlm;
use super::server::{BaseUrl, Secret, Server};
use super::{Llm, LlmError};

/// Where Ollama listens unless told otherwise.
const OLLAMA: &str = "http://127.0.0.1:11434";

/// The forms, for the error of someone who wrote none of them.
const FORMS: &str = "write scripted:FILE, recorded:FILE, openai:NAME@URL (such as openai:qwen3@http://127.0.0.1:8080/v1) or \
                     ollama:NAME";

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
    /// `recorded:FILE`, or `recorded-loose:FILE`: a run that was exported, played again.
    Recorded {
        /// The recording's file.
        file: PathBuf,
        /// Whether the conversation is held to what was recorded.
        strictness: Strictness,
    },
    /// `openai:NAME@URL`: a model on an OpenAI-compatible server.
    OpenAi {
        /// The model as the server calls it.
        model: String,
        /// The server's address.
        url: String,
    },
    /// `ollama:NAME`: a model of the Ollama server on this machine.
    Ollama {
        /// The model as Ollama calls it, with its tag.
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
        let (kind, rest) = text.split_once(':').ok_or_else(|| unusable(FORMS.to_owned()))?;
        match kind {
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
            "openai" => {
                // The first `@` before a scheme: a model's name may hold one, and so may an address that is refused.
                let at = ["@http://", "@https://"]
                    .iter()
                    .filter_map(|sign| rest.find(sign))
                    .min();
                let at = at.ok_or_else(|| unusable(format!("the server's address is missing; {FORMS}")))?;
                let (model, url) = (&rest[..at], &rest[at + 1..]);
                if model.is_empty() {
                    return Err(unusable(format!("the model's name is missing; {FORMS}")));
                }
                BaseUrl::parse(url).map_err(unusable)?;
                Ok(Self::OpenAi {
                    model: model.to_owned(),
                    url: url.to_owned(),
                })
            }
            "ollama" => Ok(Self::Ollama {
                model: rest.to_owned(),
            }),
            _ => Err(unusable(FORMS.to_owned())),
        }
    }
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
            Self::OpenAi { model, url } => write!(formatter, "openai:{model}@{url}"),
            Self::Ollama { model } => write!(formatter, "ollama:{model}"),
        }
    }
}

/// The keys that the operator has given, each for one origin. Only front ends read the environment and key files.
#[derive(Debug, Clone, Default)]
pub struct ModelKeys(BTreeMap<String, Secret>);

impl ModelKeys {
    /// Returns no keys: enough for servers on this machine.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds the key for the server at an address; it goes to no other scheme, host or port.
    pub fn insert(&mut self, url: &str, key: Secret) -> Result<(), LlmError> {
        let base = BaseUrl::parse(url).map_err(|detail| LlmError::Unusable {
            model: without_credentials(url),
            detail,
        })?;
        self.0.insert(base.origin(), key);
        Ok(())
    }

    /// Returns all keys, to be looked for where they must not stand.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Secret> {
        self.0.values()
    }

    fn of(&self, url: &str) -> Option<Secret> {
        self.0.get(&BaseUrl::parse(url).ok()?.origin()).cloned()
    }
}

/// Opens the model that `spec` names. Connects to nothing, but reads a script's file and blocks while it does.
pub fn open_model(spec: &str, keys: &ModelKeys) -> Result<Arc<dyn Llm>, LlmError> {
    let open = |model: String, url: &str| {
        let base = BaseUrl::parse(url).map_err(|detail| LlmError::Unusable {
            model: without_credentials(spec),
            detail,
        })?;
        let server = Server {
            key: keys.of(url),
            ..Server::new(base)
        };
        OpenAiLlm::new(OpenAiConfig::new(spec, server, model)).map(|model| Arc::new(model) as Arc<dyn Llm>)
    };
    match spec.parse()? {
        ModelSpec::Scripted { file } => Ok(Arc::new(ScriptedLlm::from_file(file)?)),
        ModelSpec::Recorded { file, strictness } => {
            Ok(Arc::new(RecordedLlm::from_file(spec, file, strictness)?))
        }
        ModelSpec::OpenAi { model, url } => open(model, &url),
        ModelSpec::Ollama { model } => {
            let server = Server::new(BaseUrl::parse(OLLAMA).expect("the built-in address is one"));
            let server = Server {
                key: keys.of(OLLAMA),
                ..server
            };
            Ok(Arc::new(OllamaLlm::new(OllamaConfig::new(spec, server, model))?))
        }
    }
}

/// Returns a text without what may be a user and password in an address.
fn without_credentials(text: &str) -> String {
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
            open_model(text, &ModelKeys::none()).unwrap_err().to_string(),
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
        check(
            "ollama:qwen3:8b",
            &ModelSpec::Ollama {
                model: "qwen3:8b".to_owned(),
            },
        );
        check(
            "openai:org/model:1@2@https://host.example/v1",
            &ModelSpec::OpenAi {
                model: "org/model:1@2".to_owned(),
                url: "https://host.example/v1".to_owned(),
            },
        );
    }

    #[test]
    fn anything_else_is_told_the_forms() {
        for text in ["", "qwen3", "gpt:4"] {
            check_error(text, &format!("the model `{text}`: {FORMS}"));
        }
        check_error(
            "openai:",
            &format!("the model `openai:`: nothing stands after the colon; {FORMS}"),
        );
        check_error(
            "openai:m",
            &format!("the model `openai:m`: the server's address is missing; {FORMS}"),
        );
        check_error(
            "openai:@http://h",
            &format!("the model `openai:@http://h`: the model's name is missing; {FORMS}"),
        );
    }

    #[test]
    fn credentials_in_an_address_are_refused_and_not_repeated() {
        check_error(
            "openai:m@http://user:hunter2@host/v1",
            "the model `openai:m@http://…@host/v1`: its address holds credentials; give the key apart from the address",
        );
        check_error(
            "openai:m@ftp://user:hunter2@host/v1",
            &format!("the model `openai:m@ftp://…@host/v1`: the server's address is missing; {FORMS}"),
        );
    }

    #[test]
    fn a_model_keeps_the_name_that_the_operator_wrote() {
        for text in ["ollama:qwen3:8b", "openai:m@http://127.0.0.1:1"] {
            assert_eq!(open_model(text, &ModelKeys::none()).unwrap().name(), text);
        }
    }

    #[test]
    fn a_key_belongs_to_one_origin() {
        let mut keys = ModelKeys::none();
        keys.insert("https://api.example/v1", Secret::new("key\n"))
            .unwrap();
        assert_eq!(keys.of("https://api.example/other"), Some(Secret::new("key")));
        for url in [
            "http://api.example/v1",
            "https://api.example:444/v1",
            "https://api.example.evil/v1",
        ] {
            assert_eq!(keys.of(url), None, "{url}");
        }
        assert_eq!(
            format!("{keys:?}"),
            r#"ModelKeys({"https://api.example": Secret(…)})"#
        );
    }
}
