//! Paths, queries and headers that no client would send. Each is refused with a problem that names what is wrong.

use serde_json::json;

use crate::bad_bodies::check;
use crate::http::{Answer, exchange};
use crate::place::Place;

fn ask(place: &Place, method: &str, path: &[u8], headers: &str) -> Answer {
    let head = place.head(method, "\u{1}");
    let (before, after) = head.split_once('\u{1}').unwrap();
    let bytes = [
        before.as_bytes(),
        path,
        after.as_bytes(),
        headers.as_bytes(),
        b"\r\n",
    ]
    .concat();
    exchange(place.address, &bytes)
}

#[test]
fn parameters_that_cannot_be_used_are_named() {
    let place = Place::serving();
    let long = format!("/runs?cursor={}", "x".repeat(10_000));
    for (path, status, pointer) in [
        ("/runs/18446744073709551616", 400, Some("path:run_id")),
        ("/runs/9223372036854775808", 400, Some("path:run_id")),
        ("/runs/9223372036854775807", 404, None),
        ("/runs/-1", 404, None),
        ("/runs/0", 404, None),
        ("/runs/1e3", 400, Some("path:run_id")),
        ("/runs/x", 400, Some("path:run_id")),
        ("/runs/%00", 400, Some("path:run_id")),
        ("/runs/%ff%fe", 400, Some("path:run_id")),
        ("/runs/%zz", 400, Some("path:run_id")),
        ("/runs/1%2fevents", 400, Some("path:run_id")),
        ("/runs/..%2f..", 400, Some("path:run_id")),
        ("/projects/x", 400, Some("path:project_id")),
        ("/blobs/zz", 400, Some("path:blob_id")),
        ("/nothing", 404, None),
        ("/%ff", 400, None),
        ("//runs", 404, None),
        ("/runs/1/events?after=-1", 400, Some("query:after")),
        (
            "/runs/1/events?after=18446744073709551616",
            400,
            Some("query:after"),
        ),
        ("/runs?limit=-1", 400, Some("query:limit")),
        ("/runs?limit=0", 400, Some("query:limit")),
        ("/runs?limit=501", 400, Some("query:limit")),
        ("/runs?limit=1e1", 400, Some("query:limit")),
        ("/runs?limit=", 400, Some("query:limit")),
        ("/runs?limit=%ff", 400, Some("query:limit")),
        ("/runs?status=queued", 400, Some("query:status")),
        ("/runs?project_id=x", 400, Some("query:project_id")),
        ("/runs?cursor=", 400, Some("query:cursor")),
        ("/runs?cursor=%ff%fe", 400, Some("query:cursor")),
        ("/runs?cursor=AAAA", 400, Some("query:cursor")),
        (&long, 400, Some("query:cursor")),
        ("/usage?from=yesterday", 400, Some("query:from")),
        ("/usage?by=hour", 400, Some("query:by")),
    ] {
        check(path, &ask(&place, "GET", path.as_bytes(), ""), status, pointer);
    }
}

#[test]
fn a_cursor_that_was_tampered_with_is_refused() {
    let place = Place::serving();
    for _ in 0..2 {
        place.post("/runs", &json!({"project_id": 1, "goal": "x"}));
    }
    let page = place.get("/runs?limit=1");
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(
        place.get(&format!("/runs?limit=1&cursor={cursor}"))["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let mut turned = cursor.to_owned().into_bytes();
    turned[0] = if turned[0] == b'A' { b'B' } else { b'A' };
    let turned = String::from_utf8(turned).unwrap();
    for tampered in [
        format!("/runs?cursor={turned}"),
        format!("/runs?cursor={cursor}A"),
        format!("/runs?cursor={}", &cursor[1..]),
        format!("/runs?status=QUEUED&cursor={cursor}"),
        format!("/projects?cursor={cursor}"),
    ] {
        check(
            &tampered,
            &ask(&place, "GET", tampered.as_bytes(), ""),
            400,
            Some("query:cursor"),
        );
    }
}

#[test]
fn headers_that_cannot_be_used_are_named() {
    let place = Place::serving();
    let body = "{\"project_id\":1,\"goal\":\"x\"}";
    let send = |headers: &str| {
        let json = "content-type: application/json\r\ncontent-length: 27\r\n";
        let request = format!("{}{json}{headers}\r\n{body}", place.head("POST", "/runs"));
        exchange(place.address, request.as_bytes())
    };
    let long = "x".repeat(256);
    for key in ["", "a b", "\u{fc}", &long, "a\r\nidempotency-key: b"] {
        let answer = send(&format!("idempotency-key: {key}\r\n"));
        check(key, &answer, 400, Some("header:Idempotency-Key"));
    }
    assert_eq!(place.get("/runs")["items"], json!([]));
    let first = send("idempotency-key: mine\r\n");
    let again = send("idempotency-key: mine\r\n");
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(
        (again.header("idempotency-replayed"), first.json()["id"].clone()),
        (Some("true"), again.json()["id"].clone())
    );
    assert_eq!(place.get("/runs")["items"].as_array().unwrap().len(), 1);
    let decision = place.send(
        "POST",
        "/approvals/1/decision",
        b"{\"verdict\":\"approve\",\"tree\":\"4b825dc642cb6eb9a060e54bf8d69288fbee4904\"}",
    );
    check("no `If-Match`", &decision, 428, Some("header:If-Match"));
}

#[test]
fn methods_that_a_path_does_not_take_are_refused_with_those_that_it_takes() {
    let place = Place::serving();
    for (method, path, allowed) in [
        ("DELETE", "/runs/1", "get"),
        ("GET", "/runs/bulk", "post"),
        ("PUT", "/projects/1", "delete, get, patch"),
        ("OPTIONS", "/runs", "get, post"),
    ] {
        let answer = ask(&place, method, path.as_bytes(), "");
        check(path, &answer, 405, None);
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[test]
fn what_is_no_http_is_refused_and_the_connection_closed() {
    let place = Place::serving();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET /runs\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"POST /runs HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
    ] {
        let answer = exchange(place.address, bytes);
        assert!((400..500).contains(&answer.status), "{bytes:?}: {}", answer.head);
    }
}
