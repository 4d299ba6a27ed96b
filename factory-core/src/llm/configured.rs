//! A model with what the operator's settings say of it: its window, its price, how it is asked and drawn from.

use std::sync::Arc;

use async_trait::async_trait;

use super::endpoint::{ASSUMED_WINDOW, ModelSettings};
use super::{Capabilities, ChatRequest, Llm, LlmError, Progress, ReplyStream, Window, WindowBasis};

/// A model with the operator's settings. What a backend knows of the window goes before them, because a backend is told
/// them and knows the server as well.
#[derive(Debug)]
pub(super) struct Configured {
    inner: Arc<dyn Llm>,
    settings: ModelSettings,
}

impl Configured {
    pub(super) fn new(inner: Arc<dyn Llm>, settings: ModelSettings) -> Self {
        Self { inner, settings }
    }

    fn with_settings(&self, known: Capabilities) -> Capabilities {
        let window = known.window.unwrap_or(match self.settings.context {
            Some(tokens) => Window {
                tokens,
                basis: WindowBasis::Declared,
            },
            None => Window {
                tokens: ASSUMED_WINDOW,
                basis: WindowBasis::Assumed,
            },
        });
        Capabilities {
            window: Some(window),
            protocol: self.settings.protocol.or(known.protocol),
            price: self.settings.price.or(known.price),
            ..known
        }
    }
}

#[async_trait]
impl Llm for Configured {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.with_settings(self.inner.capabilities())
    }

    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        Ok(self.with_settings(self.inner.prepare(progress).await?))
    }

    async fn chat(&self, mut request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let sampling = &mut request.sampling;
        sampling.seed = sampling.seed.or(self.settings.sampling.seed);
        sampling.temperature = sampling.temperature.or(self.settings.sampling.temperature);
        self.inner.chat(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::openai::{OpenAiConfig, OpenAiLlm};
    use crate::llm::server::{BaseUrl, Server};
    use crate::llm::{Price, Protocol};

    fn check(known: Option<u64>, settings: ModelSettings, expect: Capabilities) {
        let server = Server::new(BaseUrl::parse("http://127.0.0.1:1").unwrap());
        let inner = OpenAiLlm::new(OpenAiConfig {
            context_window: known,
            ..OpenAiConfig::new("m", server, "m")
        });
        let model = Configured::new(Arc::new(inner.unwrap()), settings);
        assert_eq!(model.capabilities(), expect);
    }

    #[test]
    fn the_settings_fill_in_what_nobody_told() {
        let window = |tokens, basis| Capabilities {
            window: Some(Window { tokens, basis }),
            ..Capabilities::default()
        };
        check(
            None,
            ModelSettings::default(),
            window(ASSUMED_WINDOW, WindowBasis::Assumed),
        );
        let declared = ModelSettings {
            context: Some(4096),
            ..ModelSettings::default()
        };
        check(None, declared, window(4096, WindowBasis::Declared));
        check(Some(2048), declared, window(2048, WindowBasis::Declared));
        let price = Price {
            input: 1,
            output: 2,
            cached: None,
        };
        check(
            None,
            ModelSettings {
                protocol: Some(Protocol::Text),
                price: Some(price),
                ..ModelSettings::default()
            },
            Capabilities {
                protocol: Some(Protocol::Text),
                price: Some(price),
                ..window(ASSUMED_WINDOW, WindowBasis::Assumed)
            },
        );
    }
}
