//! Each request, once: how long it took, what it was answered with, and a line in the log.
//!
//! The layer stands outside of the guard, so that what the guard refuses is seen too. It costs about a microsecond: the
//! handle of each kind of answer is kept, and nothing is formatted unless somebody listens.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use poem::http::Method;
use poem::{Endpoint, IntoResponse, Request, Response};
use prometheus::Histogram;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::metrics::{Metrics, OTHER};
use super::routes::RouteTable;
use crate::guard::Asker;
use crate::problem::Defect;
use crate::request_id::RequestId;

/// The methods that have a name of their own; whatever else is sent counts as the last.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER",
];

/// The status under which requests are counted whose client left before the answer began.
const LEFT: u16 = 499;

/// The durations of one route, by the place of the method and the status.
type Answers = RwLock<HashMap<(u8, u16), Histogram>>;

/// What requests of one port are counted by.
#[derive(Debug)]
pub(crate) struct Requests {
    routes: RouteTable,
    metrics: Metrics,
    other: Arc<str>,
    /// By the place of the route; the last is for paths of no route.
    answers: Vec<Answers>,
}

impl Requests {
    /// Returns what requests to these routes are counted by.
    pub(crate) fn new(routes: RouteTable, metrics: Metrics) -> Self {
        Self {
            answers: (0..=routes.len()).map(|_| Answers::default()).collect(),
            other: OTHER.into(),
            routes,
            metrics,
        }
    }

    /// Returns the pattern of the path and its place.
    fn route(&self, path: &str) -> (&Arc<str>, usize) {
        match self.routes.find(path) {
            Some(route) => (route.pattern(), route.place()),
            None => (&self.other, self.routes.len()),
        }
    }

    fn record(&self, method: u8, place: usize, status: u16, took: Duration) {
        let known = self.answers[place].read().unwrap_or_else(PoisonError::into_inner);
        if let Some(durations) = known.get(&(method, status)) {
            durations.observe(took.as_secs_f64());
            return;
        }
        drop(known);
        let route = match self.routes.routes().get(place) {
            Some(route) => route.pattern(),
            None => &self.other,
        };
        let durations = self
            .metrics
            .durations(METHODS[usize::from(method)], route, status);
        durations.observe(took.as_secs_f64());
        self.answers[place]
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((method, status), durations);
    }
}

/// Returns the place of a method among the [`METHODS`].
fn place_of(method: &Method) -> u8 {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        _ => 7,
    }
}

/// A request that is being answered. Counted however it ends.
struct UnderWay<'a> {
    requests: &'a Requests,
    begun: Instant,
    method: u8,
    route: usize,
    status: u16,
}

impl<'a> UnderWay<'a> {
    fn begin(requests: &'a Requests, method: u8, route: usize) -> Self {
        requests.metrics.active_requests().inc();
        Self {
            requests,
            begun: Instant::now(),
            method,
            route,
            status: LEFT,
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.requests.metrics.active_requests().dec();
        self.requests
            .record(self.method, self.route, self.status, self.begun.elapsed());
    }
}

/// A port whose requests are seen.
#[derive(Debug)]
pub(crate) struct Observed<E> {
    inner: E,
    requests: Arc<Requests>,
}

impl<E: Endpoint> Observed<E> {
    /// Returns `inner` as it is served.
    pub(crate) fn new(inner: E, requests: Arc<Requests>) -> Self {
        Self { inner, requests }
    }
}

impl<E: Endpoint> Endpoint for Observed<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let (route, place) = self.requests.route(request.uri().path());
        let method = place_of(request.method());
        let mut under_way = UnderWay::begin(&self.requests, method, place);
        let asker = Asker::default();
        request.extensions_mut().insert(asker.clone());
        let id = request.extensions().get::<RequestId>().cloned();
        let seen = Seen {
            method: METHODS[usize::from(method)],
            route,
            request_id: id.as_ref().map(RequestId::as_str),
        };
        let span = seen.span(&request);
        let answer = self.inner.call(request).instrument(span.clone()).await;
        let response = match answer {
            Ok(answer) => answer.into_response(),
            Err(error) => error.into_response(),
        };
        under_way.status = response.status().as_u16();
        seen.tell(&span, &asker, &response, under_way.begun.elapsed());
        Ok(response)
    }
}

/// What is told of a request: no path, no query, no header, no body.
struct Seen<'a> {
    method: &'static str,
    route: &'a str,
    request_id: Option<&'a str>,
}

impl Seen<'_> {
    /// Returns the request's span, which continues the caller's trace where it names one. Disabled unless debug lines or
    /// traces are wanted.
    fn span(&self, request: &Request) -> Span {
        let span = tracing::debug_span!(
            "request",
            otel.name = format!("{} {}", self.method, self.route),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = self.method,
            http.route = self.route,
            http.response.status_code = Empty,
            enduser.id = Empty,
            request_id = self.request_id,
        );
        #[cfg(feature = "otel")]
        super::traces::adopt(&span, request.headers());
        #[cfg(not(feature = "otel"))]
        let _ = request;
        span
    }

    fn tell(&self, span: &Span, asker: &Asker, response: &Response, took: Duration) {
        let status = response.status();
        // A number only where it is signed; anything else becomes a text on its way.
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if let Some(name) = asker.name() {
            span.record("enduser.id", name);
        }
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
            let defect = response.extensions().get::<Defect>();
            tracing::error!(
                method = self.method,
                route = self.route,
                status = status.as_u16(),
                ms = milliseconds(took),
                request_id = self.request_id,
                principal = asker.name(),
                code = defect.map(|defect| defect.code),
                cause = defect.map(|defect| &*defect.cause),
                "a request failed"
            );
        } else {
            tracing::debug!(
                method = self.method,
                route = self.route,
                status = status.as_u16(),
                ms = milliseconds(took),
                request_id = self.request_id,
                principal = asker.name(),
                "a request was answered"
            );
        }
    }
}

/// Returns milliseconds with their thousandths.
fn milliseconds(time: Duration) -> f64 {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

#[cfg(test)]
mod tests;
