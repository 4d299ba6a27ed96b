//! What is counted and told of requests.

use std::collections::BTreeMap;
use std::future::pending;

use factory_core::model::Role;
use poem::http::StatusCode;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::guard::Principal;
use crate::observe::logs::tests::Written;
use crate::observe::logs::{LogForm, lines};
use crate::problem::Problem;
use crate::request_id::Named;

fn routes() -> RouteTable {
    RouteTable::default()
        .with("/runs", ["GET", "POST"])
        .with("/runs/{run_id}", ["GET"])
        .with("/slow", ["GET"])
}

/// Answers by the path's last part: a status, or never. Knows who asks, as the guard does.
async fn stand_in(request: Request) -> poem::Result<Response> {
    let principal = Principal {
        name: "ann".into(),
        role: Role::Viewer,
        ended: CancellationToken::new(),
    };
    if let Some(asker) = request.extensions().get::<Asker>() {
        asker.is(&principal);
    }
    let path = request.uri().path();
    if path == "/slow" {
        pending::<()>().await;
    }
    let status = path
        .rsplit('/')
        .next()
        .and_then(|last| last.parse::<StatusCode>().ok());
    let status = status.unwrap_or(StatusCode::OK);
    if status.is_server_error() {
        let problem = Problem::new(status, "internal", "what the client hears");
        return Ok(problem.because("what\nis hidden").response(None));
    }
    Ok(status.into())
}

fn port(metrics: &Metrics) -> impl Endpoint<Output = Response> + use<> {
    let requests = Arc::new(Requests::new(routes(), metrics.clone()));
    Named(Observed::new(poem::endpoint::make(stand_in), requests))
}

fn request(method: &str, path: &str) -> Request {
    Request::builder()
        .method(method.parse().unwrap())
        .uri(path.parse().unwrap())
        .header("authorization", "Bearer aidf_secret")
        .header("cookie", "s=secret")
        .body("a secret body")
}

/// Returns how many requests were counted, by their labels.
fn counted(metrics: &Metrics) -> BTreeMap<String, u64> {
    let text = metrics.render();
    let prefix = "http_server_request_duration_seconds_count";
    text.lines()
        .filter_map(|line| line.strip_prefix(prefix)?.rsplit_once(' '))
        .map(|(labels, count)| (labels.to_owned(), count.parse().unwrap()))
        .collect()
}

fn labels(method: &str, route: &str, status: u16) -> String {
    format!(
        "{{http_request_method=\"{method}\",http_response_status_code=\"{status}\",http_route=\"{route}\"}}"
    )
}

fn active(metrics: &Metrics) -> String {
    let text = metrics.render();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("http_server_active_requests "));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn requests_are_counted_by_method_pattern_and_status() {
    let metrics = Metrics::new();
    let port = port(&metrics);
    for (method, path) in [
        ("GET", "/runs"),
        ("GET", "/runs/200?token=secret"),
        ("GET", "/runs/404"),
        ("GET", "/runs/404"),
        ("GET", "/runs/503"),
        ("DELETE", "/runs/409"),
    ] {
        port.get_response(request(method, path)).await;
    }
    assert_eq!(
        counted(&metrics),
        BTreeMap::from([
            (labels("GET", "/runs", 200), 1),
            (labels("GET", "/runs/{run_id}", 200), 1),
            (labels("GET", "/runs/{run_id}", 404), 2),
            (labels("GET", "/runs/{run_id}", 503), 1),
            (labels("DELETE", "/runs/{run_id}", 409), 1),
        ])
    );
    assert_eq!(active(&metrics), "0");
}

#[tokio::test]
async fn a_client_cannot_make_up_labels() {
    let metrics = Metrics::new();
    let port = port(&metrics);
    for number in 0..100 {
        port.get_response(request("GET", &format!("/nowhere/{number}/404")))
            .await;
        port.get_response(request(&format!("METHOD{number}"), "/runs"))
            .await;
        port.get_response(request("GET", &format!("/runs/x{number}")))
            .await;
    }
    assert_eq!(
        counted(&metrics),
        BTreeMap::from([
            (labels("GET", "other", 404), 100),
            (labels("OTHER", "/runs", 200), 100),
            (labels("GET", "/runs/{run_id}", 200), 100),
        ])
    );
}

#[tokio::test]
async fn a_request_whose_client_leaves_is_under_way_until_then() {
    let metrics = Metrics::new();
    let port = port(&metrics);
    let mut call = Box::pin(port.call(request("GET", "/slow")));
    assert!(futures_util::poll!(&mut call).is_pending());
    assert_eq!(active(&metrics), "1");
    drop(call);
    assert_eq!(active(&metrics), "0");
    assert_eq!(
        counted(&metrics),
        BTreeMap::from([(labels("GET", "/slow", 499), 1)])
    );
}

/// Answers requests and returns what the log says of them.
async fn told(level: &str, requests: Vec<Request>) -> String {
    let written = Written::default();
    let filter = tracing_subscriber::EnvFilter::new(level);
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(lines(LogForm::Json, written.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);
    let port = port(&Metrics::new());
    for request in requests {
        port.get_response(request).await;
    }
    written.text()
}

#[tokio::test]
async fn failures_are_told_and_answers_where_they_are_wanted() {
    let both = || vec![request("POST", "/runs?token=secret"), request("GET", "/runs/500")];
    let quiet = told("info", both()).await;
    let all = told("debug", both()).await;
    let failed: serde_json::Value = serde_json::from_str(quiet.trim()).unwrap();
    let fields = &failed["fields"];
    assert_eq!(failed["level"], "ERROR");
    assert_eq!(fields["method"], "GET");
    assert_eq!(fields["route"], "/runs/{run_id}");
    assert_eq!(fields["status"], 500);
    assert_eq!(fields["principal"], "ann");
    assert_eq!(fields["code"], "internal");
    assert_eq!(fields["cause"], "what\nis hidden");
    assert_eq!(fields["request_id"].as_str().unwrap().len(), 16);
    assert!(fields["ms"].is_f64(), "{fields}");
    assert_eq!(all.lines().count(), 2, "{all}");
    assert!(all.contains("/runs") && !all.contains("secret"), "{all}");
}
