//! What the server answers when it does not do what was asked: `application/problem+json`, RFC 9457, whatever went
//! wrong and wherever.

pub(crate) mod codes;
mod of_core;
mod of_http;

use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use of_http::Explained;

/// Where the kinds of problems are described, relative to the server.
const TYPES: &str = "/docs#problem-";

/// The media type of problems.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// A part of the request that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FieldError {
    /// Where it stands: a JSON pointer into the body, or `query:NAME`, `path:NAME`, `header:NAME`.
    pub(crate) pointer: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// Why something was not done. One word in size, because every operation may return it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    allowed: Option<Vec<String>>,
    retry_after: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

/// What a response says to the log, where the server did not do what it should have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Defect {
    /// The problem's word.
    pub(crate) code: &'static str,
    /// What led to it.
    pub(crate) cause: String,
}

/// The body as it is sent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemBody {
    /// A reference to a description of the kind of problem.
    pub(crate) r#type: String,
    /// The status in words.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What happened, on what, and what to do.
    pub(crate) detail: String,
    /// A stable word for programs.
    pub(crate) code: String,
    /// The parts of the request that cannot be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldError>,
    /// The verbs that the run allows now, where that is what was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allowed: Option<Vec<String>>,
    /// Whether the same request may succeed later.
    pub(crate) retryable: bool,
    /// The request, as the logs name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
}

impl Problem {
    /// Returns a problem of this kind. `detail` says what happened, on what, and what to do.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        debug_assert!(codes::is_known(code), "`{code}` is not in the list of problems");
        Self(Box::new(Parts {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            allowed: None,
            retry_after: None,
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// Returns the problem with the part of the request that cannot be used.
    #[must_use]
    pub(crate) fn at(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.errors.push(FieldError {
            pointer: pointer.into(),
            message: message.into(),
        });
        self
    }

    /// Returns the problem with the seconds after which the same request may succeed.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Returns the problem with a header of its response.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Returns the problem with what led to it, which the log is told and the client is not.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Returns the problem with the verbs that the run allows instead.
    #[must_use]
    pub(crate) fn allowing(mut self, verbs: &[impl ToString]) -> Self {
        self.0.allowed = Some(verbs.iter().map(ToString::to_string).collect());
        self
    }

    /// Returns the status.
    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the body, which names the request by `request_id`.
    pub(crate) fn body(&self, request_id: Option<&str>) -> ProblemBody {
        let parts = &self.0;
        ProblemBody {
            r#type: format!("{TYPES}{}", parts.code),
            title: parts.status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: parts.status.as_u16(),
            detail: parts.detail.clone(),
            code: parts.code.to_owned(),
            errors: parts.errors.clone(),
            allowed: parts.allowed.clone(),
            retryable: parts.retry_after.is_some(),
            request_id: request_id.map(str::to_owned),
        }
    }

    /// Returns the response, which names the request by `request_id`.
    pub(crate) fn response(self, request_id: Option<&str>) -> Response {
        let body = self.body(request_id);
        let body = serde_json::to_vec(&body).expect("a problem is a struct with text keys");
        let parts = *self.0;
        let defect = parts.status.is_server_error().then(|| Defect {
            code: parts.code,
            cause: parts.cause.unwrap_or(parts.detail),
        });
        let mut response = Response::builder()
            .status(parts.status)
            .content_type(MEDIA_TYPE)
            .body(body);
        let headers = response.headers_mut();
        if let Some(seconds) = parts.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        headers.extend(parts.headers);
        if let Some(defect) = defect {
            response.extensions_mut().insert(defect);
        }
        response
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl poem::error::ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.0.status
    }

    fn as_response(&self) -> Response {
        self.clone().response(None)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response(None)
    }
}

/// The answers that go with problems are written into the document in one place, for all operations alike.
impl poem_openapi::ApiResponse for Problem {
    fn meta() -> poem_openapi::registry::MetaResponses {
        poem_openapi::registry::MetaResponses {
            responses: Vec::new(),
        }
    }

    fn register(_registry: &mut poem_openapi::registry::Registry) {}
}
