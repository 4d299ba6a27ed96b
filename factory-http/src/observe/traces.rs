//! Traces: spans of requests, runs, model calls and checks, sent to a collector over OTLP. They have ids, the names of
//! models, and counts in them, and nothing that was said.
//!
//! Spans wait in a bounded queue for a thread that sends them; what does not fit, or finds no collector, is left out.
//! The exporter reads the `OTEL_` variables itself, as its documentation lists them.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use poem::http::HeaderMap;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::environment::Environment;
use crate::render::output;

/// How long the end of the process waits for the collector.
const FAREWELL: Duration = Duration::from_secs(3);

/// The name of the service where `OTEL_SERVICE_NAME` gives none.
const SERVICE: &str = "factory";

/// What sends traces, where there is a collector to send them to.
#[derive(Debug)]
pub(super) struct Traces(Option<SdkTracerProvider>);

/// Returns the layer that takes spans to the collector that the environment names. None where it names none.
pub(super) fn start<S>(environment: &Environment) -> (Option<Box<dyn Layer<S> + Send + Sync>>, Traces)
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let collector = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]
    .into_iter()
    .find_map(|name| environment.variable(name));
    let disabled = environment
        .variable("OTEL_SDK_DISABLED")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if collector.is_none() || disabled {
        return (None, Traces(None));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .build();
    let exporter = match exporter {
        Ok(exporter) => exporter,
        Err(error) => {
            // The log has not begun; and to be seen less is no reason not to work.
            output::remark(&format!("no traces are sent: {error}"));
            return (None, Traces(None));
        }
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(environment))
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_level(false)
        .with_target(false)
        .with_filter(filter_fn(is_told));
    (Some(layer.boxed()), Traces(Some(provider)))
}

/// Our own spans alone. Events stay in the log: they have words in them, and those of libraries would tell of their own
/// sending.
fn is_told(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("factory")
}

fn resource(environment: &Environment) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    match environment.variable("OTEL_SERVICE_NAME") {
        // The builder has read it.
        Some(_) => resource.build(),
        None => resource.with_service_name(SERVICE).build(),
    }
}

impl Traces {
    /// Sends what waits, for a moment at most.
    pub(super) fn end(self) {
        let Some(provider) = self.0 else {
            return;
        };
        if let Err(error) = provider.shutdown_with_timeout(FAREWELL) {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// Has the span continue the trace that a request names in its `traceparent`, if it names one.
pub(super) fn adopt(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() || !headers.contains_key("traceparent") {
        return;
    }
    let caller = TraceContextPropagator::new().extract(&Headers(headers));
    if caller.span().span_context().is_valid() {
        // An error means that no layer takes spans anywhere.
        let _ = span.set_parent(caller);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(poem::http::HeaderName::as_str).collect()
    }
}
