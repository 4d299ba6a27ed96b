//! Whether the models in use can be had: is the server there, is the model on it, is the window known.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Finding, finding};
use crate::chain::chain;
use crate::factory::Reader;
use crate::llm::catalogue::{ListedModel, catalogue};
use crate::llm::endpoint::{ASSUMED_WINDOW, Endpoint, EndpointKind, OPENAI};
use crate::llm::spec::ModelSpec;
use crate::llm::{LlmError, Window, WindowBasis};
use crate::model::{Protocol, RunStatus};
use crate::store::{Page, RunFilter};

/// How long one model is looked at.
const WITHIN: Duration = Duration::from_secs(10);

/// How many runs of a status are looked at for their models, and how many models in all.
const RUNS: u32 = 50;
const MODELS: usize = 8;

/// How many names of a server's models are told where the wanted one is missing.
const NAMES: usize = 5;

impl Reader {
    /// Looks at the model of runs that name none, and at those of runs that are not final.
    pub(super) async fn model_findings(&self) -> Vec<Finding> {
        let usual = self.settings.model.clone();
        let mut others = BTreeSet::new();
        for status in RunStatus::ALL.into_iter().filter(|status| !status.is_final()) {
            let filter = RunFilter {
                status: Some(status),
                ..RunFilter::default()
            };
            // A database that cannot be read is told apart.
            let runs = self.store.runs(filter, Page::first(RUNS)).await;
            others.extend(runs.into_iter().flatten().map(|run| run.spec.model));
        }
        others.remove(&usual);
        let specs = std::iter::once(usual).chain(others).take(MODELS);
        join_all(specs.map(|spec| self.model_finding(spec))).await
    }

    async fn model_finding(&self, spec: String) -> Finding {
        match tokio::time::timeout(WITHIN, self.look_at_model(&spec)).await {
            Ok(finding) => finding,
            Err(_) => about(
                false,
                format!("`{spec}`: its server did not answer within {WITHIN:?}"),
                Some("look at the server; `factory models` shows what each endpoint says".to_owned()),
            ),
        }
    }

    async fn look_at_model(&self, spec: &str) -> Finding {
        let cannot = |error: &LlmError| {
            about(
                false,
                chain(error),
                Some("name another model with `model = \"…\"` in factory.toml, or mend this one".to_owned()),
            )
        };
        let (name, model, endpoint) = match spec.parse() {
            Ok(ModelSpec::At { model, url }) => {
                (OPENAI.to_owned(), model, Endpoint::new(EndpointKind::OpenAi, url))
            }
            Ok(ModelSpec::Of { endpoint, model }) => match self.models.endpoints().find(&endpoint, spec) {
                Ok(found) => (endpoint, model, found.clone()),
                Err(_) if self.models.has(spec) => return plugged_in(spec),
                Err(error) => return cannot(&error),
            },
            Ok(ModelSpec::Scripted { .. } | ModelSpec::Recorded { .. }) => {
                let (models, text) = (std::sync::Arc::clone(&self.models), spec.to_owned());
                return match tokio::task::spawn_blocking(move || models.open(&text)).await {
                    Ok(Ok(_)) => about(true, format!("`{spec}` can be read"), None),
                    Ok(Err(error)) => cannot(&error),
                    Err(error) => about(false, format!("`{spec}`: {error}"), None),
                };
            }
            Err(_) if self.models.has(spec) => return plugged_in(spec),
            Err(error) => return cannot(&error),
        };
        let listed = match catalogue(&name, &endpoint) {
            Ok(catalogue) => catalogue.list().await,
            Err(error) => Err(error),
        };
        let mut finding = judged(spec, &model, &endpoint, listed);
        let declared = endpoint.of_model(&model).protocol;
        if let Some(protocol) = declared.or_else(|| self.notes.protocol(spec)) {
            let how = if declared.is_some() {
                "as declared"
            } else {
                "as was found by trying"
            };
            finding.found.push_str(&format_protocol(protocol, how));
        }
        finding
    }
}

fn format_protocol(protocol: Protocol, how: &str) -> String {
    format!("; asked by the {protocol} protocol, {how}")
}

fn plugged_in(spec: &str) -> Finding {
    about(true, format!("`{spec}` is part of this program"), None)
}

/// Says what a server's list means for a model.
fn judged(
    spec: &str,
    model: &str,
    endpoint: &Endpoint,
    listed: Result<Vec<ListedModel>, LlmError>,
) -> Finding {
    let url = endpoint.shown_url();
    let is_ollama = endpoint.kind == EndpointKind::Ollama;
    let declared = endpoint.of_model(model).context;
    let models = match listed {
        Ok(models) => models,
        // Many servers list nothing, and chat all the same.
        Err(LlmError::Refused {
            status: 404 | 405, ..
        }) if !is_ollama => {
            let window = window_text(None, declared);
            return about(
                true,
                format!("`{spec}`: {url} answers, and lists no models; {}", window.0),
                window.1,
            );
        }
        Err(error) => {
            return about(
                false,
                format!("`{spec}`: {}", without_model(&error)),
                Some(way_out(&error, endpoint)),
            );
        }
    };
    let is_called = |name: &str| name == model || (is_ollama && name.strip_suffix(":latest") == Some(model));
    let found = models.iter().find(|listed| is_called(&listed.name));
    // llama.cpp has one model and gives it whatever it is asked for.
    let only = models.first().filter(|_| models.len() == 1 && !is_ollama);
    match found.or(only) {
        Some(listed) => {
            let window = window_text(listed.capabilities.window, declared);
            let other = if is_called(&listed.name) {
                String::new()
            } else {
                format!(", whose only model is `{}`", listed.name)
            };
            about(true, format!("`{spec}` at {url}{other}: {}", window.0), window.1)
        }
        None if is_ollama => about(
            false,
            format!("`{spec}`: {url} is there and does not have the model"),
            Some(format!("`factory models pull {spec}` gets it")),
        ),
        None => {
            let names: Vec<_> = models
                .iter()
                .take(NAMES)
                .map(|model| model.name.as_str())
                .collect();
            let more = if models.len() > NAMES { ", …" } else { "" };
            about(
                false,
                format!("`{spec}`: {url} is there and does not have the model"),
                Some(format!(
                    "it has {}{more}; `factory models` lists them",
                    names.join(", ")
                )),
            )
        }
    }
}

