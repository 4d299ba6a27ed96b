//! The tables `[endpoint.NAME]` of `factory.toml`, made into the core's endpoints.
//!
//! Keys and certificates are read here. What cannot be read makes its endpoint unusable and says why once it is used; a
//! table that is written wrongly is refused at once, like any other slip of the pen. No message repeats a value, which may
//! be a key in the wrong place.

use std::collections::BTreeMap;
use std::path::Path;

use factory_core::llm::endpoint::{Endpoint, EndpointKind, Endpoints, ModelSettings};
use factory_core::llm::server::{BaseUrl, Secret};
use factory_core::llm::{Price, Protocol, Sampling};
use factory_core::model::Temperature;
use serde::Deserialize;

use super::secrets::{Sources, certificates};
use crate::environment::Environment;

/// The largest window that is taken for one.
const LARGEST_CONTEXT: u64 = 100_000_000;

/// The smallest window in which a run can be asked for anything.
const SMALLEST_CONTEXT: u64 = 1024;

/// The most replies that a server may be asked for at a time.
const MOST_PARALLEL: usize = 1024;

/// Headers whose value is a secret wherever it stands: by their name, or by a word in it.
const SECRET_HEADERS: [&str; 9] = [
    "auth",
    "cookie",
    "credential",
    "key",
    "pass",
    "secret",
    "session",
    "signature",
    "token",
];

/// The table of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EndpointTable {
    kind: Option<EndpointKind>,
    url: Option<String>,
    key_env: Option<String>,
    key_file: Option<String>,
    headers: BTreeMap<String, HeaderValue>,
    ca: Option<String>,
    context: Option<u64>,
    protocol: Option<Protocol>,
    price: Option<PriceTable>,
    seed: Option<u64>,
    temperature: Option<Temperature>,
    parallel: Option<usize>,
    model: BTreeMap<String, ModelTable>,
}

/// The table of one model of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ModelTable {
    context: Option<u64>,
    protocol: Option<Protocol>,
    price: Option<PriceTable>,
    seed: Option<u64>,
    temperature: Option<Temperature>,
}

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceTable {
    input: f64,
    output: f64,
    cached: Option<f64>,
}

/// A header's value: in the file itself, or where it is to be found.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a header's value is a text, { env = \"VARIABLE\" } or { file = \"PATH\" }"
)]
enum HeaderValue {
    Text(String),
    Variable(FromVariable),
    File(FromFile),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromVariable {
    env: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromFile {
    file: String,
}

impl std::fmt::Debug for HeaderValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("HeaderValue(…)")
    }
}

/// Returns the built-in endpoints with what the tables say. The error names the table and what is wrong with it.
pub(super) fn endpoints(
    tables: BTreeMap<String, EndpointTable>,
    environment: &Environment,
    data_folder: &Path,
) -> Result<Endpoints, String> {
    let sources = Sources {
        environment,
        data_folder,
    };
    let mut endpoints = Endpoints::built_in();
    let services: Vec<(String, Endpoint)> = endpoints
        .iter()
        .filter(|(_, endpoint)| endpoint.kind.key_variable().is_some())
        .map(|(name, endpoint)| (name.to_owned(), endpoint.clone()))
        .collect();
    for (name, service) in services {
        endpoints.insert(&name, with_usual_key(service, environment))?;
    }
    for (name, table) in tables {
        let before = endpoints.get(&name).cloned();
        let endpoint = table
            .made(before, &sources)
            .map_err(|problem| format!("endpoint.{name}: {problem}"))?;
        endpoints
            .insert(&name, endpoint)
            .map_err(|problem| format!("endpoint.{name}: {problem}"))?;
    }
    Ok(endpoints)
}

/// Returns a service with the key that stands in its usual variable, if there is one.
fn with_usual_key(service: Endpoint, environment: &Environment) -> Endpoint {
    let variable = service.kind.key_variable();
    match variable.and_then(|variable| environment.variable(variable)) {
        Some(key) => Endpoint {
            key: Some(Secret::new(key)),
            unusable: None,
            ..service
        },
        None => service,
    }
}

