//! A reply on its way from an Ollama server.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use super::assembly::{Assembly, Problem};
use super::failure::{Asked, Failures, explained};
use super::lines::{Lines, lines};
use crate::llm::transport::{ReplyBytes, Transport};
use crate::llm::{Delta, LlmError, ReplyStream};

/// What a reply answers.
#[derive(Debug)]
pub(super) struct Origin {
    /// The model as the operator knows it.
    pub(super) shown: String,
    /// The model as the server calls it.
    pub(super) model: String,
    /// The request.
    pub(super) asked: Asked,
    /// Where failures at it are remembered.
    pub(super) failures: Option<Arc<Failures>>,
}

struct Reading {
    transport: Transport,
    origin: Origin,
    lines: Lines,
    /// None once the reply has ended, in one way or the other.
    assembly: Option<Assembly>,
    ready: VecDeque<Result<Delta, LlmError>>,
}

/// Reads a reply out of the bytes of its stream.
pub(super) fn reply_stream(transport: Transport, bytes: ReplyBytes, origin: Origin) -> ReplyStream {
    let reading = Reading {
        lines: lines(&transport, bytes),
        assembly: Some(Assembly::new(transport.bounds().tool_calls)),
        transport,
        origin,
        ready: VecDeque::new(),
    };
    stream::unfold(reading, |mut reading| async move {
        loop {
            if let Some(delta) = reading.ready.pop_front() {
                return Some((delta, reading));
            }
            reading.read().await?;
        }
    })
    .boxed()
}

impl Reading {
    /// Reads a line. Returns none after the end.
    async fn read(&mut self) -> Option<()> {
        let assembly = self.assembly.take()?;
        match self.lines.next().await {
            Some(Ok(line)) => self.take(assembly, &line),
            Some(Err(error)) => self.fail(error),
            None => self.fail(
                self.transport
                    .bad_reply("the stream ended before the reply was whole"),
            ),
        }
        Some(())
    }

    /// Takes a line, and makes ready what it completes, also before a problem. Nothing is read after the last.
    fn take(&mut self, mut assembly: Assembly, line: &Value) {
        let mut deltas = Vec::new();
        let result = assembly.take(line, &mut deltas);
        self.ready.extend(deltas.into_iter().map(Ok));
        match result {
            Err(problem) => self.fail(self.error_of(problem)),
            Ok(()) => match assembly.timings() {
                None => self.assembly = Some(assembly),
                Some(timings) => {
                    tracing::debug!(model = %self.origin.shown, ?timings, "the reply is whole");
                    if let Some(failures) = &self.origin.failures {
                        failures.succeeded(self.origin.asked);
                    }
                }
            },
        }
    }

    fn error_of(&self, problem: Problem) -> LlmError {
        match problem {
            Problem::Reported(report) => self.transport.failure(None, &report, None),
            Problem::TooManyToolCalls => {
                let limit = self.transport.bounds().tool_calls;
                self.transport
                    .bound_passed(format!("the reply asks for more than {limit} tool calls"))
            }
        }
    }

    fn fail(&mut self, error: LlmError) {
        let error = explained(error, &self.origin.shown, &self.origin.model);
        self.ready.push_back(Err(match &self.origin.failures {
            Some(failures) => failures.failed(self.origin.asked, error),
            None => error,
        }));
    }
}
