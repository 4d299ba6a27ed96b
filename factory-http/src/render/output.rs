//! The program's standard output: text or JSON, never both, and quiet once nobody reads it any more.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::sanitize;
use crate::failure::Failure;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// One JSON document; one object a line for streams.
    Json,
}

/// What the program knows of its terminal. Captured once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Whether somebody can be asked: input and output are terminals.
    pub(crate) asks: bool,
    /// Whether output is a terminal that moves its cursor.
    pub(crate) live: bool,
    /// Whether colours are wanted.
    pub(crate) colours: bool,
}

impl Terminal {
    /// Returns what is known of the terminal, given the variables `NO_COLOR` and `TERM`.
    pub(crate) fn capture(no_color: bool, term: Option<&str>) -> Self {
        let output = std::io::stdout().is_terminal();
        let live = output && std::io::stderr().is_terminal() && term.is_some_and(|term| term != "dumb");
        Self {
            asks: output && std::io::stdin().is_terminal(),
            live,
            colours: live && !no_color,
        }
    }
}

/// Writes results. Text must be sanitised by whoever made it.
#[derive(Debug)]
pub(crate) struct Output {
    form: Form,
    closed: bool,
}

impl Output {
    /// Returns the output in this form.
    pub(crate) fn new(form: Form) -> Self {
        Self { form, closed: false }
    }

    /// Returns the form.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Returns whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes the value as the one document or line where JSON is wanted, `text` otherwise.
    pub(crate) fn show<T: Serialize>(
        &mut self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.form {
            Form::Text => self.text(&text()),
            Form::Json => self.json(value),
        }
    }

    /// Writes a line of text, which may have several, where text is wanted.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        match self.form {
            Form::Text => self.write(text),
            Form::Json => Ok(()),
        }
    }

    /// Writes a value as a line, where JSON is wanted.
    pub(crate) fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        match self.form {
            Form::Text => Ok(()),
            Form::Json => {
                let text = serde_json::to_string(value)
                    .map_err(|error| Failure::caused("the result cannot be written as JSON", &error))?;
                self.write(&sanitize::json(&text))
            }
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        let ending = if text.ends_with('\n') { "" } else { "\n" };
        match write!(stdout, "{text}{ending}").and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            // `factory events 1 | head` has what it wanted; the work goes on.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::caused("cannot write to standard output", &error)),
        }
    }
}

/// Writes a remark to standard error, where it is in nobody's way. That nobody reads it is no failure.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a question to standard error; the answer is typed behind it.
pub(crate) fn question(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{text} ").and_then(|()| stderr.flush());
}

/// Writes a failure to standard error.
pub(crate) fn failure(failure: &Failure, form: Form) {
    let text = match form {
        Form::Text => failure_text(failure),
        Form::Json => serde_json::to_string(&serde_json::json!({"error": failure})).map_or_else(
            |_| failure_text(failure),
            |text| sanitize::json(&text).into_owned(),
        ),
    };
    remark(&text);
}

fn failure_text(failure: &Failure) -> String {
    let mut lines = vec![format!("error: {}", sanitize::block(&failure.message))];
    for cause in &failure.causes {
        lines.push(format!("  because: {}", sanitize::block(cause)));
    }
    if let Some(remedy) = &failure.remedy {
        lines.push(format!("  way out: {}", sanitize::block(remedy)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_its_causes_and_the_way_out() {
        let mut failure = Failure::failed("cannot write `x\u{1b}[2J`").with_remedy("make room");
        failure.causes.push("no space left".to_owned());
        assert_eq!(
            failure_text(&failure),
            "error: cannot write `x\\x1b[2J`\n  because: no space left\n  way out: make room"
        );
    }
}
