//! A model on its way: a bar on a terminal, plain lines in a pipe, JSON lines for programs.

use factory_core::llm::catalogue::PullProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::amount::size;
use super::output::{Form, Output, Terminal};
use super::sanitize;

/// After how many percent a pipe is told more of the same part.
const STEP: u64 = 10;

/// Shows how far a model has come.
#[derive(Debug)]
pub(crate) struct PullDisplay {
    bar: Option<ProgressBar>,
    told: Told,
}

impl PullDisplay {
    /// Returns the display of a model of which nothing is known yet.
    pub(crate) fn new(form: Form, terminal: Terminal) -> Self {
        let bar = (form == Form::Text && terminal.live).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let template = "{spinner} {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            // The template is a constant; the default style says less and is no reason to stop.
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        });
        Self {
            bar,
            told: Told::default(),
        }
    }

    /// Shows how far it has come.
    pub(crate) fn hear(&mut self, progress: &PullProgress, output: &mut Output) {
        // That nobody reads any more ends no pull; the answer tells other failures of writing.
        let _ = match (output.form(), &self.bar) {
            (Form::Json, _) => output.json(progress),
            (Form::Text, Some(bar)) => {
                bar.set_length(progress.total.unwrap_or(0));
                bar.set_position(progress.completed.unwrap_or(0));
                bar.set_message(sanitize::short(&progress.status, 40));
                Ok(())
            }
            (Form::Text, None) => match self.told.line(progress) {
                Some(line) => output.text(&line),
                None => Ok(()),
            },
        };
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What a pipe was told last.
#[derive(Debug, Default)]
struct Told {
    status: String,
    steps: Option<u64>,
}

impl Told {
    /// Returns the line that is worth writing, if there is one: another status, or a good part more.
    fn line(&mut self, progress: &PullProgress) -> Option<String> {
        let percent = match (progress.completed, progress.total) {
            (Some(completed), Some(total)) if total > 0 => {
                Some(completed.min(total).saturating_mul(100) / total)
            }
            _ => None,
        };
        let steps = percent.map(|percent| percent / STEP);
        if progress.status == self.status && steps <= self.steps {
            return None;
        }
        progress.status.clone_into(&mut self.status);
        self.steps = steps;
        let status = sanitize::short(&progress.status, 80);
        Some(match (percent, progress.total) {
            (Some(percent), Some(total)) => format!("{status}: {percent} % of {}", size(total)),
            _ => status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_told_what_is_new_and_no_more() {
        let mut told = Told::default();
        let heard = |status: &str, completed: Option<u64>, total: Option<u64>| PullProgress {
            status: status.to_owned(),
            digest: None,
            total,
            completed,
        };
        let mut lines = Vec::new();
        lines.extend(told.line(&heard("pulling manifest", None, None)));
        for completed in 0..=1000 {
            lines.extend(told.line(&heard(
                "pulling a1b2",
                Some(completed * 2_000_000),
                Some(2_000_000_000),
            )));
        }
        lines.extend(told.line(&heard("verifying\u{1b}", None, None)));
        lines.extend(told.line(&heard("success", None, Some(0))));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
