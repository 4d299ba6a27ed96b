//! What tokens cost, as the operator writes it down. A server's own word about a call's cost goes before it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The highest price that is taken for one, in US dollars for a million tokens.
const HIGHEST: f64 = 1_000_000.0;

/// What a million tokens cost, in millionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Of the prompt.
    pub input: u64,
    /// Of the reply, thinking included.
    pub output: u64,
    /// Of the prompt where it was read from a cache; none takes [`input`](Self::input).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
}

/// The tokens of a call, as they are paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaidTokens {
    /// Tokens of the prompt, those from a cache included.
    pub prompt: u64,
    /// Those of the prompt that came from a cache.
    pub cached: u64,
    /// Tokens of the reply.
    pub completion: u64,
}

impl Price {
    /// Returns what is written as US dollars for a million tokens, in millionths of a dollar. The error says what a
    /// price is.
    pub fn micros(dollars: f64) -> Result<u64, String> {
        if !(0.0..=HIGHEST).contains(&dollars) {
            return Err(format!(
                "{dollars} is no price; it is US dollars for a million tokens, such as 0.15"
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was just seen to be a bounded positive number"
        )]
        Ok((dollars * 1e6).round() as u64)
    }

    /// Returns what a call costs in millionths of a US dollar, rounded up: a call that costs something is never free.
    pub fn of(&self, tokens: PaidTokens) -> u64 {
        // A count of cached tokens that is more than the prompt is a server's slip.
        let cached = tokens.cached.min(tokens.prompt);
        let parts = [
            (tokens.prompt - cached, self.input),
            (cached, self.cached.unwrap_or(self.input)),
            (tokens.completion, self.output),
        ];
        let sum = parts
            .into_iter()
            .map(|(tokens, price)| u128::from(tokens) * u128::from(price))
            .fold(0, u128::saturating_add);
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(price: Price, (prompt, cached, completion): (u64, u64, u64), expect: u64) {
        let tokens = PaidTokens {
            prompt,
            cached,
            completion,
        };
        assert_eq!(price.of(tokens), expect, "{tokens:?}");
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let price = Price {
            input: 3_000_000,
            output: 15_000_000,
            cached: Some(300_000),
        };
        check(price, (0, 0, 0), 0);
        check(price, (1000, 0, 0), 3000);
        check(price, (1000, 400, 0), 1800 + 120);
        check(price, (1000, 400, 10), 1800 + 120 + 150);
        // More cached than there is: the whole prompt is, and no more.
        check(price, (1000, 5000, 0), 300);
        let uniform = Price {
            cached: None,
            ..price
        };
        check(uniform, (1000, 400, 0), 3000);
    }

    #[test]
    fn a_part_of_a_millionth_counts_as_one_and_nothing_overflows() {
        let cheap = Price {
            input: 20_000,
            output: 0,
            cached: None,
        };
        check(cheap, (1, 0, 0), 1);
        check(cheap, (51, 0, 0), 2);
        let dear = Price {
            input: u64::MAX,
            output: u64::MAX,
            cached: None,
        };
        check(dear, (u64::MAX, 0, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_price_is_a_bounded_number_of_dollars() {
        for (dollars, expect) in [
            (0.0, Some(0)),
            (0.15, Some(150_000)),
            (15.0, Some(15_000_000)),
            (-1.0, None),
            (1e7, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(Price::micros(dollars).ok(), expect, "{dollars}");
        }
    }
}
