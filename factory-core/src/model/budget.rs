//! What a run may spend, and what it has spent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bound, or none. Unlimited is always said explicitly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetLimit {
    /// No bound.
    Unlimited,
    /// At most this many; reaching it is exhausted.
    AtMost(u64),
}

impl BudgetLimit {
    /// Returns whether `used` has reached the bound.
    pub fn is_reached_by(self, used: u64) -> bool {
        matches!(self, Self::AtMost(limit) if used >= limit)
    }
}

/// The bounds of one run. Checked before each model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Model calls, those that failed or were cut included.
    pub calls: BudgetLimit,
    /// Prompt and completion tokens together.
    pub tokens: BudgetLimit,
    /// Milliseconds of work: sleep, queueing and waiting for the operator do not count.
    pub work_ms: BudgetLimit,
    /// Turns: a model call that was answered and the tools that it asked for.
    pub turns: BudgetLimit,
}

impl Default for Budget {
    /// 100 calls, 2 million tokens, 2 hours of work, 100 turns.
    fn default() -> Self {
        Self {
            calls: BudgetLimit::AtMost(100),
            tokens: BudgetLimit::AtMost(2_000_000),
            work_ms: BudgetLimit::AtMost(2 * 60 * 60 * 1000),
            turns: BudgetLimit::AtMost(100),
        }
    }
}

impl Budget {
    /// Returns the name of the first bound that `usage` has reached.
    pub fn exhausted_by(&self, usage: &Usage) -> Option<&'static str> {
        [
            ("calls", self.calls, usage.calls),
            ("tokens", self.tokens, usage.tokens()),
            ("work time", self.work_ms, usage.work_ms),
            ("turns", self.turns, usage.turns),
        ]
        .into_iter()
        .find(|(_, limit, used)| limit.is_reached_by(*used))
        .map(|(name, _, _)| name)
    }
}

/// What has been spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Model calls that were begun.
    pub calls: u64,
    /// Tokens sent, as the provider counted them or as estimated.
    pub prompt_tokens: u64,
    /// Tokens received, as the provider counted them or as estimated.
    pub completion_tokens: u64,
    /// How many of the tokens sent were read from the provider's cache, as it counted them.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// What it cost, in millionths of a US dollar, where the provider or the endpoint's prices tell.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost_micros: u64,
    /// How many of these tokens are our estimate, because the call was cut, lost or not counted.
    pub estimated_tokens: u64,
    /// Milliseconds of work.
    pub work_ms: u64,
    /// Model calls that were answered.
    pub turns: u64,
}

impl Usage {
    /// Returns prompt and completion tokens together.
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// Returns the time worked.
    pub fn work_time(&self) -> Duration {
        Duration::from_millis(self.work_ms)
    }

    /// Adds what one more call or act has spent.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
        self.estimated_tokens = self.estimated_tokens.saturating_add(other.estimated_tokens);
        self.work_ms = self.work_ms.saturating_add(other.work_ms);
        self.turns = self.turns.saturating_add(other.turns);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reached_bound_is_named() {
        let budget = Budget {
            calls: BudgetLimit::AtMost(2),
            ..Budget::default()
        };
        assert_eq!(
            budget.exhausted_by(&Usage {
                calls: 1,
                ..Usage::default()
            }),
            None
        );
        assert_eq!(
            budget.exhausted_by(&Usage {
                calls: 2,
                ..Usage::default()
            }),
            Some("calls")
        );
        let unlimited = Budget {
            calls: BudgetLimit::Unlimited,
            ..budget
        };
        assert_eq!(
            unlimited.exhausted_by(&Usage {
                calls: 99,
                ..Usage::default()
            }),
            None
        );
    }
}
