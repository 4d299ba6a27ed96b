//! Asking the model: budget, prompt, request, reply. The request is stored before it is sent, the reply before
//! anything acts on it.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tracing::Instrument as _;

use super::{Driver, Then};
use crate::agent::act::TRANSIENT_FAILURES;
use crate::agent::conversation::{estimate, tokens};
use crate::agent::dialect;
use crate::agent::plan_reply;
use crate::agent::prompt;
use crate::agent::state::Pending;
use crate::chain::chain;
use crate::error::Error;
use crate::event_bus::Notice;
use crate::gate::Closing;
use crate::journal::Entry;
use crate::llm::guarded::{Limits, guarded};
use crate::llm::{
    ChatRequest, Delta, EndReason, LlmError, Message, PaidTokens, Price, Reply, Role, ToolCall,
};
use crate::model::payload::{
    BudgetWarned, DirectiveDelivered, LlmFailed, LlmFailure, LlmRequested, LlmResponded, MessageRef,
    PlanGenerated, ToolCallRef,
};
use crate::model::{BlobId, BudgetLimit, NewEvent, StatusReason, Usage};
use crate::spans;
use crate::store::{Blob, StoreError};

/// How often pieces of a reply are shown to live watchers at most.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// The first wait after a failed call; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait after a failed call.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How a call ended.
enum Outcome {
    Replied(Reply),
    Failed {
        failure: LlmFailure,
        detail: String,
        received: usize,
        wait: Option<Duration>,
    },
}

