//! A run as it is watched: a living line on a terminal, plain lines in a pipe, JSON lines for programs.

use std::time::Duration;

use factory_core::model::{Event, EventKind, Seq, StepId};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::amount::{count, number};
use super::output::{Form, Output, Terminal};
use super::{event_line, sanitize};
use crate::failure::Failure;

/// Shows a run's events as they come.
#[derive(Debug)]
pub(crate) struct Progress {
    state: State,
    last: Seq,
    bar: Option<ProgressBar>,
    failure: Option<Failure>,
}

impl Progress {
    /// Returns the display of a run of which nothing is known after `last`.
    pub(crate) fn new(form: Form, terminal: Terminal, last: Seq) -> Self {
        let bar = (form == Form::Text && terminal.live).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let template = if terminal.colours {
                "{spinner:.cyan} {elapsed} {wide_msg}"
            } else {
                "{spinner} {elapsed} {wide_msg}"
            };
            // The templates are constants; the default style says less and is no reason to stop.
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            state: State::default(),
            last,
            bar,
            failure: None,
        }
    }

    /// Returns the number of the newest event that was shown.
    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    /// Shows an event. One that was shown before is left out.
    pub(crate) fn hear(&mut self, event: &Event, output: &mut Output) {
        if event.seq <= self.last {
            return;
        }
        self.last = event.seq;
        self.state.fold(&event.kind);
        let written = match output.form() {
            Form::Json => output.json(event),
            Form::Text if event_line::is_notable(&event.kind) => {
                self.say(&event_line::text(&event.kind), output)
            }
            Form::Text => Ok(()),
        };
        if let Some(bar) = &self.bar {
            bar.set_message(self.state.line());
        }
        // The run goes on although its display is broken; the first failure is told at the end.
        self.failure = self.failure.take().or(written.err());
    }

    /// Writes a line without disturbing the living one.
    fn say(&self, text: &str, output: &mut Output) -> Result<(), Failure> {
        match &self.bar {
            Some(bar) => bar.suspend(|| output.text(text)),
            None => output.text(text),
        }
    }

    /// Returns a way to say something beside the events.
    pub(crate) fn remarks(&self) -> Remarks {
        Remarks {
            bar: self.bar.clone(),
        }
    }

    /// Takes the living line away and tells whether everything could be shown.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.failure.map_or(Ok(()), Err)
    }
}

/// Writes to standard error without disturbing the living line.
#[derive(Debug, Clone)]
pub(crate) struct Remarks {
    bar: Option<ProgressBar>,
}

impl Remarks {
    /// Writes a line.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| super::output::remark(text)),
            None => super::output::remark(text),
        }
    }
}

/// What the living line says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    phase: String,
    step: Option<(StepId, String)>,
    finished: usize,
    steps: usize,
    calls: u64,
    tokens: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            phase: "waiting for a worker".to_owned(),
            step: None,
            finished: 0,
            steps: 0,
            calls: 0,
            tokens: 0,
        }
    }
}

impl State {
    fn fold(&mut self, kind: &EventKind) {
        let usage = kind.usage();
        self.calls += usage.calls;
        self.tokens = self.tokens.saturating_add(usage.tokens());
        match kind {
            EventKind::PlanGenerated(generated) => self.steps = generated.plan.steps.len(),
            EventKind::PlanRevised(revised) => self.steps = self.finished + revised.plan.steps.len(),
            EventKind::StepStarted(started) => {
                self.step = Some((started.step, sanitize::short(&started.title, 60)));
            }
            EventKind::StepFinished(_) => {
                self.finished += 1;
                self.steps = self.steps.max(self.finished);
                self.step = None;
            }
            _ => {}
        }
        if let Some(phase) = phase(kind) {
            self.phase = phase;
        }
    }

    fn line(&self) -> String {
        let step = self.step.as_ref().map(|(_, title)| {
            let current = self.finished + 1;
            format!(" · step {current}/{}: {title}", self.steps.max(current))
        });
        format!(
            "{}{} · {}, {} tokens",
            self.phase,
            step.unwrap_or_default(),
            count(self.calls, "call"),
            number(self.tokens)
        )
    }
}

fn phase(kind: &EventKind) -> Option<String> {
    let text = match kind {
        EventKind::RunStarted(_) => "laying the checkout",
        EventKind::SetupStarted(started) if !started.commands.is_empty() => "setting up",
        EventKind::SetupFinished(finished) if finished.ok => "making the model ready",
        EventKind::LlmRequested(_) => "the model thinks",
        EventKind::LlmResponded(_) | EventKind::ToolFinished(_) => "working",
        EventKind::ToolStarted(tool) => return Some(event_line::text(&EventKind::ToolStarted(tool.clone()))),
        EventKind::CheckStarted(_) => "checking",
        EventKind::ApprovalRequested(_) => "waiting for you",
        EventKind::ApprovalDecided(_) | EventKind::RunResumed(_) => "going on",
        EventKind::OperationStarted(_) => "publishing",
        EventKind::RunReleased(_) | EventKind::RunRecovered(_) => "waiting for a worker",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::samples;

    #[test]
    fn the_living_line_follows_the_events() {
        let usage = json!({"calls": 1, "prompt_tokens": 1000, "completion_tokens": 234, "turns": 1});
        let steps = json!([{"id": 1, "title": "read"}, {"id": 2, "title": "mend"}]);
        let events = [
            (
                "PLAN_GENERATED",
                json!({"v": 1, "plan": {"steps": steps}, "implied": false}),
            ),
            ("STEP_STARTED", json!({"v": 1, "step": 1, "title": "read"})),
            ("STEP_FINISHED", json!({"v": 1, "step": 1, "summary": "done"})),
            (
                "STEP_STARTED",
                json!({"v": 1, "step": 2, "title": "mend\u{7} it"}),
            ),
            (
                "LLM_RESPONDED",
                json!({"v": 1, "call": 1, "reply": "a".repeat(64), "tool_calls": [], "has_text": true,
                    "end": "stop", "usage": usage}),
            ),
        ];
        let mut state = State::default();
        assert_eq!(state.line(), "waiting for a worker · 0 calls, 0 tokens");
        for (seq, (kind, payload)) in (1..).zip(events) {
            state.fold(&samples::event(1, seq, kind, payload).kind);
        }
        assert_eq!(
            state.line(),
            "working · step 2/2: mend\\x07 it · 1 call, 1,234 tokens"
        );
    }

    #[test]
    fn what_was_shown_is_not_shown_again() {
        let terminal = Terminal {
            asks: false,
            live: false,
            colours: false,
        };
        let mut progress = Progress::new(Form::Json, terminal, Seq(3));
        let mut output = Output::new(Form::Text);
        progress.hear(&samples::event(1, 3, "RUN_RESUME", json!({"v": 1})), &mut output);
        assert_eq!(progress.last(), Seq(3));
        progress.hear(&samples::event(1, 4, "LLM_X", json!(null)), &mut output);
        assert_eq!(progress.last(), Seq(4));
        progress.finish().unwrap();
    }
}
