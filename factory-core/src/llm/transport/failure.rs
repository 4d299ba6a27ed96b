//! What a model server says about its failure, read and made fit to be shown.
//!
//! Each server has its own shape of an error, and none of them can be trusted to be short or plain text.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde_json::Value;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// The most characters of a server's words in an error.
const DETAIL_CHARACTERS: usize = 600;

/// The longest wait that a server may ask for.
const RETRY_AFTER_LIMIT: Duration = Duration::from_hours(1);

/// A date as HTTP writes it.
const HTTP_DATE: &[BorrowedFormatItem<'static>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// What a server says about its failure, in one of the usual shapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerReport {
    pub(crate) message: String,
    /// The failure's kind, in the server's words.
    pub(crate) kind: String,
    /// The HTTP status that the report itself names.
    pub(crate) code: Option<u16>,
}

impl ServerReport {
    /// Reads the body of a reply that is no success: JSON in a usual shape, or text.
    pub(crate) fn of_body(body: &str) -> Self {
        let json = serde_json::from_str::<Value>(body).ok();
        json.as_ref().and_then(Self::of_error).unwrap_or_else(|| {
            let text = json
                .as_ref()
                .and_then(|json| json.get("message").or_else(|| json.get("detail")));
            let message = match text {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => body.to_owned(),
            };
            Self {
                message,
                ..Self::default()
            }
        })
    }

    /// Reads `{"error": …}`: a text, or an object with `message`, `type` and `code`. Returns none if there is none.
    pub(crate) fn of_error(json: &Value) -> Option<Self> {
        let mut report = Self::of_error_alone(json)?;
        if let Some(link) = json.get("signin_url").and_then(Value::as_str) {
            report.message = format!("{}; sign in at {link}", report.message);
        }
        Some(report)
    }

    fn of_error_alone(json: &Value) -> Option<Self> {
        match json.get("error")? {
            Value::Null => None,
            Value::Object(error) => {
                let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
                let code = error
                    .get("code")
                    .and_then(Value::as_u64)
                    .and_then(|code| u16::try_from(code).ok());
                Some(Self {
                    message: match text("message") {
                        "" => Value::Object(error.clone()).to_string(),
                        message => message.to_owned(),
                    },
                    kind: format!("{} {}", text("type"), text("code")).trim().to_owned(),
                    code,
                })
            }
            Value::String(message) => Some(Self::within(message).unwrap_or_else(|| Self {
                message: message.clone(),
                ..Self::default()
            })),
            other => Some(Self {
                message: other.to_string(),
                ..Self::default()
            }),
        }
    }

    /// Reads the report of a server behind the server, which some pass on as the text of their own.
    fn within(message: &str) -> Option<Self> {
        let inner: Value = serde_json::from_str(message).ok()?;
        inner.get("error").filter(|error| error.is_object())?;
        Self::of_error_alone(&inner)
    }

    pub(super) fn is_context_overflow(&self) -> bool {
        const SIGNS: [&str; 9] = [
            "exceed_context_size",
            "context_length_exceeded",
            "exceeds the available context",
            "maximum context length",
            "context length exceeded",
            "exceeds the context",
            "longer than the context length",
            "prompt is too long",
            "prompt too long",
        ];
        let words = format!("{} {}", self.kind, self.message).to_lowercase();
        SIGNS.iter().any(|sign| words.contains(sign))
    }

    pub(super) fn is_overload(&self) -> bool {
        let kind = self.kind.to_lowercase();
        ["overload", "rate_limit", "unavailable", "busy"]
            .iter()
            .any(|sign| kind.contains(sign))
    }
}

/// The status of a request that was cancelled on its way, though not by us: we would not be there to read it.
const CANCELLED: u16 = 499;

/// Returns whether a status asks to come back later: too many requests, too slow, cancelled, or the server's own
/// failure.
pub(super) fn is_busy(status: StatusCode) -> bool {
    status.is_server_error()
        || status.as_u16() == CANCELLED
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        )
}

