//! The token count as the servers of this protocol write it, each in its own place.

use serde_json::Value;

use crate::llm::TokenCount;

/// Returns the count that a piece of a stream holds, if it holds one: the protocol's `usage`, or llama.cpp's `timings`.
pub(super) fn of_chunk(chunk: &Value) -> Option<TokenCount> {
    let usage = chunk.get("usage").filter(|usage| usage.is_object());
    usage
        .map(of_usage)
        .or_else(|| of_timings(chunk.get("timings").filter(|timings| timings.is_object())?))
}

fn of_usage(usage: &Value) -> TokenCount {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    let prompt = count("/prompt_tokens");
    // The second is DeepSeek's.
    let cached = count("/prompt_tokens_details/cached_tokens").or_else(|| count("/prompt_cache_hit_tokens"));
    TokenCount {
        prompt,
        completion: count("/completion_tokens"),
        cached,
        // OpenRouter's, in dollars.
        cost_micros: usage.get("cost").and_then(Value::as_f64).and_then(micros),
    }
}

/// llama.cpp counts here what it computed, and the part of the prompt that it found in its cache apart from it.
fn of_timings(timings: &Value) -> Option<TokenCount> {
    let count = |name| timings.get(name).and_then(Value::as_u64);
    let cached = count("cache_n");
    let computed = count("prompt_n")?;
    Some(TokenCount {
        prompt: Some(computed.saturating_add(cached.unwrap_or_default())),
        completion: count("predicted_n"),
        cached,
        cost_micros: None,
    })
}

fn micros(dollars: f64) -> Option<u64> {
    let micros = (dollars * 1e6).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked, and within it every whole number is exact"
    )]
    (0.0..9e15).contains(&micros).then_some(micros as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(chunk: &Value, expect: Option<TokenCount>) {
        assert_eq!(of_chunk(chunk), expect, "{chunk}");
    }

    fn count(prompt: u64, completion: u64, cached: Option<u64>, cost_micros: Option<u64>) -> TokenCount {
        TokenCount {
            prompt: Some(prompt),
            completion: Some(completion),
            cached,
            cost_micros,
        }
    }

    #[test]
    fn each_server_is_read_where_it_counts() {
        check(
            &json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2}}),
            Some(count(9, 2, None, None)),
        );
        check(
            &json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}}),
            Some(count(9, 2, Some(5), None)),
        );
        check(
            &json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4,
                "prompt_cache_miss_tokens": 5}}),
            Some(count(9, 2, Some(4), None)),
        );
        check(
            &json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "cost": 0.000_012_1}}),
            Some(count(9, 2, None, Some(13))),
        );
        check(
            &json!({"timings": {"cache_n": 5, "prompt_n": 26, "predicted_n": 4, "prompt_ms": 376.1}}),
            Some(count(31, 4, Some(5), None)),
        );
    }

    #[test]
    fn what_is_no_count_is_none() {
        check(&json!({}), None);
        check(&json!({"usage": null, "timings": []}), None);
        check(&json!({"timings": {"predicted_n": 4}}), None);
        for cost in [json!(-1), json!(1e300), json!("1"), Value::Null] {
            check(
                &json!({"usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": cost}}),
                Some(count(1, 1, None, None)),
            );
        }
        check(
            &json!({"usage": {"prompt_tokens": -1, "completion_tokens": 1.5}}),
            Some(TokenCount::default()),
        );
    }
}
