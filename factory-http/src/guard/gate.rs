//! Before what needs a credential: from where, who, and then how much. Nobody's body is read who may not ask.

use std::sync::Arc;

use factory_core::factory::credentials::Credentials;
use poem::http::{Method, StatusCode};
use poem::{Endpoint, IntoResponse, Request, Response};
use tokio::time::timeout;

use super::credential::{self, Found};
use super::failures::Failures;
use super::limits::RouteLimits;
use super::principal::{Asker, Principal};
use super::sites::Sites;
use super::{body, origin};
use crate::problem::Problem;

/// The one route behind a gate that anybody may call.
const OPEN: &str = "/health/live";

/// Which credential is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// A bearer token, and nothing else.
    Token,
    /// The cookie of a browser session, with the secret of its page.
    Session,
    /// None, but a page of the server's own: for what opens a session.
    Nothing,
}

/// What a gate works with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct GateSettings {
    /// Which credential is wanted.
    pub(crate) demand: Demand,
    /// Who holds which.
    pub(crate) credentials: Credentials,
    /// The server's own origins.
    pub(crate) sites: Arc<Sites>,
    /// The name of a session's cookie.
    pub(crate) cookie: Arc<str>,
    /// The bounds of a route, by its method and its path as the API has it.
    pub(crate) limits: fn(&Method, &str) -> RouteLimits,
    /// Who failed of late.
    pub(crate) failures: Arc<Failures>,
}

/// An endpoint behind a gate.
#[derive(Debug)]
pub(crate) struct Gate<E> {
    inner: E,
    settings: GateSettings,
}

impl<E: Endpoint> Gate<E> {
    /// Returns `inner` as it is served to whoever shows the credential that is wanted.
    pub(crate) fn new(inner: E, settings: GateSettings) -> Self {
        Self { inner, settings }
    }

    /// Lets a request in, or says why not.
    async fn admit(&self, request: &mut Request) -> Result<RouteLimits, Problem> {
        let settings = &self.settings;
        let limits = (settings.limits)(request.method(), request.uri().path());
        if is_open(request) {
            return Ok(limits);
        }
        origin::check(request, &settings.sites, settings.demand)?;
        let found = credential::find(request, settings.demand, &settings.cookie, &settings.credentials);
        match found {
            Found::Holder(holder) => {
                let principal = Principal {
                    name: Arc::clone(&holder.name),
                    role: holder.role,
                    ended: holder.ended.clone(),
                };
                if let Some(asker) = request.extensions().get::<Asker>() {
                    asker.is(&principal);
                }
                request.extensions_mut().insert(principal);
                request.extensions_mut().insert(holder);
            }
            Found::Nothing if settings.demand == Demand::Nothing => {}
            refused => {
                settings.failures.count(request.remote_addr())?;
                return Err(credential::refused(settings.demand, &refused));
            }
        }
        credential::strip(request.headers_mut());
        body::take(request, &limits).await?;
        Ok(limits)
    }
}

impl<E: Endpoint> Endpoint for Gate<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let limits = self.admit(&mut request).await?;
        let answered = timeout(limits.answer_within, self.inner.call(request)).await;
        match answered {
            Ok(answer) => answer.map(IntoResponse::into_response),
            Err(_) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "deadline",
                format!(
                    "the answer was not there within {} seconds; whether it was done is unknown, look before you ask again",
                    limits.answer_within.as_secs()
                ),
            )
            .into()),
        }
    }
}

/// The path is compared as it was sent: what the router would read differently is not open.
fn is_open(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().path() == OPEN
        && request.headers().get("upgrade").is_none()
}
