//! What an Ollama server's failures mean to a caller, beyond their HTTP status.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::llm::LlmError;

/// The status that a failure of the server's own has, or would have had before the reply began.
const SERVER_FAILURE: u16 = 500;

/// How many requests that failed are remembered.
const REMEMBERED: usize = 64;

/// No server answers where Ollama should.
#[derive(Debug, thiserror::Error)]
#[error(
    "no Ollama server answers there; start it with `ollama serve`, or give the address at which it listens"
)]
struct NotServing {
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Says of a failure what there is to be done, where only Ollama's own words tell. `shown` is how the operator knows the
/// model, `model` how the server does.
pub(super) fn explained(error: LlmError, shown: &str, model: &str) -> LlmError {
    match error {
        LlmError::Unreachable { endpoint, source } => LlmError::Unreachable {
            endpoint,
            source: Box::new(NotServing { source }),
        },
        LlmError::Refused {
            endpoint,
            status: 404,
            detail,
        } if is_missing_model(&detail) => missing(shown, model, &endpoint),
        LlmError::Busy { endpoint, detail, .. }
            if is_server_failure(&detail) && is_about_the_request(&detail) =>
        {
            LlmError::Refused {
                endpoint,
                status: SERVER_FAILURE,
                detail: without_status(&detail).to_owned(),
            }
        }
        LlmError::BadReply { endpoint, detail } if is_missing_model(&detail) => {
            missing(shown, model, &endpoint)
        }
        LlmError::BadReply { endpoint, detail } if is_about_the_request(&detail) => LlmError::Refused {
            endpoint,
            status: SERVER_FAILURE,
            detail,
        },
        other => other,
    }
}

/// Returns the error for a model that the server does not have.
fn missing(shown: &str, model: &str, endpoint: &str) -> LlmError {
    LlmError::Unusable {
        model: shown.to_owned(),
        detail: format!(
            "{endpoint} does not have it; fetch it with `ollama pull {model}` or `factory models pull {model}`"
        ),
    }
}

fn is_missing_model(words: &str) -> bool {
    words.contains("model") && words.contains("not found")
}

/// Returns whether the words are about the request, although they come as the server's own failure: templates of some
/// models reject a conversation, and some schemas cannot be made a grammar.
fn is_about_the_request(words: &str) -> bool {
    const SIGNS: [&str; 6] = [
        "template:",
        "chat template",
        "jinja",
        "no user query found",
        "failed to parse grammar",
        "failed to load model vocabulary required for format",
    ];
    let words = words.to_lowercase();
    SIGNS.iter().any(|sign| words.contains(sign))
}

/// Returns whether a busy server is one that failed at the request, by the status that its detail begins with.
fn is_server_failure(detail: &str) -> bool {
    without_status(detail).len() < detail.len()
}

fn without_status(detail: &str) -> &str {
    detail
        .strip_prefix(&SERVER_FAILURE.to_string())
        .and_then(|rest| rest.strip_prefix(' '))
        .unwrap_or(detail)
}

/// The requests at which the server failed, so that it is not asked a third time to do what it cannot: what lets it fall
/// over once may be a passing fault, but a request that does so twice is at fault itself.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<VecDeque<u64>>);

/// A request, to be recognised when it comes again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked(u64);

impl Asked {
    pub(super) fn new(body: &Value) -> Self {
        let mut hasher = DefaultHasher::new();
        body.to_string().hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Failures {
    /// Takes note of an answer that was whole.
    pub(super) fn succeeded(&self, asked: Asked) {
        self.forget(asked);
    }

    /// Takes note of a failure, and returns one that asks for no further try where the server fails at this for the
    /// second time.
    pub(super) fn failed(&self, asked: Asked, error: LlmError) -> LlmError {
        let (endpoint, detail) = match &error {
            LlmError::Busy { endpoint, detail, .. } if is_server_failure(detail) => {
                (endpoint, without_status(detail))
            }
            LlmError::BadReply { endpoint, detail } if is_reported(detail) => (endpoint, detail.as_str()),
            _ => return error,
        };
        if self.forget(asked) {
            return LlmError::Refused {
                endpoint: endpoint.clone(),
                status: SERVER_FAILURE,
                detail: format!("{detail} (it failed twice at the same request)"),
            };
        }
        let mut failed = self.lock();
        if failed.len() >= REMEMBERED {
            failed.pop_front();
        }
        failed.push_back(asked.0);
        error
    }

    /// Returns whether the request was remembered, and forgets it: later, it may be tried anew.
    fn forget(&self, asked: Asked) -> bool {
        let mut failed = self.lock();
        let count = failed.len();
        failed.retain(|&other| other != asked.0);
        failed.len() < count
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the transport puts before a server's own words about a failure within the stream.
const REPORTED: &str = "the server reports a failure";

fn is_reported(detail: &str) -> bool {
    detail.starts_with(REPORTED)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use serde_json::json;

    use super::*;

    fn busy(detail: &str) -> LlmError {
        LlmError::Busy {
            endpoint: "SERVER".to_owned(),
            detail: detail.to_owned(),
            retry_after: None,
        }
    }

    fn broken(detail: &str) -> LlmError {
        LlmError::BadReply {
            endpoint: "SERVER".to_owned(),
            detail: detail.to_owned(),
        }
    }

    fn refused(status: u16, detail: &str) -> LlmError {
        LlmError::Refused {
            endpoint: "SERVER".to_owned(),
            status,
            detail: detail.to_owned(),
        }
    }

    fn check(error: LlmError, expect: &str) {
        assert_eq!(explained(error, "ollama:m", "m").to_string(), expect);
    }

    #[test]
    fn a_model_that_is_not_there_is_to_be_fetched() {
        let expect = "the model `ollama:m`: SERVER does not have it; fetch it with `ollama pull m` or \
                      `factory models pull m`";
        check(refused(404, "model 'm' not found"), expect);
        check(
            refused(404, "model \"m\" not found, try pulling it first"),
            expect,
        );
        check(
            broken("the server reports a failure: model 'm' not found"),
            expect,
        );
        // The server is another one.
        check(
            refused(404, "404 page not found"),
            "SERVER refused the request (404): 404 page not found",
        );
    }

    #[test]
    fn a_failure_that_is_the_requests_own_is_a_refusal() {
        check(
            busy("500 no user query found in messages"),
            "SERVER refused the request (500): no user query found in messages",
        );
        check(
            busy("500 template: :3:12: executing \"\" at <.X>: nil"),
            "SERVER refused the request (500): template: :3:12: executing \"\" at <.X>: nil",
        );
        check(
            broken("the server reports a failure: failed to parse grammar"),
            "SERVER refused the request (500): the server reports a failure: failed to parse grammar",
        );
        check(
            busy("500 llama runner process has terminated: exit status 2"),
            "SERVER is busy: 500 llama runner process has terminated: exit status 2",
        );
        check(busy("503 template: busy"), "SERVER is busy: 503 template: busy");
    }

    #[test]
    fn a_server_that_is_not_there_is_to_be_started() {
        let error = LlmError::Unreachable {
            endpoint: "SERVER".to_owned(),
            source: "refused".into(),
        };
        let error = explained(error, "ollama:m", "m");
        let cause = error.source().unwrap();
        assert!(cause.to_string().contains("`ollama serve`"), "{cause}");
        assert_eq!(cause.source().unwrap().to_string(), "refused");
        assert!(error.is_transient());
    }

    #[test]
    fn the_server_fails_at_a_request_no_more_than_twice() {
        let failures = Failures::default();
        let (one, other) = (Asked::new(&json!({"a": 1})), Asked::new(&json!({"a": 2})));
        let fails = |asked, error| failures.failed(asked, error).is_transient();
        assert!(fails(one, busy("500 gone")));
        assert!(fails(other, busy("500 gone")));
        assert_eq!(
            failures.failed(one, busy("500 gone")).to_string(),
            "SERVER refused the request (500): gone (it failed twice at the same request)"
        );
        // The operator may have mended the server.
        assert!(fails(one, broken("the server reports a failure: gone")));
        failures.succeeded(one);
        assert!(fails(one, busy("500 gone")));
        assert!(!fails(one, broken("the server reports a failure: gone")));
        assert!(!fails(other, busy("500 gone")));
    }

    #[test]
    fn other_failures_may_come_as_often_as_they_like() {
        let failures = Failures::default();
        let asked = Asked::new(&json!({}));
        for error in [
            || busy("503 server busy"),
            || broken("the stream ended before the reply was whole"),
        ] {
            assert!((0..3).all(|_| failures.failed(asked, error()).is_transient()));
        }
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let failures = Failures::default();
        for number in 0..1000 {
            failures.failed(Asked::new(&json!(number)), busy("500 gone"));
        }
        assert_eq!(failures.lock().len(), REMEMBERED);
    }
}
