//! What the web framework says in its own words, said as a problem: no route, no such method, a parameter that cannot be
//! read, a panic.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use poem::error::{MethodNotAllowedError, ParsePathError as PoemPathError};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Endpoint, Error, IntoResponse as _, Request, Response};
use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError};

use super::Problem;
use crate::observe::RouteTable;
use crate::request_id::RequestId;

/// Wraps an endpoint so that whatever goes wrong in it is answered as a problem.
#[derive(Debug)]
pub(crate) struct Explained<E> {
    endpoint: E,
    routes: Arc<RouteTable>,
}

impl<E> Explained<E> {
    /// Wraps `endpoint`, which has these routes.
    pub(crate) fn new(endpoint: E, routes: Arc<RouteTable>) -> Self {
        Self { endpoint, routes }
    }
}

impl<E: Endpoint> Endpoint for Explained<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let id = request.extensions().get::<RequestId>().cloned();
        let path = request.uri().path().to_owned();
        let outcome = AssertUnwindSafe(self.endpoint.call(request)).catch_unwind().await;
        let id = id.as_ref().map(RequestId::as_str);
        let problem = match outcome {
            Ok(Ok(output)) => return Ok(output.into_response()),
            Ok(Err(error)) => self.problem(error, &path),
            Err(panic) => {
                let said = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned());
                internal(format!("a panic: {}", said.as_deref().unwrap_or("of no text")))
            }
        };
        Ok(problem.response(id))
    }
}

fn internal(cause: String) -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "a defect of the server; nothing that was stored is lost, and the log names the request",
    )
    .because(cause)
}

impl Problem {
    /// Returns what the framework says as a problem.
    pub(crate) fn of_framework(error: Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(problem) => return problem,
            Err(error) => error,
        };
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            return Self::of_parameter("query", error);
        }
        if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
            return Self::new(StatusCode::BAD_REQUEST, "bad_body", plain(&error.reason));
        }
        if let Some(error) = error.downcast_ref::<ContentTypeError>() {
            return Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "bad_media_type",
                error.to_string(),
            );
        }
        match error.status() {
            StatusCode::NOT_FOUND => Self::new(
                StatusCode::NOT_FOUND,
                "no_such_path",
                "there is nothing at this address; `/docs` shows what there is",
            ),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "no_such_method",
                "what is at this address does not answer to this method",
            ),
            status if status.is_server_error() => internal(error.to_string()),
            status => Self::new(status, "bad_request", error.to_string()),
        }
    }
}

impl Problem {
    fn of_parameter(place: &str, error: &ParseParamError) -> Self {
        let (name, reason) = (error.name, plain(&error.reason));
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad_parameter",
            format!("`{name}`: {reason}"),
        )
        .at(format!("{place}:{name}"), reason)
    }
}

impl<E> Explained<E> {
    /// Returns what the framework says as a problem, where it takes the routes to say it well.
    fn problem(&self, error: Error, path: &str) -> Problem {
        if let Some(error) = error.downcast_ref::<ParsePathError>() {
            let name = self.parameter(path, error.name);
            let reason = plain(&error.reason);
            return Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_path",
                format!("`{name}` in the path: {reason}"),
            )
            .at(format!("path:{name}"), reason);
        }
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            let route = self.routes.find(path);
            let is_of_path = route.is_some_and(|route| route.parameters().any(|name| name == error.name));
            return Problem::of_parameter(if is_of_path { "path" } else { "query" }, error);
        }
        if error.is::<PoemPathError>() && self.routes.find(path).is_some() {
            let name = self.parameter(path, "param0");
            let detail = format!("`{name}` in the path is no text");
            return Problem::new(StatusCode::BAD_REQUEST, "bad_path", detail)
                .at(format!("path:{name}"), "no text");
        }
        if error.is::<MethodNotAllowedError>() {
            return self.other_methods(path);
        }
        Problem::of_framework(error)
    }

    /// Returns the name of a path's parameter, which the library calls by its place: `param0`.
    fn parameter(&self, path: &str, name: &str) -> String {
        let place = name
            .strip_prefix("param")
            .and_then(|place| place.parse::<usize>().ok());
        let named = place.and_then(|place| self.routes.find(path)?.parameters().nth(place));
        named.unwrap_or(name).to_owned()
    }

    fn other_methods(&self, path: &str) -> Problem {
        let route = self.routes.find(path);
        let list = route.map(|route| route.methods().join(", ")).unwrap_or_default();
        let detail = format!("`{path}` takes {list}");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", detail);
        match HeaderValue::from_str(&list) {
            Ok(list) => problem.with_header(header::ALLOW, list),
            Err(_) => problem,
        }
    }
}

/// Leaves out the library's words around what it found.
fn plain(reason: &str) -> String {
    let reason = reason.strip_prefix("verification failed. ").unwrap_or(reason);
    let reason = match reason
        .strip_prefix("failed to parse \"")
        .and_then(|rest| rest.split_once("\": "))
    {
        Some((kind, why)) => format!("{why} ({})", kind.split('_').next().unwrap_or(kind)),
        None => reason.to_owned(),
    };
    reason.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_says_is_said_in_plain_words() {
        for (reason, expected) in [
            (
                "failed to parse \"integer_int64\": invalid digit found in string",
                "invalid digit found in string (integer)",
            ),
            (
                "verification failed. maximum(500, exclusive: false)",
                "maximum(500, exclusive: false)",
            ),
        ] {
            assert_eq!(plain(reason), expected);
        }
    }
}
