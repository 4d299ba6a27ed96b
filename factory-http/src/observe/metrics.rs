//! What is counted while it happens. The names are those that the field uses, where it has one.
//!
//! Every handle is of the registry that this file owns, and none of the global one: a process may have several servers,
//! and a test its own numbers. Labels have few values, each of them known beforehand.

use std::collections::HashMap;
use std::sync::Arc;

use factory_core::model::payload::LlmFailure;
use factory_core::model::{EventKind, Usage};
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder, core::Collector,
};

/// How long requests take until their answer begins, in seconds.
const DURATION: &str = "http_server_request_duration_seconds";
/// How many requests are being answered.
const ACTIVE: &str = "http_server_active_requests";
/// Events stored since the start.
const EVENTS: &str = "factory_events_total";
/// Model calls that ended since the start.
const CALLS: &str = "factory_llm_calls_total";
/// Tokens since the start.
const TOKENS: &str = "factory_llm_tokens_total";
/// Clients that watch live.
const LIVE: &str = "factory_live_clients";

/// The bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The value of a label for whatever has no name of its own.
pub(crate) const OTHER: &str = "other";

/// How a client watches live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveKind {
    /// Over a WebSocket.
    Socket,
    /// By server-sent events.
    Stream,
}

/// A client that watches live, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct LiveClient(IntGauge);

impl Drop for LiveClient {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The counters of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    durations: HistogramVec,
    active: IntGauge,
    events: HashMap<&'static str, IntCounter>,
    other_events: IntCounter,
    calls: HashMap<&'static str, IntCounter>,
    tokens: [IntCounter; 3],
    sockets: IntGauge,
    streams: IntGauge,
}

impl Metrics {
    /// Returns counters that stand at zero.
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let counters = |name, help, label| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label]);
            known(&registry, counters)
        };
        let events = counters(EVENTS, "Events that were stored since the start.", "type");
        let calls = counters(CALLS, "Model calls that ended since the start.", "outcome");
        let tokens = counters(
            TOKENS,
            "Tokens of model calls since the start; cached ones are among those of prompts.",
            "kind",
        );
        let live = Opts::new(LIVE, "Clients that watch events as they happen.");
        let live = known(&registry, IntGaugeVec::new(live, &["kind"]));
        let active = Opts::new(ACTIVE, "Requests that are being answered.");
        let durations = HistogramOpts::new(
            DURATION,
            "Seconds from a request's head to the head of its answer; status 499 where the client left before.",
        );
        let labels = ["http_request_method", "http_route", "http_response_status_code"];
        let event = |kind: &'static str| events.with_label_values(&[kind]);
        Self(Arc::new(Inner {
            active: known(&registry, IntGauge::with_opts(active)),
            durations: known(
                &registry,
                HistogramVec::new(durations.buckets(BUCKETS.to_vec()), &labels),
            ),
            events: EventKind::TYPES.iter().map(|kind| (*kind, event(kind))).collect(),
            other_events: event(OTHER),
            calls: OUTCOMES
                .map(|outcome| (outcome, calls.with_label_values(&[outcome])))
                .into(),
            tokens: ["prompt", "cached", "completion"].map(|kind| tokens.with_label_values(&[kind])),
            sockets: live.with_label_values(&["websocket"]),
            streams: live.with_label_values(&["sse"]),
            registry,
        }))
    }

    /// Returns what was counted, in Prometheus's text form.
    pub(crate) fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.0.registry.gather(), &mut text)
            .expect("metrics with names can be written to memory");
        String::from_utf8(text).expect("the text form is UTF-8")
    }

    /// Counts a client that watches live, until what is returned is dropped.
    pub(crate) fn live_client(&self, kind: LiveKind) -> LiveClient {
        let gauge = match kind {
            LiveKind::Socket => &self.0.sockets,
            LiveKind::Stream => &self.0.streams,
        };
        gauge.inc();
        LiveClient(gauge.clone())
    }

    /// Counts an event, with what it says of model calls.
    pub(super) fn count_event(&self, kind: &EventKind) {
        let counter = self.0.events.get(kind.type_name());
        counter.unwrap_or(&self.0.other_events).inc();
        match kind {
            EventKind::LlmResponded(responded) => self.count_call(ANSWERED, &responded.usage),
            EventKind::LlmFailed(failed) => self.count_call(outcome(failed.failure), &failed.usage),
            _ => {}
        }
    }

    fn count_call(&self, outcome: &'static str, usage: &Usage) {
        if let Some(counter) = self.0.calls.get(outcome) {
            counter.inc();
        }
        let spent = [usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens];
        for (counter, tokens) in self.0.tokens.iter().zip(spent) {
            counter.inc_by(tokens);
        }
    }

    /// Returns the gauge of requests that are being answered.
    pub(super) fn active_requests(&self) -> &IntGauge {
        &self.0.active
    }

    /// Returns the durations of the requests of a route that were answered so.
    pub(super) fn durations(&self, method: &'static str, route: &str, status: u16) -> Histogram {
        self.0
            .durations
            .with_label_values(&[method, route, status.to_string().as_str()])
    }
}

/// Has the registry know a metric. Its name and its labels are written in this file, so that neither can be refused.
fn known<M: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<M>) -> M {
    let metric = made.expect("the metric is well-formed");
    registry
        .register(Box::new(metric.clone()))
        .expect("no metric is there twice");
    metric
}

/// The outcome of a call that was answered.
const ANSWERED: &str = "answered";

/// What model calls come to.
const OUTCOMES: [&str; 6] = [ANSWERED, "cut", "lost", "transient", "overflow", "permanent"];

fn outcome(failure: LlmFailure) -> &'static str {
    match failure {
        LlmFailure::Cut => "cut",
        LlmFailure::Lost => "lost",
        LlmFailure::Transient => "transient",
        LlmFailure::Overflow => "overflow",
        LlmFailure::Permanent => "permanent",
    }
}
