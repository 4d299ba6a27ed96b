//! Short questions to a model server: what it serves, whether it is ready.

use futures_util::StreamExt;
use reqwest::Url;
use reqwest::header::ACCEPT;

use super::{LlmError, Transport, causes};

impl Transport {
    /// Returns the body of the answer at a path below the base address. An answer that is no success is an error.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, LlmError> {
        self.fetch(self.base.join(path)).await
    }

    /// Like [`Self::get`], at a path of the server's origin.
    pub async fn get_at_origin(&self, path: &str) -> Result<Vec<u8>, LlmError> {
        self.fetch(self.base.at_origin(path)).await
    }

    /// Reads a whole answer within the bound of one silence, because nothing is computed for it.
    async fn fetch(&self, url: Url) -> Result<Vec<u8>, LlmError> {
        let request = self
            .client
            .get(url)
            .header(ACCEPT, "application/json")
            .headers(self.protocol_headers.clone());
        let answer = async {
            let response = request.send().await.map_err(|error| self.lost(error))?;
            let response = self.accepted(response).await?;
            let mut body = Vec::new();
            let mut stream = response.bytes_stream();
            while let Some(bytes) = stream.next().await {
                let bytes = bytes.map_err(|error| {
                    self.bad_reply(format!("it broke off: {}", causes(&error.without_url())))
                })?;
                let limit = self.bounds.answer_bytes;
                if body.len() + bytes.len() > limit {
                    return Err(self.bound_passed(format!("the answer is longer than {limit} bytes")));
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
