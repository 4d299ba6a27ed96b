//! Opening, showing and closing a browser session.
//!
//! A session has two secrets. The cookie's is out of reach of scripts, but the browser sends it to every port of the
//! machine; the page's is out of reach of other ports, but scripts of the page have it. Either alone is worth nothing.

use std::sync::Arc;

use factory_core::factory::credentials::{CodeRefused, Credentials, Holder, SESSION_LASTS};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Endpoint, IntoResponse, Request, Response, handler};
use serde::{Deserialize, Serialize};

use crate::guard::{Failures, GateSettings};
use crate::problem::Problem;

/// What opens a session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// Who is logged in.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// The page's secret, told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
}

impl Shown {
    fn response(&self, status: StatusCode) -> Response {
        let body = serde_json::to_vec(self).expect("a struct of texts becomes JSON");
        Response::builder()
            .status(status)
            .content_type("application/json")
            .body(body)
    }
}

/// `POST /api/session`: opens one with a login code.
#[derive(Debug)]
pub(super) struct Open {
    credentials: Credentials,
    failures: Arc<Failures>,
    cookie: Arc<str>,
}

impl Open {
    pub(super) fn new(settings: &GateSettings) -> Self {
        Self {
            credentials: settings.credentials.clone(),
            failures: Arc::clone(&settings.failures),
            cookie: Arc::clone(&settings.cookie),
        }
    }
}

impl Endpoint for Open {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let bytes = request.take_body().into_bytes().await?;
        let code: Code = serde_json::from_slice(&bytes).map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                format!("the body has to be {{\"code\": \"…\"}}: {error}"),
            )
        })?;
        let opened = self.credentials.redeem(&code.code).await.map_err(Problem::from)?;
        let session = match opened {
            Ok(session) => session,
            Err(refused) => {
                self.failures.count(request.remote_addr())?;
                return Err(refusal(refused).into());
            }
        };
        let shown = Shown {
            name: session.credential.name,
            role: session.credential.role.to_string(),
            expires_at: session.credential.expires_at.map(|at| at.to_string()),
            page: Some(session.page.expose().to_owned()),
        };
        let mut response = shown.response(StatusCode::CREATED);
        let cookie = set_cookie(
            &self.cookie,
            session.cookie.expose(),
            SESSION_LASTS.as_secs(),
            is_https(&request),
        );
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    }
}

fn refusal(refused: CodeRefused) -> Problem {
    let code = match refused {
        CodeRefused::Used => "code_used",
        CodeRefused::Unknown | CodeRefused::Over => "code_refused",
    };
    Problem::new(StatusCode::UNAUTHORIZED, code, refused.to_string())
}

/// `GET /api/session`: says who is logged in.
#[handler]
pub(super) fn show(request: &Request) -> poem::Result<Response> {
    let holder = holder(request)?;
    let shown = Shown {
        name: holder.name.to_string(),
        role: holder.role.to_string(),
        expires_at: holder.expires_at.map(|at| at.to_string()),
        page: None,
    };
    Ok(shown.response(StatusCode::OK))
}

/// `DELETE /api/session`: logs out.
#[derive(Debug)]
pub(super) struct Close {
    credentials: Credentials,
    cookie: Arc<str>,
}

impl Close {
    pub(super) fn new(settings: &GateSettings) -> Self {
        Self {
            credentials: settings.credentials.clone(),
            cookie: Arc::clone(&settings.cookie),
        }
    }
}

impl Endpoint for Close {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let holder = holder(&request)?;
        self.credentials.log_out(holder).await.map_err(Problem::from)?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        let cookie = set_cookie(&self.cookie, "", 0, is_https(&request));
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    }
}

fn holder(request: &Request) -> Result<&Holder, Problem> {
    request.extensions().get::<Holder>().ok_or_else(|| {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "no session came with the request",
        )
    })
}

/// Returns whether the page was got over TLS, here or at a proxy. The gate has let its origin through.
fn is_https(request: &Request) -> bool {
    let origin = request.headers().get(header::ORIGIN);
    origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

fn set_cookie(name: &str, secret: &str, seconds: u64, is_https: bool) -> HeaderValue {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{name}={secret}; Path=/api; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::try_from(text).expect("a cookie of plain letters is a header");
    value.set_sensitive(true);
    value
}
