//! A model whose server's words are freed of the secrets that the server was given.
//!
//! Here and not at the bytes of the connection, because a key may be cut by a chunk, by an event of the stream, or hidden
//! behind an escape; what comes out of a backend is text as it will be stored.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::striking::{Held, Striking};
use super::{Capabilities, ChatRequest, Delta, Llm, LlmError, Progress, ReplyStream, ToolCall};

/// A model whose words are freed of secrets.
#[derive(Debug)]
pub(super) struct Struck {
    inner: Arc<dyn Llm>,
    striking: Striking,
}

impl Struck {
    pub(super) fn new(inner: Arc<dyn Llm>, striking: Striking) -> Self {
        Self { inner, striking }
    }
}

#[async_trait]
impl Llm for Struck {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        let prepared = self.inner.prepare(progress).await;
        prepared.map_err(|error| self.striking.strike_error(error))
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let reply = self.inner.chat(request).await;
        let reply = reply.map_err(|error| self.striking.strike_error(error))?;
        Ok(struck(reply, self.striking.clone()))
    }
}

fn struck(reply: ReplyStream, striking: Striking) -> ReplyStream {
    let (mut text, mut thinking) = (Held::default(), Held::default());
    reply
        .flat_map(move |delta| {
            let mut deltas = Vec::with_capacity(1);
            let mut push = |delta: Delta| deltas.push(Ok(delta));
            match delta {
                Ok(Delta::Text(piece)) => push(Delta::Text(text.push(&striking, &piece))),
                Ok(Delta::Thinking(piece)) => push(Delta::Thinking(thinking.push(&striking, &piece))),
                Ok(Delta::ToolCall(call)) => push(Delta::ToolCall(ToolCall {
                    id: striking.strike(&call.id),
                    name: striking.strike(&call.name),
                    arguments: striking.strike_json(&call.arguments),
                })),
                Ok(Delta::Usage(tokens)) => push(Delta::Usage(tokens)),
                Ok(Delta::End(reason)) => {
                    push(Delta::Text(text.finish(&striking)));
                    push(Delta::Thinking(thinking.finish(&striking)));
                    push(Delta::End(reason));
                }
                Err(error) => deltas.push(Err(striking.strike_error(error))),
            }
            // What is held back altogether is no piece.
            deltas.retain(
                |delta| !matches!(delta, Ok(Delta::Text(text) | Delta::Thinking(text)) if text.is_empty()),
            );
            stream::iter(deltas)
        })
        .boxed()
}

impl Striking {
    /// Returns the error without the secrets.
    pub(super) fn strike_error(&self, error: LlmError) -> LlmError {
        match error {
            LlmError::Busy {
                endpoint,
                detail,
                retry_after,
            } => LlmError::Busy {
                endpoint,
                detail: self.strike(&detail),
                retry_after,
            },
            LlmError::Refused {
                endpoint,
                status,
                detail,
            } => LlmError::Refused {
                endpoint,
                status,
                detail: self.strike(&detail),
            },
            LlmError::ContextOverflow(detail) => LlmError::ContextOverflow(self.strike(&detail)),
            LlmError::BadReply { endpoint, detail } => LlmError::BadReply {
                endpoint,
                detail: self.strike(&detail),
            },
            LlmError::BoundPassed { endpoint, detail } => LlmError::BoundPassed {
                endpoint,
                detail: self.strike(&detail),
            },
            LlmError::Unusable { model, detail } => LlmError::Unusable {
                model,
                detail: self.strike(&detail),
            },
            // A connection that failed holds no word of a server, and a file that is played is no server.
            other @ (LlmError::Unreachable { .. }
            | LlmError::Script { .. }
            | LlmError::Recording { .. }
            | LlmError::Differs { .. }
            | LlmError::Again { .. }) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::server::Secret;
    use crate::llm::{EndReason, collect};

    const KEY: &str = "sk-live-hunter2";

    async fn check(deltas: Vec<Delta>, expect: (&str, &str, &str)) {
        let striking = Striking::new(&[Secret::new(KEY)]).unwrap();
        let inner = stream::iter(deltas.into_iter().map(Ok)).boxed();
        let reply = collect(struck(inner, striking), "test", |delta| {
            assert!(!format!("{delta:?}").contains("hunter2"), "{delta:?}");
        });
        let reply = reply.await.unwrap();
        let arguments = reply.tool_calls.first().map(|call| call.arguments.as_str());
        assert_eq!(
            (
                reply.text.as_str(),
                reply.thinking.as_str(),
                arguments.unwrap_or_default()
            ),
            expect
        );
    }

    fn text(piece: &str) -> Delta {
        Delta::Text(piece.to_owned())
    }

    #[tokio::test]
    async fn a_key_in_a_reply_is_struck_wherever_it_stands() {
        let thinking = |piece: &str| Delta::Thinking(piece.to_owned());
        let call = |arguments: &str| {
            Delta::ToolCall(ToolCall {
                id: "1".to_owned(),
                name: "write_file".to_owned(),
                arguments: arguments.to_owned(),
            })
        };
        let end = Delta::End(EndReason::Stop);
        check(
            vec![text("a sk-live-hunter2 b"), end.clone()],
            ("a [key] b", "", ""),
        )
        .await;
        let by_letter = "a sk-live-hunter2".chars().map(|c| text(&c.to_string()));
        check(by_letter.chain([end.clone()]).collect(), ("a [key]", "", "")).await;
        // Thinking in between does not part the text.
        check(
            vec![
                text("sk-live"),
                thinking("sk-live-"),
                text("-hunter2"),
                thinking("hunter2!"),
                end.clone(),
            ],
            ("[key]", "[key]!", ""),
        )
        .await;
        check(
            vec![call(r#"{"content":"\u0073k-live-hunter2"}"#), end.clone()],
            ("", "", r#"{"content":"[key]"}"#),
        )
        .await;
        check(
            vec![text("it ends with sk-live"), end],
            ("it ends with sk-live", "", ""),
        )
        .await;
    }

    #[test]
    fn a_key_in_an_error_is_struck() {
        let striking = Striking::new(&[Secret::new(KEY)]).unwrap();
        let said = || format!("no such key {KEY}");
        let endpoint = || "http://h".to_owned();
        for error in [
            LlmError::Busy {
                endpoint: endpoint(),
                detail: said(),
                retry_after: None,
            },
            LlmError::Refused {
                endpoint: endpoint(),
                status: 401,
                detail: said(),
            },
            LlmError::ContextOverflow(said()),
            LlmError::BadReply {
                endpoint: endpoint(),
                detail: said(),
            },
            LlmError::BoundPassed {
                endpoint: endpoint(),
                detail: said(),
            },
            LlmError::Unusable {
                model: "m".to_owned(),
                detail: said(),
            },
        ] {
            let struck = striking.strike_error(error).to_string();
            assert!(
                struck.contains("[key]") && !struck.contains("hunter2"),
                "{struck}"
            );
        }
    }
}
