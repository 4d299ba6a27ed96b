//! Endpoints: the model servers that the operator has given a name, with what is known of them beforehand.
//!
//! Plain data. Front ends read files and variables; what they could not read stays in the data as the reason why the
//! endpoint cannot be used, so that it is told when the endpoint is used and troubles nobody before.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::server::{BaseUrl, KeyHeader, Secret, Server};
use super::{LlmError, Price, Protocol, Sampling};

/// The window that is assumed where neither the operator nor the server tells one. It is what servers are commonly
/// started with for agents: a smaller one would starve them, a larger one is found out by a refused prompt.
pub const ASSUMED_WINDOW: u64 = 32_768;

/// How many replies a server gives at a time unless the operator says otherwise.
const PARALLEL: usize = 16;

/// What the endpoint of this machine's Ollama is called. A model that names no endpoint is pulled from there.
pub const OLLAMA: &str = "ollama";

/// What the endpoint of OpenAI itself is called.
pub const OPENAI: &str = "openai";

/// What stands before the colon of a model that is no endpoint's.
const RESERVED: [&str; 2] = ["scripted", "recorded"];

/// What an endpoint's server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// Ollama's own protocol.
    Ollama,
    /// OpenAI's chat protocol, which many servers speak.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

impl EndpointKind {
    /// Returns where a server of this kind is unless the operator says otherwise.
    pub fn url(self) -> &'static str {
        match self {
            Self::Ollama => "http://127.0.0.1:11434",
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com",
        }
    }

    /// Returns the variable in which the key for [`Self::url`] is usually kept; none where no key is needed.
    pub fn key_variable(self) -> Option<&'static str> {
        match self {
            Self::Ollama => None,
            Self::OpenAi => Some("OPENAI_API_KEY"),
            Self::Anthropic => Some("ANTHROPIC_API_KEY"),
        }
    }

    fn key_header(self) -> KeyHeader {
        match self {
            Self::Ollama | Self::OpenAi => KeyHeader::Bearer,
            Self::Anthropic => KeyHeader::ApiKey,
        }
    }

    fn parallel(self) -> usize {
        match self {
            // It works on one request per model unless it is told otherwise, and loads models over each other.
            Self::Ollama => 1,
            Self::OpenAi | Self::Anthropic => PARALLEL,
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ollama => "ollama",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        })
    }
}

/// What the operator says of a model, or of all models of an endpoint. What is not said is found out or left to the
/// server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelSettings {
    /// How many tokens prompt and reply may have together.
    pub context: Option<u64>,
    /// How the model is asked.
    pub protocol: Option<Protocol>,
    /// What its tokens cost.
    pub price: Option<Price>,
    /// How its replies are drawn where a run does not say.
    pub sampling: Sampling,
}

impl ModelSettings {
    /// Returns these settings, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            context: self.context.or(other.context),
            protocol: self.protocol.or(other.protocol),
            price: self.price.or(other.price),
            sampling: Sampling {
                seed: self.sampling.seed.or(other.sampling.seed),
                temperature: self.sampling.temperature.or(other.sampling.temperature),
            },
        }
    }
}

/// A model server that the operator has given a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What it speaks.
    pub kind: EndpointKind,
    /// Where it is.
    pub url: String,
    /// The key. It goes to the origin of [`url`](Self::url) alone.
    pub key: Option<Secret>,
    /// More headers whose values are as secret as the key.
    pub headers: Vec<(String, Secret)>,
    /// More headers that anybody may see.
    pub open_headers: Vec<(String, String)>,
    /// Certificates (PEM) that are trusted beside the system's; empty for none.
    pub certificates: Vec<u8>,
    /// How many replies it gives at a time; none takes the default of its kind.
    pub parallel: Option<usize>,
    /// What holds for all its models.
    pub settings: ModelSettings,
    /// What holds for one model, by its name, before what holds for all.
    pub models: BTreeMap<String, ModelSettings>,
    /// Why it cannot be used, and what to do, if that is known already. Told when it is used.
    pub unusable: Option<String>,
}

impl Endpoint {
    /// Returns an endpoint of this kind at an address, of which nothing else is known.
    pub fn new(kind: EndpointKind, url: impl Into<String>) -> Self {
        Self {
            kind,
            url: url.into(),
            key: None,
            headers: Vec::new(),
            open_headers: Vec::new(),
            certificates: Vec::new(),
            parallel: None,
            settings: ModelSettings::default(),
            models: BTreeMap::new(),
            unusable: None,
        }
    }

    /// Returns the endpoint of this kind that is where such a server usually is. Where one wants a key, it cannot be used
    /// before it has one.
    pub fn service(kind: EndpointKind) -> Self {
        Self {
            unusable: kind.key_variable().map(|variable| {
                format!(
                    "it has no key; put it into the variable {variable}, or name another with `key_env` or `key_file`"
                )
            }),
            ..Self::new(kind, kind.url())
        }
    }

    /// Returns how many replies it gives at a time.
    pub fn parallel(&self) -> usize {
        self.parallel.unwrap_or(self.kind.parallel())
    }

    /// Returns what the operator says of a model.
    pub fn of_model(&self, model: &str) -> ModelSettings {
        let own = self.models.get(model).copied().unwrap_or_default();
        own.or(self.settings)
    }

    /// Returns the server, or why the endpoint cannot be used.
    pub fn server(&self) -> Result<Server, String> {
        if let Some(why) = &self.unusable {
            return Err(why.clone());
        }
        Ok(Server {
            key: self.key.clone(),
            key_header: self.kind.key_header(),
            headers: self.headers.clone(),
            open_headers: self.open_headers.clone(),
            certificates: self.certificates.clone(),
            ..Server::new(BaseUrl::parse(&self.url)?)
        })
    }

