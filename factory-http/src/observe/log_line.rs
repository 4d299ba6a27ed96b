//! One event, one line, whatever is in it. Names, errors and words of models come from outside; a line break among them
//! must not begin a line that looks like one of ours, and a terminal must not obey what it is shown.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::logs::LogForm;
use crate::render::sanitize;

/// The longest line, in bytes.
const LONGEST: usize = 32 << 10;

/// Writes what `inner` writes as one harmless line.
#[derive(Debug)]
pub(super) struct OneLine<F> {
    /// What formats.
    pub(super) inner: F,
    /// What its text is.
    pub(super) form: LogForm,
}

impl<S, N, F> FormatEvent<S, N> for OneLine<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.inner.format_event(context, Writer::new(&mut text), event)?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        match self.form {
            LogForm::Text => {
                let line = sanitize::record(text);
                let end = line.floor_char_boundary(LONGEST);
                let cut = if end < line.len() { "…" } else { "" };
                writeln!(writer, "{}{cut}", &line[..end])
            }
            // What is cut is no JSON any more.
            LogForm::Json if text.len() > LONGEST => writeln!(
                writer,
                r#"{{"level":"{}","target":"{}","fields":{{"message":"a line of {} bytes was left out"}}}}"#,
                event.metadata().level(),
                event.metadata().target(),
                text.len()
            ),
            LogForm::Json => writeln!(writer, "{}", sanitize::json(text)),
        }
    }
}
