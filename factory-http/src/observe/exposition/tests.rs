//! What is served at `/metrics`, line by line.

use std::fmt::Write as _;

use factory_core::model::payload::{LlmFailed, RunResumed};
use factory_core::model::{EventKind, Role, UnknownEvent, Usage};
use poem::http::{HeaderValue, Method};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::guard::Principal;
use crate::observe::metrics::LiveKind;

/// Says how things stand without a store.
#[derive(Debug)]
struct Told(Option<Standing>);

#[async_trait]
impl Stands for Told {
    async fn standing(&self) -> Result<Standing, Error> {
        self.0.clone().ok_or(Error::Stopped)
    }
}

fn three_runs() -> Standing {
    Standing {
        runs: [(RunStatus::Queued, 2), (RunStatus::Complete, 1)].into(),
        workers: 1,
    }
}

async fn ask(metrics: &Metrics, standing: Option<Standing>, role: Option<Role>) -> Response {
    let endpoint = endpoint(metrics.clone(), Arc::new(Told(standing)));
    let mut request = Request::builder().method(Method::GET).finish();
    if let Some(role) = role {
        request.extensions_mut().insert(Principal {
            name: "ann".into(),
            role,
            ended: CancellationToken::new(),
        });
    }
    endpoint.get_response(request).await
}

async fn text(metrics: &Metrics, standing: Option<Standing>) -> String {
    let response = ask(metrics, standing, Some(Role::Viewer)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let media_type = response.headers().get("content-type").cloned();
    assert_eq!(media_type, Some(HeaderValue::from_static(MEDIA_TYPE)));
    response.into_body().into_string().await.unwrap()
}

/// Returns the metrics in the order of their names, without what differs from one process to the next.
fn in_order(text: &str) -> String {
    let mut metrics: Vec<Vec<String>> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("# HELP") {
            metrics.push(vec![line.to_owned()]);
            continue;
        }
        let metric = metrics.last_mut().expect("a metric begins with its help");
        let (name, _) = line.split_once(' ').unwrap();
        metric.push(if name.starts_with("process_") || name.contains("_sum{") {
            format!("{name} [a number]")
        } else {
            line.to_owned()
        });
    }
    metrics.sort_unstable();
    metrics.iter_mut().fold(String::new(), |mut text, metric| {
        // The buckets of a histogram have an order of their own.
        if !metric[0].contains("duration") {
            metric[2..].sort_unstable();
        }
        writeln!(text, "{}", metric.join("\n")).unwrap();
        text
    })
}

#[tokio::test]
async fn the_exposition_is_the_known_one() {
    let metrics = Metrics::new();
    let usage = Usage {
        prompt_tokens: 100,
        cached_tokens: 60,
        completion_tokens: 7,
        ..Usage::default()
    };
    metrics.count_event(&RunResumed {}.into());
    metrics.count_event(
        &LlmFailed {
            call: 1,
            failure: factory_core::model::payload::LlmFailure::Cut,
            detail: "words of a model".to_owned(),
            usage,
        }
        .into(),
    );
    for type_name in ["SOMETHING_NEW", "SOMETHING_ELSE"] {
        metrics.count_event(&EventKind::Unknown(UnknownEvent {
            type_name: type_name.to_owned(),
            payload: None,
        }));
    }
    let _watching = metrics.live_client(LiveKind::Socket);
    drop(metrics.live_client(LiveKind::Stream));
    metrics.durations("GET", "/runs/{run_id}", 200).observe(0.004);
    let text = text(&metrics, Some(three_runs())).await;
    insta::assert_snapshot!(in_order(&text));
}

#[tokio::test]
async fn what_cannot_be_read_is_missing_and_the_rest_is_there() {
    let text = text(&Metrics::new(), None).await;
    assert!(
        !text.contains("factory_runs") && !text.contains("factory_queue_depth"),
        "{text}"
    );
    assert!(
        text.contains("\nfactory_events_total{type=\"RUN_STARTED\"} 0\n"),
        "{text}"
    );
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
}

#[tokio::test]
async fn nobody_is_shown_numbers_who_may_not_look() {
    let response = ask(&Metrics::new(), Some(three_runs()), None).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body = response.into_body().into_string().await.unwrap();
    assert!(!body.contains("factory_"), "{body}");
}
