//! The spans that say what a factory spends its time on. They carry numbers, the names of models, and counts; nothing
//! that an operator or a model said. Where OpenTelemetry has a name for something it is used, and all of them stand here.
//! Counts are signed, because the bridge to OpenTelemetry makes texts of unsigned ones.

use tracing::Span;
use tracing::field::Empty;

use crate::model::{Fence, RunId};

/// Returns the span of one claim on a run: from its beginning until the run rests or the claim is lost.
pub(crate) fn run(run: RunId, fence: Fence) -> Span {
    tracing::info_span!("run", otel.status_code = Empty, run = %run, fence = %fence)
}

/// Returns the span of a call of a model: from the request until its reply is whole, or it has failed.
pub(crate) fn model_call(model: &str, call: u64) -> Span {
    tracing::info_span!(
        "model_call",
        otel.name = format!("chat {model}"),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.request.model = model,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        call = signed(call),
    )
}

/// Adds to a model call's span what the call took.
pub(crate) fn model_replied(span: &Span, input_tokens: Option<u64>, output_tokens: Option<u64>) {
    span.record("gen_ai.usage.input_tokens", input_tokens.map(signed));
    span.record("gen_ai.usage.output_tokens", output_tokens.map(signed));
}

/// Returns the span of one check of a round, by its number.
pub(crate) fn check(round: u32, number: usize) -> Span {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    tracing::info_span!("check", round = i64::from(round), number, ok = Empty)
}

/// Adds to a check's span what it found. A red check is a result, and no failure of ours.
pub(crate) fn checked(span: &Span, ok: bool) {
    span.record("ok", ok);
}

/// Marks what the span stands for as failed.
pub(crate) fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