    /// Returns everything of it that must be shown to nobody.
    pub fn secrets(&self) -> Vec<Secret> {
        let values = self.headers.iter().map(|(_, value)| value.clone());
        self.key.clone().into_iter().chain(values).collect()
    }

    /// Returns its address without what may be a password.
    pub fn shown_url(&self) -> String {
        super::spec::without_credentials(&self.url)
    }
}

/// The endpoints by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints(BTreeMap<String, Endpoint>);

impl Default for Endpoints {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Endpoints {
    /// Returns the endpoints that are there without being set up: Ollama on this machine, and the services whose key
    /// only has to be given.
    pub fn built_in() -> Self {
        let mut endpoints = BTreeMap::new();
        endpoints.insert(OLLAMA.to_owned(), Endpoint::service(EndpointKind::Ollama));
        endpoints.insert(OPENAI.to_owned(), Endpoint::service(EndpointKind::OpenAi));
        Self(endpoints)
    }

    /// Puts an endpoint under a name, in the place of one that has it. The error says what a name is.
    pub fn insert(&mut self, name: &str, endpoint: Endpoint) -> Result<(), String> {
        check_name(name)?;
        self.0.insert(name.to_owned(), endpoint);
        Ok(())
    }

    /// Returns the endpoint of this name.
    pub fn get(&self, name: &str) -> Option<&Endpoint> {
        self.0.get(name)
    }

    /// Returns how many replies a server gives at a time. `server` is an endpoint's name, or the address of one that has
    /// none.
    pub fn parallel_at(&self, server: &str) -> usize {
        self.get(server).map_or(PARALLEL, Endpoint::parallel)
    }

    /// Returns the endpoints in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Endpoint)> {
        self.0.iter().map(|(name, endpoint)| (name.as_str(), endpoint))
    }

    /// Returns everything of all of them that must be shown to nobody.
    pub fn secrets(&self) -> Vec<Secret> {
        self.0.values().flat_map(Endpoint::secrets).collect()
    }

    /// Returns the endpoint that `model` names, or an error that says which there are. `text` is what the operator
    /// wrote.
    pub(crate) fn find(&self, name: &str, text: &str) -> Result<&Endpoint, LlmError> {
        self.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let text = super::spec::without_credentials(text);
            LlmError::Unusable {
                detail: format!(
                    "there is no endpoint `{name}`; there are {}; a model of Ollama with a tag is written `{OLLAMA}:{text}`",
                    names.join(", ")
                ),
                model: text,
            }
        })
    }
}

/// Returns whether a text may name an endpoint; the error says what does.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return Err(
            "an endpoint's name is of small letters, digits, `-`, `_` and `.`, at most 64".to_owned(),
        );
    }
    if RESERVED.contains(&name) {
        return Err(format!(
            "`{name}:` begins a model that is a file, and names no endpoint"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Temperature;

    #[test]
    fn a_model_has_its_own_settings_before_those_of_its_endpoint() {
        let mut endpoint = Endpoint::new(EndpointKind::Ollama, EndpointKind::Ollama.url());
        endpoint.settings = ModelSettings {
            context: Some(8192),
            protocol: Some(Protocol::Text),
            price: None,
            sampling: Sampling {
                seed: Some(1),
                temperature: Some(Temperature::hundredths(20)),
            },
        };
        endpoint.models.insert(
            "qwen3:8b".to_owned(),
            ModelSettings {
                context: Some(32_768),
                sampling: Sampling {
                    seed: None,
                    temperature: Some(Temperature::hundredths(0)),
                },
                ..ModelSettings::default()
            },
        );
        assert_eq!(endpoint.of_model("other"), endpoint.settings);
        assert_eq!(
            endpoint.of_model("qwen3:8b"),
            ModelSettings {
                context: Some(32_768),
                protocol: Some(Protocol::Text),
                price: None,
                sampling: Sampling {
                    seed: Some(1),
                    temperature: Some(Temperature::hundredths(0)),
                },
            }
        );
    }

    #[test]
    fn names_are_plain_and_files_keep_theirs() {
        for (name, good) in [
            ("work", true),
            ("gpu-2.lan_x", true),
            ("", false),
            ("Work", false),
            ("a b", false),
            ("a:b", false),
            ("scripted", false),
            ("recorded", false),
        ] {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn a_server_is_made_where_it_can_be_used() {
        let mut endpoint = Endpoint::new(EndpointKind::OpenAi, "https://user:hunter2@host/v1");
        let refusal = endpoint.server().unwrap_err();
        assert_eq!(
            (refusal.contains("credentials"), refusal.contains("hunter2")),
            (true, false)
        );
        assert_eq!(endpoint.shown_url(), "https://…@host/v1");
        endpoint.unusable = Some("the variable X is not set".to_owned());
        assert_eq!(endpoint.server().unwrap_err(), "the variable X is not set");
        let built_in = Endpoints::built_in();
        assert!(built_in.get(OLLAMA).unwrap().server().is_ok());
        assert!(
            built_in
                .get(OPENAI)
                .unwrap()
                .server()
                .unwrap_err()
                .contains("OPENAI_API_KEY")
        );
    }

    #[test]
    fn nothing_shows_a_secret() {
        let mut endpoint = Endpoint::new(EndpointKind::OpenAi, EndpointKind::OpenAi.url());
        endpoint.key = Some(Secret::new("sk-hunter2"));
        endpoint.headers = vec![("x-more".to_owned(), Secret::new("hunter2-too"))];
        let mut endpoints = Endpoints::built_in();
        endpoints.insert("work", endpoint).unwrap();
        assert!(!format!("{endpoints:?}").contains("hunter2"));
        assert_eq!(endpoints.secrets().len(), 2);
    }
}
