//! What is counted while it happens. The names are those that the field uses, where it has one.
//!
//! Every handle is made by the recorder that this file owns, and none by a global one: a process may have several
//! servers, and a test its own numbers. Labels have few values, each of them known beforehand.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use factory_core::model::payload::LlmFailure;
use factory_core::model::{EventKind, Usage};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio_util::sync::CancellationToken;

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

/// How often what was recorded is summed up. Until then each duration takes eight bytes.
const UPKEEP: Duration = Duration::from_secs(2);

/// The value of a label for whatever has no name of its own.
pub(crate) const OTHER: &str = "other";

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

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
pub(crate) struct LiveClient(Gauge);

impl Drop for LiveClient {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The counters of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    active: Gauge,
    events: HashMap<&'static str, Counter>,
    other_events: Counter,
    calls: HashMap<&'static str, Counter>,
    tokens: [Counter; 3],
    sockets: Gauge,
    streams: Gauge,
}

impl Metrics {
    /// Returns counters that stand at zero.
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &BUCKETS)
            .expect("there are buckets")
            .build_recorder();
        describe(&recorder);
        let counter = |name: &'static str, label: Label| {
            recorder.register_counter(&Key::from_parts(name, vec![label]), &METADATA)
        };
        let gauge = |name: &'static str, labels: Vec<Label>| {
            recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
        };
        let event = |kind: &'static str| counter(EVENTS, Label::from_static_parts("type", kind));
        let call = |outcome: &'static str| counter(CALLS, Label::from_static_parts("outcome", outcome));
        let live = |kind: &'static str| gauge(LIVE, vec![Label::from_static_parts("kind", kind)]);
        Self(Arc::new(Inner {
            active: gauge(ACTIVE, Vec::new()),
            events: EventKind::TYPES.iter().map(|kind| (*kind, event(kind))).collect(),
            other_events: event(OTHER),
            calls: OUTCOMES.map(|outcome| (outcome, call(outcome))).into(),
            tokens: ["prompt", "cached", "completion"]
                .map(|kind| counter(TOKENS, Label::from_static_parts("kind", kind))),
            sockets: live("websocket"),
            streams: live("sse"),
            handle: recorder.handle(),
            recorder,
        }))
    }

    /// Returns what was counted, in Prometheus's text form.
    pub(crate) fn render(&self) -> String {
        self.0.handle.render()
    }

    /// Sums up what was recorded, every so often, until `ending` is cancelled.
    pub(crate) async fn keep_up(self, ending: CancellationToken) {
        let mut moments = tokio::time::interval(UPKEEP);
        moments.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while ending.run_until_cancelled(moments.tick()).await.is_some() {
            let handle = self.0.handle.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || handle.run_upkeep()).await {
                tracing::error!(%error, "what was measured could not be summed up");
            }
        }
    }

    /// Counts a client that watches live, until what is returned is dropped.
    pub(crate) fn live_client(&self, kind: LiveKind) -> LiveClient {
        let gauge = match kind {
            LiveKind::Socket => &self.0.sockets,
            LiveKind::Stream => &self.0.streams,
        };
        gauge.increment(1.0);
        LiveClient(gauge.clone())
    }

    /// Counts an event, with what it says of model calls.
    pub(super) fn count_event(&self, kind: &EventKind) {
        let counter = self.0.events.get(kind.type_name());
        counter.unwrap_or(&self.0.other_events).increment(1);
        match kind {
            EventKind::LlmResponded(responded) => self.count_call(ANSWERED, &responded.usage),
            EventKind::LlmFailed(failed) => self.count_call(outcome(failed.failure), &failed.usage),
            _ => {}
        }
    }

    fn count_call(&self, outcome: &'static str, usage: &Usage) {
        if let Some(counter) = self.0.calls.get(outcome) {
            counter.increment(1);
        }
        let spent = [usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens];
        for (counter, tokens) in self.0.tokens.iter().zip(spent) {
            counter.increment(tokens);
        }
    }

    /// Returns the gauge of requests that are being answered.
    pub(super) fn active_requests(&self) -> &Gauge {
        &self.0.active
    }

    /// Returns the durations of the requests of a route that were answered so.
    pub(super) fn durations(&self, method: &'static str, route: Arc<str>, status: u16) -> Histogram {
        let labels = vec![
            Label::from_static_parts("http_request_method", method),
            Label::new("http_route", route),
            Label::new("http_response_status_code", status.to_string()),
        ];
        let key = Key::from_parts(DURATION, labels);
        self.0.recorder.register_histogram(&key, &METADATA)
    }
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

fn describe(recorder: &PrometheusRecorder) {
    recorder.describe_histogram(
        DURATION.into(),
        None,
        "Seconds from a request's head to the head of its answer; status 499 where the client left before."
            .into(),
    );
    recorder.describe_gauge(ACTIVE.into(), None, "Requests that are being answered.".into());
    recorder.describe_counter(
        EVENTS.into(),
        None,
        "Events that were stored since the start.".into(),
    );
    recorder.describe_counter(
        CALLS.into(),
        None,
        "Model calls that ended since the start.".into(),
    );
    recorder.describe_counter(
        TOKENS.into(),
        None,
        "Tokens of model calls since the start; cached ones are among those of prompts.".into(),
    );
    recorder.describe_gauge(
        LIVE.into(),
        None,
        "Clients that watch events as they happen.".into(),
    );
}