/// Reads `Retry-After`: seconds or a date. A wait that is absurdly long is shortened.
pub(super) fn retry_after(value: &HeaderValue, now: OffsetDateTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than a number holds is long enough.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = PrimitiveDateTime::parse(text, HTTP_DATE).ok()?.assume_utc();
        Duration::try_from(date - now).unwrap_or_default()
    };
    Some(wait.min(RETRY_AFTER_LIMIT))
}

/// Returns a server's words on one line, shortened, without control characters.
pub(super) fn shortened(words: &str) -> String {
    let mut line: String = words
        .trim()
        .chars()
        .take(DETAIL_CHARACTERS + 1)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.chars().count() > DETAIL_CHARACTERS {
        line.pop();
        line.push('…');
    }
    if line.is_empty() {
        "(it says nothing more)".to_owned()
    } else {
        line
    }
}

/// Returns an error and its causes on one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    shortened(&text)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn report(message: &str, kind: &str, code: Option<u16>) -> ServerReport {
        ServerReport {
            message: message.to_owned(),
            kind: kind.to_owned(),
            code,
        }
    }

    #[test]
    fn the_usual_shapes_of_an_error_are_read() {
        for (body, expect) in [
            (
                r#"{"error":"model 'x' not found"}"#,
                report("model 'x' not found", "", None),
            ),
            (
                r#"{"error":{"message":"no","type":"invalid_request_error","code":"model_not_found"}}"#,
                report("no", "invalid_request_error model_not_found", None),
            ),
            (
                r#"{"error":{"message":"no","type":"BadRequestError","code":400}}"#,
                report("no", "BadRequestError", Some(400)),
            ),
            (
                r#"{"error":"unauthorized","signin_url":"https://ollama.com/connect"}"#,
                report("unauthorized; sign in at https://ollama.com/connect", "", None),
            ),
            (
                r#"{"error":"{\"error\":{\"code\":400,\"type\":\"exceed_context_size_error\",\"message\":\"long\"}}"}"#,
                report("long", "exceed_context_size_error", Some(400)),
            ),
            (r#"{"error":"{\"error\":7}"}"#, report(r#"{"error":7}"#, "", None)),
            (r#"{"error":{"odd":1}}"#, report(r#"{"odd":1}"#, "", None)),
            (r#"{"message":"no"}"#, report("no", "", None)),
            (
                r#"{"detail":[{"msg":"no"}]}"#,
                report(r#"[{"msg":"no"}]"#, "", None),
            ),
            ("<html>no", report("<html>no", "", None)),
        ] {
            assert_eq!(ServerReport::of_body(body), expect, "{body}");
        }
    }

    #[test]
    fn an_overflow_is_known_by_its_words() {
        for (message, kind) in [
            ("the request exceeds the available context size", ""),
            (
                "the prompt is longer than the context length currently available to the model; shorten the prompt",
                "",
            ),
            ("", "exceed_context_size_error"),
            ("", "invalid_request_error context_length_exceeded"),
            (
                "This model's maximum context length is 4096 tokens",
                "BadRequestError",
            ),
        ] {
            assert!(
                report(message, kind, None).is_context_overflow(),
                "{message} {kind}"
            );
        }
        assert!(!report("unknown field context", "", None).is_context_overflow());
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_has_an_end() {
        let now = datetime!(1994-11-06 08:49:00 UTC);
        for (text, expect) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let header = HeaderValue::from_static(text);
            assert_eq!(
                retry_after(&header, now),
                expect.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn words_are_one_short_line() {
        assert_eq!(shortened(" a\u{1b}[31m\nb "), "a [31m b");
        assert_eq!(shortened(""), "(it says nothing more)");
        let long = shortened(&"ä".repeat(5000));
        assert_eq!(
            (long.chars().count(), long.ends_with('…')),
            (DETAIL_CHARACTERS + 1, true)
        );
    }
}
