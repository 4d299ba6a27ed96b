//! The conversation as the model sees it: the stored messages with their texts, measured and, where need be, stubbed.

use std::collections::HashSet;
use std::sync::Arc;

use super::prompt;
use super::state::{Pending, State, ToolPlace};
use crate::context;
use crate::llm::{ChatRequest, Message, Reply, ToolSpec};
use crate::model::payload::{MessageRef, Role};
use crate::store::{Store, StoreError};

/// The messages of the opening: the standing instructions, and the goal with what is known.
const OPENING: usize = 2;

/// What a message costs beside its text: role marks and separators of the usual templates.
const MESSAGE_OVERHEAD: usize = 16;
/// The same in tokens.
const MESSAGE_TOKENS: u64 = 6;

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

    /// Returns how many replies the model has given.
    pub(super) fn replies(&self) -> usize {
        let replies = self
            .messages
            .iter()
            .filter(|message| message.role == Role::Assistant);
        replies.count()
    }

    /// Returns the messages of the prompt: what is stored, with old results stubbed, then what is new.
    pub(super) fn prompt(&self, state: &State, new: &[Message]) -> Vec<Message> {
        let opening = state
            .turns
            .iter()
            .take_while(|turn| **turn == 1)
            .count()
            .min(OPENING);
        // Of what was given again and again not even the first time is shown: it would be copied once more.
        let copies: HashSet<&str> = self
            .messages
            .iter()
            .zip(&state.turns)
            .filter(|(message, turn)| message.role == Role::Assistant && state.copies.contains(*turn))
            .map(|(message, _)| message.text.as_str())
            .collect();
        let mut shown = Vec::new();
        for (place, (message, origin)) in self.with_origins(state, new).enumerate() {
            if place == opening
                && let (Some(forgotten), Some(goal)) = (&state.forgotten, shown.last_mut())
            {
                // Within the goal's message, because some models' templates want the sides to take turns.
                let goal: &mut Message = goal;
                goal.text.push_str("\n\n");
                goal.text.push_str(&forgotten.summary);
            }
            let turn = state.turns.get(place).filter(|_| place >= opening);
            let is_copy = message.role == Role::Assistant && copies.contains(message.text.as_str());
            if is_copy || turn.is_some_and(|turn| has_left(state, message, *turn)) {
                continue;
            }
            let mut message = message.clone();
            if origin.is_some_and(|place| state.dropped.contains(&place)) {
                message.text = prompt::stub(message.text.len());
            }
            if place < opening && message.role == Role::User && state.is_led() {
                for path in &state.copied {
                    message.text = prompt::led::without_file(&message.text, path);
                }
            }
            shown.push(message);
        }
        shown
    }

    /// Returns the calls before whose replies everything may be left out, the fewest turns first. The opening and the
    /// newest reply stay.
    pub(super) fn turns_to_forget(state: &State) -> impl Iterator<Item = u64> + use<> {
        let first = state
            .forgotten
            .as_ref()
            .map_or(2, |forgotten| forgotten.before + 1);
        first..=state.calls
    }

    /// Returns the oldest tool results that have to go so that the prompt's estimate falls by `excess` tokens. The
    /// newest result of all stays: without it the model would only ask for it again.
    pub(super) fn droppable(&self, state: &State, new: &[Message], excess: u64) -> Vec<ToolPlace> {
        let newest = self
            .with_origins(state, new)
            .filter_map(|(_, origin)| origin)
            .last();
        let mut saved = 0;
        let mut dropped = Vec::new();
        for (message, origin) in self.with_origins(state, new) {
            let Some(place) = origin.filter(|place| Some(*place) != newest) else {
                continue;
            };
            if saved >= excess {
                break;
            }
            let stub = prompt::stub(message.text.len()).len();
            if message.text.len() > stub && !state.dropped.contains(&place) {
                saved += tokens(message.text.len() - stub);
                dropped.push(place);
            }
        }
        dropped
    }

    /// Returns the messages, stored and new, each with the call that it answers where it is a tool's result.
    fn with_origins<'a>(
        &'a self,
        state: &'a State,
        new: &'a [Message],
    ) -> impl Iterator<Item = (&'a Message, Option<ToolPlace>)> {
        let mut results = state.pending.iter().filter_map(|pending| match pending {
            Pending::ToolResult { place, .. } => Some(*place),
            _ => None,
        });
        let new = new.iter().map(move |message| {
            let origin = if message.role == Role::Tool {
                results.next()
            } else {
                None
            };
            (message, origin)
        });
        self.messages.iter().zip(state.origins.iter().copied()).chain(new)
    }
}

