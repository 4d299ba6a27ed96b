//! HTTP to model servers with a bound on everything: connecting, waiting, line length, reply length.
//!
//! A model server is outside the factory's trust. It may be slow (a model is loaded for minutes before the first
//! byte), endless, or lying, so there is no total deadline, but every wait and every buffer has an end, and what a
//! server says in an error is shortened and stripped of control characters before anybody sees it.

mod answer;
mod failure;

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, redirect};
use serde_json::Value;
use time::OffsetDateTime;

pub(super) use self::failure::ServerReport;
use self::failure::{causes, is_busy, retry_after, shortened};
use super::LlmError;
use super::server::{BaseUrl, Bounds, Secret, Server};

/// A connection pool to one model server.
#[derive(Debug, Clone)]
pub struct Transport {
    client: Client,
    base: BaseUrl,
    endpoint: String,
    /// What is struck from the server's words before anybody sees them.
    secrets: Vec<Secret>,
    bounds: Bounds,
}

/// The bytes of a reply as they come, each wait and their sum bounded.
pub type ReplyBytes = BoxStream<'static, Result<Vec<u8>, LlmError>>;

impl Transport {
    /// Returns a transport; the error says why no client can be made.
    ///
    /// Redirects are not followed, so that neither the key nor the prompt goes anywhere else, and no proxy is taken
    /// from the environment.
    pub fn new(server: &Server) -> Result<Self, String> {
        let mut headers = server.header_map()?;
        // Compressed replies would need a bound of their own after unpacking.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut builder = Client::builder()
            .connect_timeout(server.bounds.connect)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .user_agent(concat!("ai-dev-factory/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers);
        if !server.base.is_https() {
            // A machine without root certificates, such as a small container, can still reach a server of its own.
            builder = builder.tls_certs_only([]);
        } else if !server.certificates.is_empty() {
            let certificates = Certificate::from_pem_bundle(&server.certificates)
                .map_err(|error| format!("its certificates cannot be read: {}", causes(&error)))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder
            .build()
            .map_err(|error| format!("no HTTP client can be made: {}", causes(&error)))?;
        Ok(Self {
            client,
            endpoint: server.base.origin(),
            base: server.base.clone(),
            secrets: server.secrets(),
            bounds: server.bounds,
        })
    }

    /// Returns the server's origin, as errors name it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Posts a JSON body and returns the bytes of the reply as they come. A reply that is no success, or not of the
    /// media type `accept`, is an error.
    pub async fn post(&self, path: &str, body: &Value, accept: &'static str) -> Result<ReplyBytes, LlmError> {
        let started = tokio::time::Instant::now();
        let body = body.to_string();
        let request = self
            .client
            .post(self.base.join(path))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, accept)
            .body(body);
        let response = tokio::time::timeout(self.bounds.first_byte, request.send())
            .await
            .map_err(|_| self.late("the first byte", self.bounds.first_byte))?
            .map_err(|error| self.lost(error))?;
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_ascii_lowercase())
            .unwrap_or_default();
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        // Only what is surely no stream is refused: small servers are careless about the media type.
        if media_type != accept && matches!(media_type.as_str(), "application/json" | "text/html") {
            return Err(self.no_stream(response, &media_type, accept).await);
        }
        Ok(self.bounded(response, started + self.bounds.first_byte))
    }

    /// Bounds the waits and the length of a body.
    fn bounded(&self, response: Response, first_byte_until: tokio::time::Instant) -> ReplyBytes {
        struct State {
            body: BoxStream<'static, reqwest::Result<Vec<u8>>>,
            transport: Transport,
            first_byte_until: Option<tokio::time::Instant>,
            left: usize,
        }
        let state = State {
            body: response
                .bytes_stream()
                .map(|bytes| bytes.map(|bytes| bytes.to_vec()))
                .boxed(),
            transport: self.clone(),
            first_byte_until: Some(first_byte_until),
            left: self.bounds.reply_bytes,
        };
        stream::try_unfold(state, |mut state| async move {
            let bounds = state.transport.bounds;
            let (until, what, bound) = match state.first_byte_until.take() {
                Some(until) => (until, "the first byte", bounds.first_byte),
                None => (
                    tokio::time::Instant::now() + bounds.idle,
                    "more of the reply",
                    bounds.idle,
                ),
            };
            let bytes = match tokio::time::timeout_at(until, state.body.next()).await {
                Err(_) => return Err(state.transport.late(what, bound)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(state
                        .transport
                        .bad_reply(format!("it broke off: {}", causes(&error.without_url()))));
                }
                Ok(Some(Ok(bytes))) => bytes,
            };
            state.left = state.left.checked_sub(bytes.len()).ok_or_else(|| {
                state
                    .transport
                    .bound_passed(format!("the reply is longer than {} bytes", bounds.reply_bytes))
            })?;
            Ok(Some((bytes, state)))
        })
        .boxed()
    }

    /// Turns a reply that is no success into an error.
    async fn refusal(&self, response: Response) -> LlmError {
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value, OffsetDateTime::now_utc()));
        if status.is_redirection() {
            return LlmError::Refused {
                endpoint: self.endpoint.clone(),
                status: status.as_u16(),
                detail: "it redirects, which is not followed; give the address that it redirects to"
                    .to_owned(),
            };
        }
        let body = self.error_body(response).await;
        let report = ServerReport::of_body(&body);
        self.failure(Some(status), &report, retry_after)
    }

    async fn no_stream(&self, response: Response, media_type: &str, accept: &str) -> LlmError {
        let body = self.error_body(response).await;
        match serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|body| ServerReport::of_error(&body))
        {
            Some(report) => self.failure(None, &report, None),
            None => self.bad_reply(format!("it is {media_type} where {accept} was asked for")),
        }
    }

    /// Turns what a server says about its failure into an error. `status` is the reply's own; within a stream there
    /// is none, and the report's code stands for it.
    pub(super) fn failure(
        &self,
        status: Option<StatusCode>,
        report: &ServerReport,
        retry_after: Option<Duration>,
    ) -> LlmError {
        let endpoint = self.endpoint.clone();
        let detail = self.shown(&report.message);
        if report.is_context_overflow() {
            return LlmError::ContextOverflow(detail);
        }
        let code = status.or_else(|| StatusCode::from_u16(report.code?).ok());
        match code {
            Some(code) if is_busy(code) => LlmError::Busy {
                endpoint,
                detail: format!("{} {detail}", code.as_u16()),
                retry_after,
            },
            Some(code) if code.is_client_error() || status.is_some() => LlmError::Refused {
                endpoint,
                status: code.as_u16(),
                detail,
            },
            _ if report.is_overload() => LlmError::Busy {
                endpoint,
                detail,
                retry_after,
            },
            _ => self.bad_reply(format!("the server reports a failure: {detail}")),
        }
    }

    /// Reads as much of an error's body as is allowed and comes soon enough.
    async fn error_body(&self, response: Response) -> String {
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        // What has come by the deadline is enough: the status has already said the main thing.
        let read = async {
            while let Some(Ok(bytes)) = stream.next().await {
                let left = self.bounds.error_bytes - body.len();
                body.extend_from_slice(&bytes[..bytes.len().min(left)]);
                if body.len() >= self.bounds.error_bytes {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(self.bounds.idle, read).await;
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Returns a server's words as they may be shown: short, on one line, without the key.
    fn shown(&self, words: &str) -> String {
        let mut hidden = words.to_owned();
        for secret in self.secrets.iter().filter(|secret| !secret.expose().is_empty()) {
            hidden = hidden.replace(secret.expose(), "[key]");
        }
        shortened(&hidden)
    }

    /// Returns the error for a request that got no reply.
    fn lost(&self, error: reqwest::Error) -> LlmError {
        LlmError::Unreachable {
            endpoint: self.endpoint.clone(),
            source: Box::new(error.without_url()),
        }
    }

    fn late(&self, what: &str, bound: Duration) -> LlmError {
        self.bound_passed(format!("{what} did not come within {bound:?}"))
    }

    /// Returns the error for a bound that was passed.
    pub(super) fn bound_passed(&self, detail: String) -> LlmError {
        LlmError::BoundPassed {
            endpoint: self.endpoint.clone(),
            detail,
        }
    }

    /// Returns the error for a reply that cannot be used.
    pub(super) fn bad_reply(&self, detail: String) -> LlmError {
        LlmError::BadReply {
            endpoint: self.endpoint.clone(),
            detail,
        }
    }
}