impl EndpointTable {
    /// Returns the endpoint; `before` is the one that has the name already.
    fn made(self, before: Option<Endpoint>, sources: &Sources) -> Result<Endpoint, String> {
        let kind = self.kind.or(before.as_ref().map(|endpoint| endpoint.kind));
        let kind = kind.ok_or("`kind` is missing; it is \"ollama\", \"openai\" or \"anthropic\"")?;
        let url = self.url.unwrap_or_else(|| kind.url().to_owned());
        // Neither its key nor why it has none holds for a server of another kind or in another place.
        let same = before.filter(|endpoint| endpoint.kind == kind && is_same_origin(&endpoint.url, &url));
        let mut endpoint = same.unwrap_or_else(|| {
            if is_same_origin(kind.url(), &url) {
                with_usual_key(Endpoint::service(kind), sources.environment)
            } else {
                Endpoint::new(kind, url.clone())
            }
        });
        endpoint.url = url;
        let mut problems = Vec::new();
        let key = match (self.key_env, self.key_file) {
            (Some(_), Some(_)) => return Err("`key_env` and `key_file` name two keys; keep one".to_owned()),
            (Some(variable), None) => Some(sources.variable("key_env", &variable)),
            (None, Some(file)) => Some(sources.file("key_file", &file)),
            (None, None) => None,
        };
        match key {
            Some(Ok(key)) => (endpoint.key, endpoint.unusable) = (Some(key), None),
            Some(Err(problem)) => {
                (endpoint.key, endpoint.unusable) = (None, None);
                problems.push(problem);
            }
            None => {}
        }
        for (name, value) in self.headers {
            let what = format!("headers.{name}");
            let value = match value {
                HeaderValue::Text(text) if !is_secret(&name) => {
                    endpoint.open_headers.push((name, text));
                    continue;
                }
                HeaderValue::Text(text) => Ok(Secret::new(text)),
                HeaderValue::Variable(from) => sources.variable(&what, &from.env),
                HeaderValue::File(from) => sources.file(&what, &from.file),
            };
            match value {
                Ok(value) => endpoint.headers.push((name, value)),
                Err(problem) => problems.push(problem),
            }
        }
        if let Some(file) = self.ca {
            match certificates(&sources.place_of(&file)) {
                Ok(certificates) => endpoint.certificates = certificates,
                Err(problem) => problems.push(problem),
            }
        }
        // A header may hold what another server calls its key.
        if !endpoint.headers.is_empty() {
            endpoint.unusable = None;
        }
        if !problems.is_empty() {
            endpoint.unusable = Some(problems.join("; "));
        }
        endpoint.parallel = match self.parallel {
            Some(parallel) if !(1..=MOST_PARALLEL).contains(&parallel) => {
                return Err(format!("`parallel` is a number from 1 to {MOST_PARALLEL}"));
            }
            parallel => parallel,
        };
        endpoint.settings = settings(
            self.context,
            self.protocol,
            self.price,
            self.seed,
            self.temperature,
        )?;
        for (name, model) in self.model {
            let settings = settings(
                model.context,
                model.protocol,
                model.price,
                model.seed,
                model.temperature,
            );
            let settings = settings.map_err(|problem| format!("model.{name:?}: {problem}"))?;
            endpoint.models.insert(name, settings);
        }
        Ok(endpoint)
    }
}

fn settings(
    context: Option<u64>,
    protocol: Option<Protocol>,
    price: Option<PriceTable>,
    seed: Option<u64>,
    temperature: Option<Temperature>,
) -> Result<ModelSettings, String> {
    if context.is_some_and(|tokens| !(SMALLEST_CONTEXT..=LARGEST_CONTEXT).contains(&tokens)) {
        return Err(format!(
            "`context` is a number of tokens from {SMALLEST_CONTEXT} to {LARGEST_CONTEXT}"
        ));
    }
    let price = price.map(|price| {
        let micros =
            |name, dollars| Price::micros(dollars).map_err(|problem| format!("price.{name}: {problem}"));
        Ok::<_, String>(Price {
            input: micros("input", price.input)?,
            output: micros("output", price.output)?,
            cached: price.cached.map(|cached| micros("cached", cached)).transpose()?,
        })
    });
    Ok(ModelSettings {
        context,
        protocol,
        price: price.transpose()?,
        sampling: Sampling { seed, temperature },
    })
}

/// Returns whether two addresses have the same scheme, host and port. What is no address has none.
fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |url| BaseUrl::parse(url).map(|base| base.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}

/// Returns whether a header's value is a secret, by the header's name.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_HEADERS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests;
