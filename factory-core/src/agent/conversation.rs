//! The conversation as the model sees it: the stored messages with their texts, measured and, where need be, stubbed.

use std::sync::Arc;

use super::prompt;
use super::state::{State, ToolPlace};
use crate::llm::{ChatRequest, Message, Reply, ToolSpec};
use crate::model::payload::{MessageRef, Role};
use crate::store::{Store, StoreError};

/// What a message costs beside its text: role marks and separators of the usual templates.
const MESSAGE_OVERHEAD: usize = 16;

/// The texts of a run's stored messages, in order, kept beside the folded state.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    messages: Vec<Message>,
}

impl Conversation {
    /// Reads the messages that the state has and the conversation has not.
    pub(super) async fn catch_up(&mut self, state: &State, store: &Arc<dyn Store>) -> Result<(), StoreError> {
        for message in &state.conversation[self.messages.len()..] {
            let content = store.blob(&message.blob).await?;
            self.messages.push(read(message, &content));
        }
        Ok(())
    }

    /// Returns the messages of the prompt: what is stored, with old results stubbed, then what is new.
    pub(super) fn prompt(&self, state: &State, new: &[Message]) -> Vec<Message> {
        let stored = self.messages.iter().zip(&state.origins).map(|(message, origin)| {
            let mut message = message.clone();
            if origin.is_some_and(|place| state.dropped.contains(&place)) {
                message.text = prompt::stub(message.text.len());
            }
            message
        });
        stored.chain(new.iter().cloned()).collect()
    }

    /// Returns the oldest tool results that have to go so that the prompt's estimate falls by `excess` tokens.
    pub(super) fn droppable(&self, state: &State, excess: u64) -> Vec<ToolPlace> {
        let mut saved = 0;
        let mut dropped = Vec::new();
        for (message, origin) in self.messages.iter().zip(&state.origins) {
            let Some(place) = origin else { continue };
            if saved >= excess {
                break;
            }
            let stub = prompt::stub(message.text.len()).len();
            if message.text.len() > stub && !state.dropped.contains(place) {
                saved += tokens(message.text.len() - stub);
                dropped.push(*place);
            }
        }
        dropped
    }
}

fn read(message: &MessageRef, content: &[u8]) -> Message {
    if message.role == Role::Assistant
        && let Ok(reply) = serde_json::from_slice::<Reply>(content)
    {
        return Message {
            role: Role::Assistant,
            text: reply.text,
            tool_calls: reply.tool_calls,
            tool_call_id: None,
        };
    }
    Message {
        role: message.role,
        text: String::from_utf8_lossy(content).into_owned(),
        tool_calls: Vec::new(),
        tool_call_id: message.tool_call_id.clone(),
    }
}

/// Returns the estimated size of a request in tokens. There is no tokeniser to ask; code is about three bytes a token,
/// and an estimate that is too high costs room, one that is too low costs the prompt.
pub(super) fn estimate(request: &ChatRequest) -> u64 {
    let messages: usize = request.messages.iter().map(size).sum();
    let tools: usize = request.tools.iter().map(tool_size).sum();
    tokens(messages + tools)
}

/// Returns the estimated size of a text in tokens.
pub(super) fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(3) as u64
}

/// Returns the largest part of a request, for the operator who has to make it smaller.
pub(super) fn largest_part(request: &ChatRequest) -> String {
    let largest = request
        .messages
        .iter()
        .enumerate()
        .max_by_key(|(_, message)| size(message));
    largest.map_or_else(String::new, |(place, message)| {
        let what = match (message.role, place) {
            (Role::System, _) => "the standing instructions",
            (Role::User, 1) => "the goal with the project's instructions",
            (Role::User, _) => "a message with directives or check output",
            (Role::Assistant, _) => "a reply of the model",
            (Role::Tool, _) => "a tool's result",
        };
        format!("{what} ({} bytes)", size(message))
    })
}

fn size(message: &Message) -> usize {
    let calls: usize = message
        .tool_calls
        .iter()
        .map(|call| call.id.len() + call.name.len() + call.arguments.len())
        .sum();
    message.text.len() + calls + MESSAGE_OVERHEAD
}

fn tool_size(tool: &ToolSpec) -> usize {
    tool.name.len() + tool.description.len() + tool.parameters.to_string().len() + MESSAGE_OVERHEAD
}
