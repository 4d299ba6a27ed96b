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
use crate::request_id::RequestId;

/// The methods that each path takes, as (`/runs/{run_id}`, [`GET`]).
pub(crate) type Methods = Arc<Vec<(String, Vec<String>)>>;

/// Wraps an endpoint so that whatever goes wrong in it is answered as a problem.
#[derive(Debug)]
pub(crate) struct Explained<E> {
    endpoint: E,
    methods: Methods,
}

impl<E> Explained<E> {
    /// Wraps `endpoint`, whose paths take these methods.
    pub(crate) fn new(endpoint: E, methods: Methods) -> Self {
        Self { endpoint, methods }
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
                tracing::error!(path, request_id = id, panic = said, "a request ended in a panic");
                internal()
            }
        };
        Ok(problem.response(id))
    }
}

fn internal() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "a defect of the server; nothing that was stored is lost, and the log names the request",
    )
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
            status if status.is_server_error() => {
                tracing::error!(%error, "a request failed");
                internal()
            }
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
            let named = format!("{{{}}}", error.name);
            let is_of_path = self
                .route(path)
                .is_some_and(|(pattern, _)| pattern.contains(&named));
            return Problem::of_parameter(if is_of_path { "path" } else { "query" }, error);
        }
        if error.is::<PoemPathError>() && self.route(path).is_some() {
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
        let named = place.and_then(|place| {
            let (pattern, _) = self.route(path)?;
            let mut names = pattern
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            names.nth(place)
        });
        named.unwrap_or(name).to_owned()
    }

    /// Returns the path's route: of several patterns the one that says most of it literally, as the router takes it.
    fn route(&self, path: &str) -> Option<&(String, Vec<String>)> {
        let known = self.methods.iter().filter(|(pattern, _)| is_of(pattern, path));
        known.min_by_key(|(pattern, _)| pattern.matches('{').count())
    }

    fn other_methods(&self, path: &str) -> Problem {
        let known = self.route(path).map(|(_, methods)| methods.as_slice());
        let mut methods: Vec<&str> = known.unwrap_or_default().iter().map(String::as_str).collect();
        methods.sort_unstable();
        let list = methods.join(", ");
        let detail = format!("`{path}` takes {list}");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", detail);
        match HeaderValue::from_str(&list) {
            Ok(list) => problem.with_header(header::ALLOW, list),
            Err(_) => problem,
        }
    }
}

/// Returns whether the path is one of the pattern's.
fn is_of(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given))
                if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
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

    #[test]
    fn a_path_that_is_said_literally_is_taken_before_a_parameter() {
        let route = |path: &str, method: &str| (path.to_owned(), vec![method.to_owned()]);
        let methods = vec![route("/runs/{run_id}", "GET"), route("/runs/bulk", "POST")];
        let explained = Explained::new((), Arc::new(methods));
        let methods = |path: &str| explained.route(path).map(|(_, methods)| methods[0].clone());
        assert_eq!(methods("/runs/bulk").as_deref(), Some("POST"));
        assert_eq!(methods("/runs/7").as_deref(), Some("GET"));
        assert_eq!(methods("/runs/7/pause"), None);
    }

    #[test]
    fn a_path_is_matched_part_by_part() {
        for (path, matches) in [
            ("/runs/7", true),
            ("/runs/x", true),
            ("/runs/", false),
            ("/runs", false),
            ("/runs/7/events", false),
        ] {
            assert_eq!(is_of("/runs/{run_id}", path), matches, "{path}");
        }
    }
}
