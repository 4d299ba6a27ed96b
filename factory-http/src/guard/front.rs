//! The outermost layer of a port: is the request meant for this server at all? Everything that is refused or fails behind
//! it leaves as a problem.

use std::sync::Arc;

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Request, Response};

use super::headers::{self, Shown};
use super::sites::Sites;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// The methods that anything here answers to.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// An endpoint behind the outermost layer.
#[derive(Debug)]
pub(crate) struct Front<E> {
    inner: E,
    sites: Arc<Sites>,
    shown: Shown,
}

impl<E: Endpoint> Front<E> {
    /// Returns `inner` as it is served to whoever calls the server by one of its names.
    pub(crate) fn new(inner: E, sites: Arc<Sites>, shown: Shown) -> Self {
        Self { inner, sites, shown }
    }

    async fn answer(&self, request: Request) -> poem::Result<Response> {
        if !METHODS.contains(request.method()) {
            let allow = METHODS.map(|method| method.to_string()).join(", ");
            let problem = Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("nothing here answers to this method; there are {allow}"),
            );
            let allow = HeaderValue::try_from(allow).map_err(poem::error::InternalServerError)?;
            return Err(problem.with_header(header::ALLOW, allow).into());
        }
        check_host(&request, &self.sites)?;
        self.inner.call(request).await.map(IntoResponse::into_response)
    }
}

impl<E: Endpoint> Endpoint for Front<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let id = request.extensions().get::<RequestId>().cloned();
        let id = id.as_ref().map(RequestId::as_str);
        let mut response = match self.answer(request).await {
            Ok(response) => response,
            Err(error) => Problem::of_framework(error).response(id),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            headers::secure(response.headers_mut(), self.shown);
        }
        Ok(response)
    }
}

/// Refuses a request that was meant for another server: one whose name was made to point here.
fn check_host(request: &Request, sites: &Sites) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_host",
            "the request has to name its host once, in the `Host` header",
        ));
    };
    let known = host.to_str().is_ok_and(|host| sites.has_host(host));
    // A request may name its host in its first line too, as those to proxies do.
    let authority = request.original_uri().authority();
    let meant = authority.is_none_or(|authority| sites.has_host(authority.as_str()));
    if known && meant {
        return Ok(());
    }
    let shown: String = String::from_utf8_lossy(host.as_bytes())
        .chars()
        .take(100)
        .collect();
    let detail = format!(
        "this server is not `{}`; call it by the address that it printed at its start, or add the name to `hosts` in the \
         `[server]` table of factory.toml",
        shown.escape_debug()
    );
    Err(Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "unknown_host",
        detail,
    ))
}
