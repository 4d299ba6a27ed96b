//! Bounds on what a model may say, whichever server it speaks through.
//!
//! A server may not know of the bound that it was asked for, and a model may fall into saying the same for ever. Either
//! way the generation is cut, and the reply ends as one that reached its bound: what was said stands, and the model is
//! told.

use futures_util::stream::{self, StreamExt};

use super::repetition::Repetition;
use super::{Delta, EndReason, ReplyStream};

/// The bytes that a token may have on average. Real ones have 3 to 5, so that an honest server cuts before this does.
const BYTES_PER_TOKEN: u64 = 16;

/// The bytes that are always allowed.
const ALWAYS: u64 = 4096;

/// The most bytes, whatever was asked for.
const MOST: u64 = 16 * 1024 * 1024;

/// The most that a model may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of the answer.
    pub text_bytes: usize,
    /// The most bytes of the thinking.
    pub thinking_bytes: usize,
}

impl Limits {
    /// Returns the limits of a reply that may have so many tokens.
    pub fn of_tokens(max_tokens: u64) -> Self {
        let bytes = max_tokens
            .saturating_mul(BYTES_PER_TOKEN)
            .saturating_add(ALWAYS)
            .min(MOST);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            text_bytes: bytes,
            thinking_bytes: bytes,
        }
    }
}

/// One of the two texts of a reply.
#[derive(Default)]
struct Watched {
    bytes: usize,
    repetition: Repetition,
}

impl Watched {
    /// Returns why the text must end here, if it must.
    fn take(&mut self, text: &str, limit: usize) -> Option<&'static str> {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > limit {
            Some("is longer than was asked for")
        } else if self.repetition.take(text) {
            Some("repeats itself without an end")
        } else {
            None
        }
    }
}

/// Returns the reply, cut where it passes the limits or repeats itself without an end. The piece that does so is the
/// last before [`Delta::End`] with [`EndReason::Length`]; then the stream, and with it the connection, is dropped.
pub fn guarded(inner: ReplyStream, limits: Limits) -> ReplyStream {
    struct State {
        /// None once it is cut or over.
        inner: Option<ReplyStream>,
        limits: Limits,
        text: Watched,
        thinking: Watched,
        is_cut: bool,
    }
    let state = State {
        inner: Some(inner),
        limits,
        text: Watched::default(),
        thinking: Watched::default(),
        is_cut: false,
    };
    stream::unfold(state, |mut state| async move {
        if std::mem::take(&mut state.is_cut) {
            state.inner = None;
            return Some((Ok(Delta::End(EndReason::Length)), state));
        }
        let delta = state.inner.as_mut()?.next().await?;
        let (part, cut) = match &delta {
            Ok(Delta::Text(text)) => ("answer", state.text.take(text, state.limits.text_bytes)),
            Ok(Delta::Thinking(text)) => ("thinking", state.thinking.take(text, state.limits.thinking_bytes)),
            _ => ("", None),
        };
        if let Some(why) = cut {
            tracing::warn!("a reply is cut: its {part} {why}");
            state.is_cut = true;
        }
        Some((delta, state))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{LlmError, Reply, collect};

    const LIMITS: Limits = Limits {
        text_bytes: 100,
        thinking_bytes: 50,
    };

    async fn guard(limits: Limits, deltas: Vec<Delta>) -> Result<Reply, LlmError> {
        let inner = stream::iter(deltas.into_iter().map(Ok)).boxed();
        collect(guarded(inner, limits), "test", |_| {}).await
    }

    async fn check(limits: Limits, deltas: Vec<Delta>, expect: (usize, usize, EndReason)) {
        let reply = guard(limits, deltas).await.unwrap();
        assert_eq!((reply.text.len(), reply.thinking.len(), reply.end), expect);
    }

    fn text(length: usize) -> Delta {
        Delta::Text("x".repeat(length))
    }

    fn thinking(length: usize) -> Delta {
        Delta::Thinking("x".repeat(length))
    }

    #[tokio::test]
    async fn what_keeps_its_limits_is_left_alone() {
        let stop = || Delta::End(EndReason::Stop);
        check(
            LIMITS,
            vec![thinking(50), text(100), stop()],
            (100, 50, EndReason::Stop),
        )
        .await;
        let endless = Limits::of_tokens(u64::MAX);
        check(endless, vec![text(4000), stop()], (4000, 0, EndReason::Stop)).await;
        let error = guard(LIMITS, vec![text(1)]).await.unwrap_err();
        assert!(
            error.to_string().contains("before the reply was whole"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn each_part_has_a_limit_of_its_own() {
        let more = || vec![text(60), text(60), text(60), Delta::End(EndReason::Stop)];
        check(LIMITS, more(), (120, 0, EndReason::Length)).await;
        check(
            LIMITS,
            vec![thinking(30), text(60), thinking(30), text(1)],
            (60, 60, EndReason::Length),
        )
        .await;
    }

    #[tokio::test]
    async fn what_repeats_itself_is_cut() {
        let limits = Limits::of_tokens(1_000_000);
        let endless: Vec<Delta> = (0..100_000)
            .map(|_| Delta::Text("and so on ".to_owned()))
            .collect();
        let reply = guard(limits, endless).await.unwrap();
        assert_eq!(reply.end, EndReason::Length);
        assert!(reply.text.len() < 5000, "{}", reply.text.len());
        let endless: Vec<Delta> = (0..100_000).map(|_| Delta::Thinking("hm ".to_owned())).collect();
        assert_eq!(guard(limits, endless).await.unwrap().end, EndReason::Length);
    }

    #[test]
    fn limits_follow_the_tokens() {
        for (tokens, bytes) in [(0, 4096), (1000, 20_096), (u64::MAX, 16 * 1024 * 1024)] {
            assert_eq!(Limits::of_tokens(tokens).text_bytes, bytes, "{tokens}");
        }
    }
}
