//! The requests that a run made, told again from its events.

use std::sync::Arc;

use super::conversation::{self, Conversation};
use super::dialect;
use super::state::State;
use crate::llm::ChatRequest;
use crate::model::payload::LlmRequested;
use crate::model::{BlobId, Event, EventKind};
use crate::store::{Store, StoreError};

/// Follows a run's events and tells the requests among them.
#[derive(Debug)]
pub(crate) struct Transcript {
    state: State,
    conversation: Conversation,
}

/// A request that a run made.
#[derive(Debug)]
pub(crate) struct ToldRequest {
    /// The call's number within the run.
    pub(crate) call: u64,
    /// The request.
    pub(crate) request: ChatRequest,
    /// Whether it is to the byte what was sent: its hash is the stored one. An older factory may have asked otherwise.
    pub(crate) as_sent: bool,
}

impl Transcript {
    /// Returns the transcript of no events.
    pub(crate) fn new() -> Self {
        Self {
            state: State::fold([]),
            conversation: Conversation::default(),
        }
    }

    /// Adds the next event, and returns the request where it is one.
    pub(crate) async fn add(
        &mut self,
        event: &Event,
        store: &Arc<dyn Store>,
    ) -> Result<Option<ToldRequest>, StoreError> {
        let told = match &event.kind {
            EventKind::LlmRequested(requested) => Some(self.told(requested, store).await?),
            _ => None,
        };
        self.state.apply(event);
        self.conversation.catch_up(&self.state, store).await?;
        Ok(told)
    }

    /// Tells a request from the state in which it was made.
    async fn told(
        &self,
        requested: &LlmRequested,
        store: &Arc<dyn Store>,
    ) -> Result<ToldRequest, StoreError> {
        let mut new = Vec::new();
        for message in &requested.appended {
            new.push(conversation::read(message, &store.blob(&message.blob).await?));
        }
        let protocol = self.state.protocol();
        let request = ChatRequest {
            messages: dialect::present(protocol, self.conversation.prompt(&self.state, &new)),
            tools: dialect::tools(protocol),
            max_tokens: requested.max_tokens,
            format: dialect::format(protocol),
            sampling: requested.sampling,
            replies_before: Some(self.conversation.replies()),
            ..ChatRequest::default()
        };
        let whole = serde_json::to_vec(&request).expect("a request is structs, lists and texts");
        Ok(ToldRequest {
            call: requested.call,
            as_sent: BlobId::of(&whole) == requested.prompt_hash,
            request,
        })
    }
}
