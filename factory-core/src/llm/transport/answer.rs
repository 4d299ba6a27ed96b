//! Short questions to a model server: what it serves, whether it is ready.

use futures_util::StreamExt;
use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use super::{LlmError, Transport, causes};

/// The most bytes of an answer that is no stream.
const LONGEST_ANSWER: usize = 4 << 20;

impl Transport {
    /// Returns the body of the answer at a path below the base address. An answer that is no success is an error.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, LlmError> {
        self.fetch(self.client.get(self.base.join(path))).await
    }

    /// Like [`Self::get`], with a JSON body that says what is asked.
    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Vec<u8>, LlmError> {
        let request = self.client.post(self.base.join(path));
        self.fetch(
            request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string()),
        )
        .await
    }

    /// Deletes what a JSON body names.
    pub async fn delete(&self, path: &str, body: &Value) -> Result<Vec<u8>, LlmError> {
        let request = self.client.delete(self.base.join(path));
        self.fetch(
            request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string()),
        )
        .await
    }

    /// Reads a whole answer within the bound of one silence, because nothing is computed for it.
    async fn fetch(&self, request: RequestBuilder) -> Result<Vec<u8>, LlmError> {
        let answer = async {
            let request = request.header(ACCEPT, "application/json");
            let response = request.send().await.map_err(|error| self.lost(error))?;
            if !response.status().is_success() {
                return Err(self.refusal(response).await);
            }
            let mut body = Vec::new();
            let mut stream = response.bytes_stream();
            while let Some(bytes) = stream.next().await {
                let bytes = bytes.map_err(|error| {
                    self.bad_reply(format!("it broke off: {}", causes(&error.without_url())))
                })?;
                if body.len() + bytes.len() > LONGEST_ANSWER {
                    return Err(
                        self.bound_passed(format!("the answer is longer than {LONGEST_ANSWER} bytes"))
                    );
                }
                body.extend_from_slice(&bytes);
            }
            Ok(body)
        };
        tokio::time::timeout(self.bounds.idle, answer)
            .await
            .map_err(|_| self.late("the answer", self.bounds.idle))?
    }
}