/// Returns what is known of a window, and what to do where it is not enough.
fn window_text(told: Option<Window>, declared: Option<u64>) -> (String, Option<String>) {
    match (told, declared) {
        (Some(told), Some(declared)) if declared < told.tokens => (
            format!("window {declared} of {} tokens, as declared", told.tokens),
            None,
        ),
        (Some(told), declared) => {
            let basis = match told.basis {
                WindowBasis::Verified => "verified",
                _ => "as its server says",
            };
            let remedy = declared
                .filter(|declared| *declared > told.tokens)
                .map(|declared| {
                    format!("`context = {declared}` is more than that; the smaller number counts")
                });
            (format!("window {} tokens, {basis}", told.tokens), remedy)
        }
        (None, Some(declared)) => (
            format!("window {declared} tokens, declared and not verified"),
            None,
        ),
        (None, None) => (
            format!("window untold; {ASSUMED_WINDOW} tokens are assumed and not verified"),
            Some("say `context = TOKENS` in the endpoint's table of factory.toml".to_owned()),
        ),
    }
}

/// Returns an error's text without the model's name, which stands before it.
fn without_model(error: &LlmError) -> String {
    match error {
        LlmError::Unusable { detail, .. } => detail.clone(),
        error => chain(error),
    }
}

fn way_out(error: &LlmError, endpoint: &Endpoint) -> String {
    match (error, endpoint.kind) {
        (LlmError::Unreachable { .. } | LlmError::BoundPassed { .. }, EndpointKind::Ollama) => {
            "start it with `ollama serve`, say where it is with `url` in [endpoint.ollama], or name another model with \
             `model = \"…\"` in factory.toml"
                .to_owned()
        }
        (LlmError::Unreachable { .. } | LlmError::BoundPassed { .. }, _) => {
            "start the server, or mend its `url` in factory.toml".to_owned()
        }
        (LlmError::Refused { status: 401 | 403, .. }, _) => {
            "it does not take the key; look at `key_env` or `key_file` of the endpoint in factory.toml".to_owned()
        }
        (LlmError::Unusable { .. }, _) => "mend the endpoint in factory.toml, or name another model".to_owned(),
        _ => "look at the server; `factory models` shows what each endpoint says".to_owned(),
    }
}

fn about(ok: bool, found: String, remedy: Option<String>) -> Finding {
    finding("model", ok, found, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Capabilities;

    fn listed(name: &str, window: Option<(u64, WindowBasis)>) -> ListedModel {
        ListedModel {
            name: name.to_owned(),
            capabilities: Capabilities {
                window: window.map(|(tokens, basis)| Window { tokens, basis }),
                ..Capabilities::default()
            },
            ..ListedModel::default()
        }
    }

    fn endpoint(kind: EndpointKind, context: Option<u64>) -> Endpoint {
        let mut endpoint = Endpoint::new(kind, "http://h:1");
        endpoint.settings.context = context;
        endpoint
    }

    #[test]
    fn each_state_of_a_server_says_what_to_do() {
        use EndpointKind::{Ollama, OpenAi};
        let refused = |status| LlmError::Refused {
            endpoint: "http://h:1".to_owned(),
            status,
            detail: "no".to_owned(),
        };
        let away = || LlmError::Unreachable {
            endpoint: "http://h:1".to_owned(),
            source: "connection refused".into(),
        };
        let two = || vec![listed("a", None), listed("b", None)];
        let verified = Some((8192, WindowBasis::Verified));
        let told = Some((40_960, WindowBasis::Told));
        let cases = [
            (Ollama, None, Ok(vec![listed("m:latest", verified)])),
            (Ollama, Some(16_384), Ok(vec![listed("m", told)])),
            (Ollama, Some(99_999), Ok(vec![listed("m", told)])),
            (Ollama, None, Ok(two())),
            (Ollama, None, Err(away())),
            (OpenAi, None, Err(away())),
            (OpenAi, None, Err(refused(401))),
            (OpenAi, None, Err(refused(404))),
            (OpenAi, Some(4096), Err(refused(404))),
            (OpenAi, None, Err(refused(500))),
            (OpenAi, None, Ok(two())),
            (OpenAi, None, Ok(vec![listed("other", told)])),
            (OpenAi, Some(4096), Ok(vec![listed("m", None)])),
        ];
        let lines = cases.map(|(kind, context, list)| {
            let finding = judged("e:m", "m", &endpoint(kind, context), list);
            let mark = if finding.ok { '✓' } else { '✗' };
            let remedy = finding.remedy.map(|remedy| format!("\n  → {remedy}"));
            format!("{mark} {}{}", finding.found, remedy.unwrap_or_default())
        });
        insta::assert_snapshot!(lines.join("\n"));
    }
}
