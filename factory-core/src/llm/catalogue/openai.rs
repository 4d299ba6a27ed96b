//! The models of an OpenAI-compatible server: `GET {base}/models`. Such a server gets and removes its models by itself.

use async_trait::async_trait;
use serde_json::Value;

use super::{Catalogue, ListedModel, PullProgress};
use crate::llm::server::Server;
use crate::llm::transport::Transport;
use crate::llm::{Capabilities, LlmError, Window, WindowBasis};

/// The fields in which servers tell a window beside the protocol.
const WINDOWS: [&str; 4] = [
    "loaded_context_length",
    "max_model_len",
    "context_length",
    "max_context_length",
];

/// The models of an OpenAI-compatible server.
#[derive(Debug)]
pub(super) struct OpenAiCatalogue {
    endpoint: String,
    transport: Transport,
}

impl OpenAiCatalogue {
    /// Returns the catalogue; the error says why no client can be made.
    pub(super) fn new(endpoint: &str, server: Server) -> Result<Self, String> {
        let server = Server {
            base: server.base.or_path("/v1"),
            ..server
        };
        Ok(Self {
            endpoint: endpoint.to_owned(),
            transport: Transport::new(&server)?,
        })
    }

    fn cannot(&self, what: &str) -> LlmError {
        LlmError::Unusable {
            model: self.endpoint.clone(),
            detail: format!(
                "its server cannot be asked to {what}, because its protocol has no way to; do it with the server's own \
                 means"
            ),
        }
    }
}

#[async_trait]
impl Catalogue for OpenAiCatalogue {
    async fn list(&self) -> Result<Vec<ListedModel>, LlmError> {
        let body = self.transport.get("models").await?;
        models(&body).ok_or_else(|| {
            self.transport
                .bad_reply("its list of models is no list of models")
        })
    }

    async fn pull(&self, _: &str, _: &(dyn Fn(PullProgress) + Send + Sync)) -> Result<(), LlmError> {
        Err(self.cannot("get a model"))
    }

    async fn remove(&self, _: &str) -> Result<(), LlmError> {
        Err(self.cannot("remove a model"))
    }
}

/// Reads a list of models; none if it is none.
fn models(body: &[u8]) -> Option<Vec<ListedModel>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let list = answer.get("data").unwrap_or(&answer).as_array()?;
    let mut models: Vec<_> = list.iter().filter_map(model).collect();
    models.sort_by(|one, other| one.name.cmp(&other.name));
    Some(models)
}

fn model(entry: &Value) -> Option<ListedModel> {
    // llama.cpp tells the window and the size beside what the model was trained with.
    let meta = entry.get("meta");
    let window = WINDOWS.iter().find_map(|field| entry.get(field)?.as_u64());
    let window = window.or_else(|| meta?.get("n_ctx")?.as_u64());
    Some(ListedModel {
        name: entry
            .get("id")?
            .as_str()
            .filter(|name| !name.is_empty())?
            .to_owned(),
        size: meta.and_then(|meta| meta.get("size")?.as_u64()),
        parameters: meta.and_then(|meta| Some(parameters(meta.get("n_params")?.as_u64()?))),
        quantisation: entry
            .get("quantization")
            .and_then(Value::as_str)
            .map(str::to_owned),
        capabilities: Capabilities {
            window: window.filter(|tokens| *tokens > 0).map(|tokens| Window {
                tokens,
                basis: WindowBasis::Told,
            }),
            ..Capabilities::default()
        },
        loaded: entry
            .get("state")
            .and_then(Value::as_str)
            .map(|state| state == "loaded"),
    })
}

/// Returns a number of parameters as it is written in the names of models.
fn parameters(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let count = count as f64;
    if count >= 1e9 {
        format!("{:.1}B", count / 1e9)
    } else {
        format!("{:.0}M", count / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: Option<&[(&str, Option<u64>)]>) {
        let models = models(body.as_bytes());
        let found: Option<Vec<_>> = models.as_ref().map(|models| {
            let line = |model: &ListedModel| (model.name.clone(), model.capabilities.context_window());
            models.iter().map(line).collect()
        });
        let expect: Option<Vec<_>> = expect.map(|list| {
            list.iter()
                .map(|(name, window)| ((*name).to_owned(), *window))
                .collect()
        });
        assert_eq!(found, expect, "{body}");
    }

    #[test]
    fn lists_of_the_usual_servers_are_read() {
        check(
            r#"{"object":"list","data":[{"id":"b"},{"id":"a"}]}"#,
            Some(&[("a", None), ("b", None)]),
        );
        check(
            r#"{"data":[{"id":"v","max_model_len":4096}]}"#,
            Some(&[("v", Some(4096))]),
        );
        check(
            r#"{"data":[{"id":"m","max_context_length":131072,"loaded_context_length":8192}]}"#,
            Some(&[("m", Some(8192))]),
        );
        check(r#"[{"id":"bare","context_length":0}]"#, Some(&[("bare", None)]));
        check(r#"{"data":[{"id":7},{"id":""},{}]}"#, Some(&[]));
        check(r#"{"data":{}}"#, None);
        check("<html>", None);
    }

    #[test]
    fn a_llama_cpp_server_tells_more() {
        let body = br#"{"data":[{"id":"qwen","meta":{"n_ctx":4096,"n_params":494032768,"size":397800448}}]}"#;
        let listed = models(body).unwrap();
        assert_eq!(
            (
                listed[0].parameters.as_deref(),
                listed[0].size,
                listed[0].capabilities.context_window()
            ),
            (Some("494M"), Some(397_800_448), Some(4096))
        );
    }
}
