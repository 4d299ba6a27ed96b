//! Bodies: JSON alone, counted while they come, within a deadline. What a form of another site can send is neither
//! parsed nor read.

use futures_util::StreamExt as _;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Body, Request};
use tokio::time::timeout;

use super::limits::RouteLimits;
use crate::problem::Problem;

/// Reads the body whole and puts it back, so that what comes after waits for nobody.
pub(super) async fn take(request: &mut Request, limits: &RouteLimits) -> Result<(), Problem> {
    let body = request.take_body();
    let types = request.headers().get_all(header::CONTENT_TYPE);
    if types.iter().next().is_some() || !body.is_empty() {
        check_type(request.headers())?;
    }
    if body.is_empty() {
        return Ok(());
    }
    if announced(request.headers()).is_some_and(|length| length > limits.body as u64) {
        return Err(too_large(limits));
    }
    let bytes = timeout(limits.body_within, read(body, limits))
        .await
        .unwrap_or_else(|_| Err(too_slow(limits)))?;
    request.set_body(bytes);
    Ok(())
}

async fn read(body: Body, limits: &RouteLimits) -> Result<Vec<u8>, Problem> {
    let mut pieces = body.into_bytes_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "broken_body",
                format!("the body broke off: {error}"),
            )
        })?;
        if piece.len() > limits.body - bytes.len() {
            return Err(too_large(limits));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Refuses everything but `application/json`, with or without `charset=utf-8`.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let is_json = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().is_ok_and(is_json),
        _ => false,
    };
    if is_json {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the body has to be JSON; send it with `Content-Type: application/json`",
    ))
}

fn is_json(text: &str) -> bool {
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            name.trim().eq_ignore_ascii_case("charset")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limits: &RouteLimits) -> Problem {
    let detail = format!(
        "the body has more than {} bytes, which is the most that this route takes; send less at a time",
        limits.body
    );
    closing(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail))
}

fn too_slow(limits: &RouteLimits) -> Problem {
    let detail = format!(
        "the body did not come within {} seconds; send it again",
        limits.body_within.as_secs()
    );
    closing(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail))
}

/// What is left of the body is not waited for.
fn closing(problem: Problem) -> Problem {
    problem.with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::stream;

    use super::*;

    #[test]
    fn json_is_known_by_its_type() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "text/plain; application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-7",
            "application/json; charset=utf-16",
            "application/jsonp",
            "application/json, text/plain",
            "application/merge-patch+json",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    fn limits() -> RouteLimits {
        RouteLimits {
            body: 10,
            body_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(1),
        }
    }

    fn streamed(pieces: &'static [&'static str]) -> Request {
        let pieces = pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece));
        Request::builder()
            .content_type("application/json")
            .body(Body::from_bytes_stream(stream::iter(pieces)))
    }

    async fn status(mut request: Request) -> StatusCode {
        let taken = take(&mut request, &limits()).await;
        taken.map_or_else(|problem| problem.status(), |()| StatusCode::OK)
    }

    #[tokio::test]
    async fn a_body_is_counted_as_it_comes() {
        assert_eq!(status(streamed(&["12345", "67890"])).await, StatusCode::OK);
        assert_eq!(
            status(streamed(&["12345", "67890", "1"])).await,
            StatusCode::PAYLOAD_TOO_LARGE
        );
        let mut request = streamed(&["12345", "", "67890"]);
        take(&mut request, &limits()).await.unwrap();
        assert_eq!(request.take_body().into_string().await.unwrap(), "1234567890");
    }

    #[tokio::test]
    async fn one_that_is_announced_as_too_large_is_not_read() {
        let endless = Body::from_bytes_stream(stream::pending::<Result<&str, std::io::Error>>());
        let request = Request::builder()
            .content_type("application/json")
            .header("content-length", 11)
            .body(endless);
        assert_eq!(status(request).await, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_drips_is_given_up() {
        let drips = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        let request = Request::builder()
            .content_type("application/json")
            .body(Body::from_bytes_stream(drips));
        assert_eq!(status(request).await, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn no_body_needs_no_type_and_no_type_is_no_body() {
        assert_eq!(status(Request::builder().finish()).await, StatusCode::OK);
        let typed = Request::builder().content_type("text/plain").finish();
        assert_eq!(status(typed).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let untyped = Request::builder().body("{}");
        assert_eq!(status(untyped).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