impl Driver {
    pub(super) async fn ask(&mut self) -> Result<Then, Error> {
        if let Some(limit) = self.state.spec.budget.exhausted_by(&self.state.usage) {
            let detail = format!(
                "the budget of {limit} is spent; `factory raise {}` gives more and goes on",
                self.run
            );
            return self.park(StatusReason::BudgetExhausted, detail).await;
        }
        if let Some(warning) = self.budget_warning() {
            return self.note(Entry::one(NewEvent::system(warning))).await;
        }
        if !self.load_again().await? {
            return Ok(Then::GoOn);
        }
        let new = self.new_messages().await?;
        let request = self.request(&new);
        if let Some(room) = self.room() {
            let size = self.tokens(&request);
            if size > room {
                return self.compact(size, room, &request, &new).await;
            }
        }
        let call = self.state.calls + 1;
        let entry = self.request_entry(call, &new, &request);
        let Some(pass) = self.intend(entry).await? else {
            return Ok(Then::GoOn);
        };
        let raw_estimate = estimate(&request);
        let prompt_estimate = self.tokens(&request);
        let begun = Instant::now();
        // The call starts when it is first polled, which `exchange` does only while the gate is not closed.
        drop(pass);
        let span = spans::model_call(self.equipment.llm.name(), call);
        let outcome = self.exchange(request).instrument(span.clone()).await;
        match &outcome {
            Outcome::Replied(reply) => {
                spans::model_replied(&span, reply.tokens.prompt, reply.tokens.completion);
            }
            Outcome::Failed { .. } => spans::failed(&span),
        }
        drop(span);
        let work_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Outcome::Replied(reply) => {
                if let Some(counted) = reply.tokens.prompt {
                    let (notes, name) = (&self.equipment.notes, self.equipment.llm.name());
                    notes.observe(name, raw_estimate, counted).await;
                }
                self.replied(call, reply, prompt_estimate, work_ms).await?;
            }
            Outcome::Failed {
                failure,
                detail,
                received,
                wait,
            } => {
                let usage = estimated_usage(self.price(), prompt_estimate, tokens(received), work_ms);
                let failed = LlmFailed {
                    call,
                    failure,
                    detail,
                    usage,
                };
                self.record(Entry::one(NewEvent::system(failed))).await?;
                if failure == LlmFailure::Transient && self.state.transient_failures < TRANSIENT_FAILURES {
                    self.back_off(wait).await;
                }
            }
        }
        Ok(Then::GoOn)
    }

    /// Enters a call that was in flight when its process died.
    pub(super) async fn forget_call(&mut self) -> Result<Then, Error> {
        let Some(requested) = self.state.call_in_flight.clone() else {
            return Ok(Then::GoOn);
        };
        let failed = LlmFailed {
            call: requested.call,
            failure: LlmFailure::Lost,
            detail:
                "the process died while the call was in flight; it is asked again and may be paid for twice"
                    .to_owned(),
            usage: estimated_usage(self.price(), requested.prompt_estimate, 0, 0),
        };
        self.record(Entry::one(NewEvent::system(failed))).await?;
        Ok(Then::GoOn)
    }

    fn budget_warning(&self) -> Option<BudgetWarned> {
        let budget = &self.state.spec.budget;
        let usage = &self.state.usage;
        let limits = [
            ("calls", budget.calls, usage.calls),
            ("tokens", budget.tokens, usage.tokens()),
            ("work time", budget.work_ms, usage.work_ms),
            ("turns", budget.turns, usage.turns),
        ];
        let near = limits.into_iter().find(|(name, limit, used)| {
            let spent = matches!(limit, BudgetLimit::AtMost(limit) if used.saturating_mul(5) >= limit.saturating_mul(4));
            spent && !self.state.warned.contains(*name)
        });
        near.map(|(name, ..)| BudgetWarned {
            limit: name.to_owned(),
        })
    }

    /// Returns the messages that the model has not seen: tool results first, because they answer its last message.
    async fn new_messages(&self) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        let store = self.equipment.journal.store();
        if self.state.pending.contains(&Pending::Opening) {
            let standing = dialect::standing(self.state.protocol());
            messages.push(Message::new(Role::System, standing));
            let surroundings = self.surroundings().await?;
            messages.push(Message::new(
                Role::User,
                prompt::opening(&self.state, &surroundings),
            ));
        }
        let mut outputs = std::collections::HashMap::new();
        for pending in &self.state.pending {
            match pending {
                Pending::ToolResult { id, result, .. } => {
                    let text = String::from_utf8_lossy(&store.blob(result).await?).into_owned();
                    let mut message = Message::new(Role::Tool, text);
                    message.tool_call_id = Some(id.clone());
                    messages.push(message);
                }
                Pending::ChecksRed(check) => {
                    for result in check.results.iter().filter(|result| !result.ok) {
                        let text = String::from_utf8_lossy(&store.blob(&result.output).await?).into_owned();
                        outputs.insert(result.output.clone(), self.fitted(&text, 2));
                    }
                }
                _ => {}
            }
        }
        let notes = prompt::notes(&self.state, |output| {
            outputs.get(output).cloned().unwrap_or_default()
        });
        messages.extend(notes.map(|notes| Message::new(Role::User, notes)));
        Ok(messages)
    }

    fn price(&self) -> Option<Price> {
        self.equipment.llm.capabilities().price
    }

    fn request_entry(&self, call: u64, new: &[Message], request: &ChatRequest) -> Entry {
        let blobs: Vec<Blob> = new
            .iter()
            .map(|message| Blob::new(message.text.as_bytes()))
            .collect();
        let appended = new.iter().zip(&blobs).map(|(message, blob)| MessageRef {
            role: message.role,
            blob: blob.id().clone(),
            tool_call_id: message.tool_call_id.clone(),
        });
        let whole = serde_json::to_vec(request).expect("a request is structs, lists and texts");
        let requested = LlmRequested {
            call,
            model: self.equipment.llm.name().to_owned(),
            appended: appended.collect(),
            max_tokens: request.max_tokens,
            sampling: request.sampling,
            prompt_hash: BlobId::of(&whole),
            prompt_estimate: self.tokens(request),
        };
        let step = self.state.active_step;
        let mut events = vec![NewEvent::system(requested).in_step(step)];
        let directives = self.state.directives();
        if !directives.is_empty() {
            events.push(NewEvent::system(DirectiveDelivered { directives, call }).in_step(step));
        }
        Entry::of(events).with_blobs(blobs)
    }

    /// Sends the request and reads the reply. A pause or stop cuts it; a shutdown lets it end.
    async fn exchange(&self, request: ChatRequest) -> Outcome {
        let mut received = 0;
        let limits = Limits::of_tokens(request.max_tokens);
        let exchange = async {
            let mut stream = guarded(self.equipment.llm.chat(request).await?, limits);
            let mut shown = Instant::now();
            let mut unshown = String::new();
            let mut deltas = Vec::new();
            let mut answer = String::new();
            let mut is_over = false;
            while let Some(delta) = stream.next().await {
                let delta = delta?;
                if let Delta::Text(text) | Delta::Thinking(text) = &delta {
                    received += text.len();
                    unshown.push_str(text);
                    if shown.elapsed() >= SHOW_EVERY {
                        self.show(std::mem::take(&mut unshown));
                        shown = Instant::now();
                    }
                }
                if let Delta::Text(text) = &delta {
                    answer.push_str(text);
                    is_over = text.contains('\n') && dialect::is_over(self.state.protocol(), &answer);
                }
                let last = matches!(delta, Delta::End(_));
                deltas.push(Ok(delta));
                if is_over {
                    // The act is there, and what follows it would count for nothing.
                    deltas.push(Ok(Delta::End(EndReason::Stop)));
                }
                if last || is_over {
                    break;
                }
            }
            self.show(unshown);
            let whole = Box::pin(futures_util::stream::iter(deltas));
            crate::llm::collect(whole, self.equipment.llm.name(), |_| {}).await
        };
        let outcome = tokio::select! {
            biased;
            _ = self.gate.closed(Closing::Pause) => None,
            outcome = exchange => Some(outcome),
        };
        match outcome {
            Some(Ok(reply)) => Outcome::Replied(reply),
            Some(Err(error)) => {
                let (failure, wait) = failure_of(&error);
                Outcome::Failed {
                    failure,
                    wait,
                    detail: chain(&error),
                    received,
                }
            }
            None => Outcome::Failed {
                failure: LlmFailure::Cut,
                detail: "the operator paused or stopped the run".to_owned(),
                received,
                wait: None,
            },
        }
    }

    fn show(&self, text: String) {
        if !text.is_empty() {
            self.equipment.journal.bus().publish(Notice::Delta {
                run_id: self.run,
                text,
            });
        }
    }

    async fn replied(
        &mut self,
        call: u64,
        mut reply: Reply,
        prompt_estimate: u64,
        work_ms: u64,
    ) -> Result<(), Error> {
        let usage = usage_of(self.price(), &reply, prompt_estimate, work_ms);
        let understood = dialect::understand(self.state.protocol(), &reply);
        reply.tool_calls = understood.calls;
        make_ids_unique(&mut reply.tool_calls, call);
        let blob = Blob::new(serde_json::to_vec(&reply).expect("a reply is structs, lists and texts"));
        let responded = LlmResponded {
            call,
            reply: blob.id().clone(),
            tool_calls: reply
                .tool_calls
                .iter()
                .map(|tool| ToolCallRef {
                    id: tool.id.clone(),
                    name: tool.name.clone(),
                })
                .collect(),
            has_text: !reply.text.trim().is_empty(),
            calls_in_text: understood.in_text,
            misunderstood: understood.problem,
            end: reply.end,
            usage,
        };
        let step = self.state.active_step;
        let mut events = vec![NewEvent::by(Self::agent(), responded).in_step(step)];
        if self.state.plan.is_none()
            && !self.state.is_led()
            && reply.tool_calls.is_empty()
            && reply.end != EndReason::Length
            && let Some(titles) = plan_reply::plan_in_text(&reply.text)
        {
            let plan = self.state.new_plan(titles);
            events.push(NewEvent::by(
                Self::agent(),
                PlanGenerated { plan, implied: false },
            ));
        }
        self.record(Entry::of(events).with_blobs(vec![blob])).await
    }

    /// Waits before the next try; a closing gate ends the wait.
    pub(super) async fn back_off(&self, asked: Option<Duration>) {
        let doublings = self.state.transient_failures.saturating_sub(1).min(10);
        let wait = asked
            .unwrap_or(FIRST_WAIT * 2_u32.pow(doublings))
            .min(LONGEST_WAIT);
        tokio::select! {
            _ = self.gate.closed(Closing::Release) => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Returns the reply whose tools are being carried out.
    pub(super) async fn reply(&self, id: &BlobId) -> Result<Reply, Error> {
        let content = self.equipment.journal.store().blob(id).await?;
        serde_json::from_slice(&content).map_err(|error| {
            Error::Store(StoreError::Backend {
                backend: "blobs",
                action: "read a stored reply",
                source: Box::new(error),
            })
        })
    }
}

/// Returns how an error counts, and when its server wants to be asked again.
pub(super) fn failure_of(error: &LlmError) -> (LlmFailure, Option<Duration>) {
    let failure = match error {
        LlmError::ContextOverflow(_) => LlmFailure::Overflow,
        error if error.is_transient() => LlmFailure::Transient,
        _ => LlmFailure::Permanent,
    };
    let wait = match error {
        LlmError::Busy { retry_after, .. } => *retry_after,
        _ => None,
    };
    (failure, wait)
}

fn usage_of(price: Option<Price>, reply: &Reply, prompt_estimate: u64, work_ms: u64) -> Usage {
    let calls: usize = reply
        .tool_calls
        .iter()
        .map(|call| call.name.len() + call.arguments.len())
        .sum();
    let completion_estimate = tokens(reply.text.len() + reply.thinking.len() + calls);
    let mut estimated_tokens = 0;
    let mut counted = |count: Option<u64>, estimate: u64| {
        count.unwrap_or_else(|| {
            estimated_tokens += estimate;
            estimate
        })
    };
    let prompt_tokens = counted(reply.tokens.prompt, prompt_estimate);
    let completion_tokens = counted(reply.tokens.completion, completion_estimate);
    let cached_tokens = reply.tokens.cached.unwrap_or_default();
    let paid = PaidTokens {
        prompt: prompt_tokens,
        cached: cached_tokens,
        completion: completion_tokens,
    };
    Usage {
        calls: 1,
        prompt_tokens,
        completion_tokens,
        cached_tokens,
        cost_micros: reply.tokens.cost_micros.unwrap_or_else(|| cost(price, paid)),
        estimated_tokens,
        work_ms,
        turns: 1,
    }
}

fn cost(price: Option<Price>, tokens: PaidTokens) -> u64 {
    price.map_or(0, |price| price.of(tokens))
}

fn estimated_usage(price: Option<Price>, prompt_tokens: u64, completion_tokens: u64, work_ms: u64) -> Usage {
    let paid = PaidTokens {
        prompt: prompt_tokens,
        cached: 0,
        completion: completion_tokens,
    };
    Usage {
        calls: 1,
        prompt_tokens,
        completion_tokens,
        cost_micros: cost(price, paid),
        estimated_tokens: prompt_tokens + completion_tokens,
        work_ms,
        ..Usage::default()
    }
}

/// Gives an id to a call that has none or another's: results are told apart by it.
fn make_ids_unique(calls: &mut [ToolCall], call: u64) {
    let mut seen = std::collections::HashSet::new();
    for (index, tool) in calls.iter_mut().enumerate() {
        if tool.id.is_empty() || !seen.insert(tool.id.clone()) {
            tool.id = format!("call-{call}-{index}");
            seen.insert(tool.id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::TokenCount;

    fn check(tokens: TokenCount, expect: (u64, u64)) {
        let price = Price {
            input: 2_000_000,
            output: 10_000_000,
            cached: Some(500_000),
        };
        let reply = Reply {
            text: "x".repeat(300),
            thinking: String::new(),
            tool_calls: Vec::new(),
            tokens,
            end: EndReason::Stop,
        };
        let usage = usage_of(Some(price), &reply, 1000, 0);
        assert_eq!((usage.cost_micros, usage.estimated_tokens), expect, "{tokens:?}");
        assert_eq!(
            usage_of(None, &reply, 1000, 0).cost_micros,
            tokens.cost_micros.unwrap_or(0)
        );
    }

    #[test]
    fn a_call_costs_what_its_server_says_and_what_is_written_down_otherwise() {
        let counted = TokenCount {
            prompt: Some(2000),
            completion: Some(50),
            cached: Some(1000),
            cost_micros: None,
        };
        check(counted, (2000 + 500 + 500, 0));
        let told = TokenCount {
            cost_micros: Some(7),
            ..counted
        };
        check(told, (7, 0));
        let estimate = tokens(300);
        check(TokenCount::default(), (2000 + estimate * 10, 1000 + estimate));
    }

    #[test]
    fn a_cut_call_costs_what_it_is_estimated_at() {
        let price = Price {
            input: 2_000_000,
            output: 10_000_000,
            cached: None,
        };
        assert_eq!(estimated_usage(Some(price), 100, 10, 0).cost_micros, 300);
        assert_eq!(estimated_usage(None, 100, 10, 0).cost_micros, 0);
    }
}
