//! What lines of the log look like.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;

/// Keeps what is written.
#[derive(Debug, Clone, Default)]
pub(in crate::observe) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(in crate::observe) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

const FORGED: &str = "a\n2026-01-01T00:00:00Z ERROR factory: forged \u{1b}[2J\u{9b}2J\r\u{202e}\u{2028}";

/// Says something in each way in which text from outside gets into a line.
fn say(form: LogForm, text: &str) -> String {
    let written = Written::default();
    let subscriber = tracing_subscriber::registry().with(lines(form, written.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("run", title = %text);
        let _inside = span.enter();
        tracing::info!(shown = %text, debugged = ?text, given = text, "said {text}");
    });
    written.text()
}

#[test]
fn text_from_outside_stays_in_its_line() {
    for form in [LogForm::Text, LogForm::Json] {
        let said = say(form, FORGED);
        assert_eq!(said.lines().count(), 1, "{said:?}");
        assert!(said.ends_with('\n'), "{said:?}");
        let obeyed = |character: char| character.is_control() || "\u{202e}\u{2028}".contains(character);
        let line = said.trim_end_matches('\n');
        assert!(!line.chars().any(obeyed), "{said:?}");
        assert_eq!(line.matches("forged").count(), 5, "{said:?}");
    }
}

#[test]
fn json_lines_say_what_was_meant() {
    let line: Value = serde_json::from_str(&say(LogForm::Json, FORGED)).unwrap();
    assert_eq!(line["fields"]["given"], FORGED);
    assert_eq!(line["fields"]["message"], format!("said {FORGED}"));
    assert_eq!(line["level"], "INFO");
}

#[test]
fn a_line_is_cut_where_it_is_endless() {
    let endless = "ä".repeat(100_000);
    let text = say(LogForm::Text, &endless);
    assert!(text.len() < 40_000 && text.ends_with("…\n"), "{}", text.len());
    let json: Value = serde_json::from_str(&say(LogForm::Json, &endless)).unwrap();
    let message = json["fields"]["message"].as_str().unwrap();
    assert!(message.ends_with("bytes was left out"), "{message}");
}

#[test]
fn what_cannot_be_understood_is_refused() {
    assert_eq!(form(None), Ok(LogForm::Text));
    assert_eq!(form(Some("text")), Ok(LogForm::Text));
    assert_eq!(form(Some("json")), Ok(LogForm::Json));
    let refused = form(Some("yaml")).unwrap_err();
    assert_eq!(refused.remedy.as_deref(), Some("say `text` or `json`"));
    assert!(filter(Some("warn,factory=debug"), Loudness::Server).is_ok());
    assert!(filter(Some("factory=loud"), Loudness::Server).is_err());
}

#[test]
fn a_server_tells_what_it_does_and_a_command_what_went_wrong() {
    let shown = |loudness| filter(None, loudness).unwrap().to_string();
    assert_eq!(shown(Loudness::Command), "error");
    assert_eq!(shown(Loudness::Server), "factory=info,warn");
}
