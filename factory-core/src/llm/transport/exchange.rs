//! Short exchanges with a model server beside the replies: one question, one JSON answer, bounded in time and length.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use super::{LlmError, Transport, causes};
use crate::llm::server::Bounds;

/// What stands between where an answer came from and why it is no JSON.
const NO_JSON: &str = "is no JSON: ";

/// Returns whether a reply is bad because [`Transport::exchange`] found no JSON in it.
pub(in crate::llm) fn is_no_json(detail: &str) -> bool {
    detail.contains(NO_JSON)
}

/// The most bytes of an answer. What servers tell of a model includes its licence and its template.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

impl Transport {
    /// Returns the same way to the server, with other bounds on replies.
    pub(in crate::llm) fn within(&self, bounds: Bounds) -> Self {
        Self {
            bounds,
            ..self.clone()
        }
    }

    /// Sends a request and returns its JSON answer, which must be whole within `wait`. An empty answer is `null`; one
    /// that is no success, or no JSON, is an error.
    pub(in crate::llm) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        wait: Duration,
    ) -> Result<Value, LlmError> {
        let mut request = self
            .client
            .request(method, self.base.join(path))
            .header(ACCEPT, "application/json");
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let answer = async {
            let response = request.send().await.map_err(|error| self.lost(error))?;
            let response = self.accepted(response).await?;
            let mut answer = Vec::new();
            let mut stream = response.bytes_stream();
            while let Some(bytes) = stream.next().await {
                let bytes = bytes.map_err(|error| {
                    self.bad_reply(format!("it broke off: {}", causes(&error.without_url())))
                })?;
                if answer.len() + bytes.len() > ANSWER_BYTES {
                    return Err(self.bound_passed(format!("the answer is longer than {ANSWER_BYTES} bytes")));
                }
                answer.extend_from_slice(&bytes);
            }
            Ok(answer)
        };
        let answer = tokio::time::timeout(wait, answer)
            .await
            .map_err(|_| self.late("the answer", wait))??;
        if answer.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer)
            .map_err(|error| self.bad_reply(format!("the answer at /{path} {NO_JSON}{error}")))
    }
}