/// Whether a message is no longer shown: it belongs to turns that were left out to make room, or to a call that came to
/// nothing and was followed by another, which are the reply and what was said to it with the next call.
fn has_left(state: &State, message: &Message, turn: u64) -> bool {
    let is_reply = message.role == Role::Assistant;
    let is_old = state
        .forgotten
        .as_ref()
        .is_some_and(|forgotten| turn < forgotten.before || turn == forgotten.before && !is_reply);
    let call = if is_reply { turn } else { turn.saturating_sub(1) };
    is_old || call < state.calls && state.fruitless.contains(&call)
}

/// Returns a stored message with its text.
pub(super) fn read(message: &MessageRef, content: &[u8]) -> Message {
    if message.role == Role::Assistant
        && let Ok(reply) = serde_json::from_slice::<Reply>(content)
    {
        return Message {
            role: Role::Assistant,
            text: reply.text,
            tool_calls: reply.tool_calls,
            ..Message::new(Role::Assistant, String::new())
        };
    }
    Message {
        tool_call_id: message.tool_call_id.clone(),
        ..Message::new(message.role, String::from_utf8_lossy(content))
    }
}

/// Returns the estimated size of a request in tokens, before what the model's own counts have taught. An estimate that
/// is too high costs room, one that is too low costs the prompt.
pub(super) fn estimate(request: &ChatRequest) -> u64 {
    let messages: u64 = request.messages.iter().map(message_tokens).sum();
    let tools: u64 = request.tools.iter().map(tool_tokens).sum();
    messages + tools
}

fn message_tokens(message: &Message) -> u64 {
    let calls = message
        .tool_calls
        .iter()
        .map(|call| context::estimate(&call.name) + context::estimate(&call.arguments));
    context::estimate(&message.text) + calls.sum::<u64>() + MESSAGE_TOKENS
}

