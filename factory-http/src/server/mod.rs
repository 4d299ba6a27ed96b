//! The server's two ports: one for programs with tokens, one for browsers, over the same API.

mod connection;
mod flags;
mod listeners;
mod listening;
mod seats;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use factory_core::factory::credentials::Credentials;
use poem::Endpoint;
use poem::http::Method;
use tokio_util::sync::CancellationToken;

use crate::console;
use crate::guard::{Demand, FailureQuota, Failures, Front, Gate, GateSettings, RouteLimits, Shown};
use crate::observe::{Metrics, Observed, Requests, RouteTable};
use crate::request_id::Named;

pub(crate) use connection::ConnectionLimits;
pub(crate) use flags::ListenFlags;
pub(crate) use listeners::{Listeners, Port};
pub(crate) use listening::{Listening, PlainHttp, TlsFiles};

/// What the ports are served with.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    /// Who may ask.
    pub(crate) credentials: Credentials,
    /// The bounds of a route, by its method and its path as the API has it.
    pub(crate) limits: fn(&Method, &str) -> RouteLimits,
    /// The routes of the API.
    pub(crate) routes: Arc<RouteTable>,
    /// What requests are counted with.
    pub(crate) metrics: Metrics,
    /// How many failed authentications are answered in full.
    pub(crate) failures: FailureQuota,
    /// How many connections there may be, and how long they are waited for.
    pub(crate) connections: ConnectionLimits,
}

impl Serving {
    /// Returns the ordinary way.
    pub(crate) fn new(
        credentials: Credentials,
        limits: fn(&Method, &str) -> RouteLimits,
        routes: Arc<RouteTable>,
        metrics: Metrics,
    ) -> Self {
        Self {
            credentials,
            limits,
            routes,
            metrics,
            failures: FailureQuota::default(),
            connections: ConnectionLimits::default(),
        }
    }

    fn gate(&self, demand: Demand, port: &Port) -> GateSettings {
        GateSettings {
            demand,
            credentials: self.credentials.clone(),
            sites: Arc::clone(&port.sites),
            // Cookies ignore ports, so that the name says it: two factories on one machine do not take each other's.
            cookie: format!("factory_session_{}", port.address.port()).into(),
            limits: self.limits,
            failures: Arc::new(Failures::new(self.failures)),
        }
    }
}

/// Serves `api`, which has no guard of its own, on both ports until `ending` is cancelled. Requests under way are then
/// given a moment; sockets have to be told by whoever holds them.
pub(crate) async fn serve<E>(listeners: Listeners, api: E, serving: Serving, ending: CancellationToken)
where
    E: Endpoint + 'static,
{
    let api = Arc::new(api);
    let gate = Gate::new(Arc::clone(&api), serving.gate(Demand::Token, &listeners.api));
    let for_programs = Front::new(gate, Arc::clone(&listeners.api.sites), Shown::Data);
    let session = serving.gate(Demand::Session, &listeners.console);
    let for_browsers = console::routes(api, &session);
    let seen = |routes: RouteTable| Arc::new(Requests::new(routes, serving.metrics.clone()));
    let for_programs = Observed::new(for_programs, seen(RouteTable::clone(&serving.routes)));
    let for_browsers = Observed::new(for_browsers, seen(console::table(&serving.routes)));
    let Listeners { api, console } = listeners;
    tokio::join!(
        connection::serve(api, Named(for_programs), serving.connections, &ending),
        connection::serve(console, Named(for_browsers), serving.connections, &ending),
    );
}
