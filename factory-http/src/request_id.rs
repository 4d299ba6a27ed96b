//! A name for each request, in the answer and in the log, so that a user's report leads to its lines.

use std::sync::Arc;

use poem::http::{HeaderName, HeaderValue};
use poem::{Endpoint, Request, Response};

/// The header that carries it both ways.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name that a client may give.
const MOST: usize = 64;

/// A request's name. Problems and the log name the request by it.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// Returns the name as it is sent.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes the client's own name, where it gave one that can be shown, or makes one.
    fn of(request: &Request) -> Self {
        let given = request
            .headers()
            .get(HEADER)
            .and_then(|value| value.to_str().ok());
        let is_plain = |text: &&str| {
            (1..=MOST).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match given.filter(is_plain) {
            Some(text) => Self(text.into()),
            None => Self(made().into()),
        }
    }
}

fn made() -> String {
    use std::fmt::Write as _;
    let mut bytes = [0; 8];
    // Without randomness the name is no name, and the request goes on all the same.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(16), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Wraps an endpoint so that each of its requests has a name.
#[derive(Debug)]
pub(crate) struct Named<E>(pub(crate) E);

impl<E: Endpoint<Output = Response>> Endpoint for Named<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let id = RequestId::of(&request);
        let value = HeaderValue::from_str(id.as_str());
        request.extensions_mut().insert(id);
        let mut response = match self.0.call(request).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        };
        if let Ok(value) = value {
            response.headers_mut().insert(HEADER, value);
        }
        Ok(response)
    }
}