fn tool_tokens(tool: &ToolSpec) -> u64 {
    context::estimate(&tool.name)
        + context::estimate(&tool.description)
        + context::estimate(&tool.parameters.to_string())
        + MESSAGE_TOKENS
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::ToolCall;
    use crate::model::BlobId;
    use crate::store::MemoryStore;

    fn tool_result(text: &str) -> Message {
        Message {
            tool_call_id: Some("id".to_owned()),
            ..Message::new(Role::Tool, text)
        }
    }

    /// A conversation of the opening, then a call and a result for each of `results`.
    fn conversation(results: &[&str]) -> (State, Conversation) {
        let mut state = State::default();
        let mut messages = vec![
            Message::new(Role::System, "rules"),
            Message::new(Role::User, "goal"),
        ];
        state.origins = vec![None, None];
        for (result, call) in results.iter().zip(1..) {
            messages.extend([Message::new(Role::Assistant, "look"), tool_result(result)]);
            state.origins.extend([None, Some((call, 0))]);
        }
        (state, Conversation { messages })
    }

    #[test]
    fn the_oldest_results_go_first_and_only_as_many_as_must() {
        let (long, short) = ("x".repeat(3000), "y");
        let (mut state, conversation) = conversation(&[&long, short, &long, &long]);
        assert_eq!(conversation.droppable(&state, &[], 0), []);
        assert_eq!(conversation.droppable(&state, &[], 1), [(1, 0)]);
        assert_eq!(conversation.droppable(&state, &[], 1000), [(1, 0), (3, 0)]);
        state.dropped.insert((1, 0));
        assert_eq!(
            conversation.droppable(&state, &[], u64::MAX),
            [(3, 0)],
            "the newest stays"
        );
        for index in [0, 1] {
            let result = BlobId::of(long.as_bytes());
            state.pending.push(Pending::ToolResult {
                place: (5, index),
                id: "id".to_owned(),
                result,
            });
        }
        let new = [
            tool_result(&long),
            tool_result(&long),
            Message::new(Role::User, "go on"),
        ];
        assert_eq!(
            conversation.droppable(&state, &new, u64::MAX),
            [(3, 0), (4, 0), (5, 0)]
        );
        state.dropped.insert((5, 0));
        let prompt = conversation.prompt(&state, &new);
        let stub = prompt::stub(long.len());
        let texts: Vec<&str> = prompt
            .iter()
            .rev()
            .take(3)
            .map(|message| message.text.as_str())
            .collect();
        assert_eq!(texts, ["go on", &long, &stub]);
    }

    #[test]
    fn a_dropped_result_becomes_a_stub_and_all_else_stays() {
        let (mut state, conversation) = conversation(&["first", "second"]);
        let new = [Message::new(Role::User, "go on")];
        let whole = conversation.prompt(&state, &new);
        state.dropped.insert((1, 0));
        let mut expected = whole.clone();
        expected[3].text = prompt::stub("first".len());
        assert_eq!(conversation.prompt(&state, &new), expected);
        assert_eq!(whole.last(), Some(&new[0]));
    }

    #[test]
    fn an_estimate_counts_texts_calls_and_tools() {
        let call = ToolCall {
            id: "1".to_owned(),
            name: "f".to_owned(),
            arguments: "word ".repeat(60),
        };
        let message = Message {
            tool_calls: vec![call],
            ..Message::new(Role::Assistant, "word ".repeat(60))
        };
        let tool = ToolSpec {
            name: "f".to_owned(),
            description: "word ".repeat(60),
            parameters: serde_json::json!({}),
        };
        let empty = ChatRequest {
            max_tokens: 1,
            ..ChatRequest::default()
        };
        assert_eq!(estimate(&empty), 0);
        assert!(
            estimate(&ChatRequest {
                messages: vec![message.clone()],
                ..empty.clone()
            }) > 100
        );
        assert!(
            estimate(&ChatRequest {
                messages: vec![message],
                tools: vec![tool],
                ..empty
            }) > 150
        );
    }

    #[test]
    fn the_largest_part_is_named_for_the_operator() {
        let request = |messages: Vec<Message>| ChatRequest {
            messages,
            max_tokens: 1,
            ..ChatRequest::default()
        };
        let long = "x".repeat(100);
        let base = || {
            vec![
                Message::new(Role::System, "rules"),
                Message::new(Role::User, "goal"),
            ]
        };
        let cases = [
            (
                vec![
                    Message::new(Role::System, &long),
                    Message::new(Role::User, "goal"),
                ],
                "the standing instructions (116 bytes)",
            ),
            (
                vec![Message::new(Role::System, "r"), Message::new(Role::User, &long)],
                "the goal with the project's instructions (116 bytes)",
            ),
            (
                [base(), vec![Message::new(Role::User, &long)]].concat(),
                "a message with directives or check output (116 bytes)",
            ),
            (
                [base(), vec![Message::new(Role::Assistant, &long)]].concat(),
                "a reply of the model (116 bytes)",
            ),
            (
                [base(), vec![tool_result(&long)]].concat(),
                "a tool's result (116 bytes)",
            ),
            (vec![], ""),
        ];
        for (messages, expected) in cases {
            assert_eq!(largest_part(&request(messages)), expected);
        }
    }

    #[tokio::test]
    async fn a_stored_reply_is_read_back_with_its_calls() {
        let call = ToolCall {
            id: "1".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        };
        let reply = Reply {
            text: "so".to_owned(),
            thinking: "hm".to_owned(),
            tool_calls: vec![call.clone()],
            tokens: crate::llm::TokenCount::default(),
            end: crate::llm::EndReason::ToolCalls,
        };
        let content = serde_json::to_vec(&reply).unwrap();
        let reference = |role| MessageRef {
            role,
            blob: BlobId::of(&content),
            tool_call_id: None,
        };
        let expected = Message {
            tool_calls: vec![call],
            ..Message::new(Role::Assistant, "so")
        };
        assert_eq!(read(&reference(Role::Assistant), &content), expected);
        assert_eq!(
            read(&reference(Role::User), b"\xffgoal"),
            Message::new(Role::User, "\u{fffd}goal")
        );

        let mut state = State::default();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let mut conversation = Conversation::default();
        conversation.catch_up(&state, &store).await.unwrap();
        state.conversation.push(reference(Role::User));
        assert!(matches!(
            conversation.catch_up(&state, &store).await,
            Err(StoreError::NotFound { .. })
        ));
    }
}
