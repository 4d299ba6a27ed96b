//! Whether a server's token count can be true.
//!
//! Budgets are charged by what servers count, and the fill of the window is judged by it. Servers count wrongly: those
//! that read the prompt from a cache leave that part out, some say 0, and a hostile one says what it likes. The bounds
//! here are wide, so that no honest tokenizer falls outside; what does is as good as not said, and is estimated.

use super::{ChatRequest, TokenCount};

/// The most bytes of ordinary text that a token stands for, on average over a whole prompt or reply. Real ones reach
/// 3 to 5; runs of spaces and rules of dashes much more, but never through a whole text.
const BYTES_PER_TOKEN: u64 = 32;

/// The bytes from which on an average says something.
const ENOUGH_BYTES: u64 = 1024;

/// The tokens that a server may add to a prompt: its template, its own instructions.
const ADDED_TOKENS: u64 = 65_536;

/// The most that one call can cost: 1000 US dollars.
const HIGHEST_COST_MICROS: u64 = 1_000_000_000;

/// What a request can have cost, at least and at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    prompt_bytes: u64,
    max_tokens: u64,
}

impl Asked {
    /// Takes the measure of a request.
    pub(super) fn of(request: &ChatRequest) -> Self {
        let messages = request.messages.iter().map(|message| {
            let calls = message.tool_calls.iter();
            let calls: usize = calls.map(|call| call.name.len() + call.arguments.len()).sum();
            message.text.len() + calls
        });
        let tools = request
            .tools
            .iter()
            .map(|tool| tool.name.len() + tool.description.len() + tool.parameters.to_string().len());
        Self {
            prompt_bytes: messages.chain(tools).sum::<usize>() as u64,
            max_tokens: request.max_tokens,
        }
    }

    /// Returns what can be true of a count, for a reply of so many bytes.
    pub(super) fn believed(&self, tokens: TokenCount, reply_bytes: usize) -> TokenCount {
        let reply_bytes = reply_bytes as u64;
        // No tokenizer takes more than one token for a byte.
        let prompt_limit = self.prompt_bytes.saturating_add(ADDED_TOKENS);
        // Thinking that is counted but not shown stands within the bound of the reply.
        let reply_limit = self
            .max_tokens
            .max(reply_bytes)
            .saturating_mul(2)
            .saturating_add(1024);
        let prompt = tokens
            .prompt
            .filter(|&count| (least(self.prompt_bytes)..=prompt_limit).contains(&count));
        TokenCount {
            prompt,
            completion: tokens
                .completion
                .filter(|&count| (least(reply_bytes)..=reply_limit).contains(&count)),
            cached: tokens
                .cached
                .filter(|&cached| prompt.is_some_and(|prompt| cached <= prompt)),
            cost_micros: tokens.cost_micros.filter(|&cost| cost <= HIGHEST_COST_MICROS),
        }
    }
}

fn least(bytes: u64) -> u64 {
    if bytes < ENOUGH_BYTES {
        0
    } else {
        bytes / BYTES_PER_TOKEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Message, Role};

    /// What is believed of prompt and completion for a prompt of 32 KiB, a bound of 1000 tokens and a reply of 3200 bytes.
    fn check(prompt: u64, completion: u64, expect: (Option<u64>, Option<u64>)) {
        let asked = Asked::of(&ChatRequest {
            messages: vec![Message::new(Role::User, "x".repeat(32 * 1024))],
            max_tokens: 1000,
            ..ChatRequest::default()
        });
        let tokens = TokenCount {
            prompt: Some(prompt),
            completion: Some(completion),
            ..TokenCount::default()
        };
        let believed = asked.believed(tokens, 3200);
        assert_eq!(
            (believed.prompt, believed.completion),
            expect,
            "{prompt} {completion}"
        );
    }

    #[test]
    fn what_a_tokenizer_can_count_is_believed() {
        check(8000, 800, (Some(8000), Some(800)));
        check(1024, 100, (Some(1024), Some(100)));
        check(
            32 * 1024 + ADDED_TOKENS,
            7424,
            (Some(32 * 1024 + ADDED_TOKENS), Some(7424)),
        );
    }

    #[test]
    fn what_cannot_be_is_as_good_as_not_said() {
        check(0, 0, (None, None));
        check(1023, 99, (None, None));
        check(u64::MAX, u64::MAX, (None, None));
        check(32 * 1024 + ADDED_TOKENS + 1, 7425, (None, None));
    }

    #[test]
    fn short_texts_may_count_nothing() {
        let asked = Asked::of(&ChatRequest::default());
        let tokens = TokenCount {
            prompt: Some(0),
            completion: Some(0),
            ..TokenCount::default()
        };
        assert_eq!(asked.believed(tokens, 0), tokens);
    }

    #[test]
    fn a_cache_is_part_of_the_prompt_and_a_price_has_an_end() {
        let asked = Asked::of(&ChatRequest::default());
        let count = |cached, cost_micros| TokenCount {
            prompt: Some(10),
            completion: None,
            cached: Some(cached),
            cost_micros: Some(cost_micros),
        };
        assert_eq!(asked.believed(count(10, 5), 0), count(10, 5));
        let believed = asked.believed(count(11, u64::MAX), 0);
        assert_eq!((believed.cached, believed.cost_micros), (None, None));
    }
}
