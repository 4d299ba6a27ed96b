//! Bodies that no client would send: too deep, too wide, double, too large a number, no text, none at all. Each is
//! refused with a problem that names what is wrong, and none makes a run.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::http::{Answer, exchange};
use crate::place::Place;

/// What is sent, and where it stands that is wrong; none where it is no part of a body.
struct Case {
    what: &'static str,
    body: Vec<u8>,
    status: u16,
    pointer: Option<&'static str>,
}

/// Asserts that something was refused as a problem, at this place of the request.
#[track_caller]
pub(crate) fn check(what: &str, answer: &Answer, status: u16, pointer: Option<&str>) {
    let said = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{what}: {said}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{what}"
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{what}: {said}");
    for text in ["code", "detail", "type", "title", "request_id"] {
        assert!(
            problem[text].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {said}"
        );
    }
    assert!(said.len() < 20_000, "{what}: an answer of {} bytes", said.len());
    let errors = problem["errors"].as_array().into_iter().flatten();
    let pointers: Vec<&Value> = errors.map(|error| &error["pointer"]).collect();
    match pointer {
        Some(pointer) => assert!(pointers.contains(&&Value::from(pointer)), "{what}: {said}"),
        None => assert!(pointers.is_empty(), "{what}: {said}"),
    }
}

/// A goal with something before, between and after.
fn goal(text: &str) -> Vec<u8> {
    format!("{{\"project_id\":1,\"goal\":{text}}}").into_bytes()
}

fn with(more: &str) -> Vec<u8> {
    format!("{{\"project_id\":1,\"goal\":\"x\",{more}}}").into_bytes()
}

fn cases() -> Vec<Case> {
    let keys: Vec<String> = (0..1_000_000).map(|key| format!("\"{key:x}\":1")).collect();
    let some_keys: Vec<String> = (0..80_000).map(|key| format!("\"{key:x}\":1")).collect();
    let case = |what, body, status, pointer| Case {
        what,
        body,
        status,
        pointer,
    };
    vec![
        case("nothing", vec![], 400, None),
        case("white space", b" \n ".to_vec(), 400, None),
        case("no JSON", b"goal=x".to_vec(), 400, None),
        case(
            "half of it",
            b"{\"project_id\":1,\"goal\":\"x".to_vec(),
            400,
            None,
        ),
        case(
            "two of them",
            b"{\"project_id\":1,\"goal\":\"x\"}{}".to_vec(),
            400,
            None,
        ),
        case("a list", b"[]".to_vec(), 422, Some("")),
        case("null", b"null".to_vec(), 422, Some("")),
        case("lists in lists", "[".repeat(100_000).into_bytes(), 400, None),
        case(
            "objects in objects",
            "{\"a\":".repeat(100_000).into_bytes(),
            400,
            None,
        ),
        case("lists in a known field", goal(&"[".repeat(100_000)), 400, None),
        case(
            "lists that end",
            goal(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
            400,
            None,
        ),
        case(
            "a million keys",
            format!("{{{}}}", keys.join(",")).into_bytes(),
            413,
            None,
        ),
        case(
            "many keys",
            format!("{{{}}}", some_keys.join(",")).into_bytes(),
            422,
            Some("/goal"),
        ),
        case(
            "a key twice",
            b"{\"project_id\":1,\"goal\":\"x\",\"goal\":\"y\"}".to_vec(),
            422,
            Some(""),
        ),
        case("an unknown key", with("\"goals\":1"), 422, Some("/goals")),
        case(
            "a goal that is missing",
            b"{\"project_id\":1}".to_vec(),
            422,
            Some("/goal"),
        ),
        case("a goal of nothing", goal("\"\""), 422, Some("/goal")),
        case(
            "a goal of white space",
            goal("\" \\n\\u00a0 \""),
            422,
            Some("/goal"),
        ),
        case("a goal with a NUL", goal("\"a\\u0000b\""), 422, Some("/goal")),
        case(
            "a long goal",
            goal(&format!("{:?}", "x".repeat(65_537))),
            422,
            Some("/goal"),
        ),
        case("half a character", goal("\"\\ud800\""), 400, None),
        case(
            "bytes that are no text",
            [b"{\"project_id\":1,\"goal\":\"\xff\xfe\"}".as_slice()].concat(),
            400,
            None,
        ),
        case("a control character", goal("\"a\nb\""), 400, None),
        case("an endless number", with("\"priority\":1e999"), 400, None),
        case(
            "a number with a part",
            with("\"priority\":1.5"),
            422,
            Some("/priority"),
        ),
        case("a number that is none", with("\"priority\":NaN"), 400, None),
        case(
            "a number too large",
            with("\"priority\":18446744073709551616"),
            422,
            Some("/priority"),
        ),
        case("a number too small", with("\"seed\":-1"), 422, Some("/seed")),
        case(
            "a project too large",
            b"{\"project_id\":18446744073709551616,\"goal\":\"x\"}".to_vec(),
            422,
            Some("/project_id"),
        ),
        case(
            "a project of text",
            b"{\"project_id\":\"1\",\"goal\":\"x\"}".to_vec(),
            422,
            Some("/project_id"),
        ),
        case(
            "an unknown word",
            with("\"approval\":\"never\""),
            422,
            Some("/approval"),
        ),
        case("too hot", with("\"temperature\":2.1"), 422, Some("/temperature")),
        case(
            "no bound",
            with("\"budget\":{\"calls\":-1}"),
            422,
            Some("/budget/calls"),
        ),
        case(
            "no commands",
            with("\"checks\":[\"a\",1]"),
            422,
            Some("/checks/1"),
        ),
        case(
            "a command of white space",
            with("\"checks\":[\"true\",\" \\n\"]"),
            422,
            Some("/checks/1"),
        ),
        case(
            "a command with a NUL",
            with("\"checks\":[\"a\\u0000b\"]"),
            422,
            Some("/checks/0"),
        ),
        case(
            "a command that no shell takes",
            with(&format!("\"checks\":[{:?}]", "x".repeat(25_001))),
            422,
            Some("/checks/0"),
        ),
    ]
}

#[test]
fn bodies_that_no_client_would_send_are_refused() {
    let place = Place::serving();
    for case in cases() {
        let answer = place.send("POST", "/runs", &case.body);
        check(case.what, &answer, case.status, case.pointer);
    }
    assert_eq!(place.get("/runs")["items"], Value::Array(vec![]));
}

#[test]
fn a_body_of_several_goals_says_which_is_wrong() {
    static BODY: LazyLock<String> = LazyLock::new(|| {
        let goals = ["{\"project_id\":1,\"goal\":\"x\"}"; 3].join(",");
        format!(
            "{{\"runs\":[{goals},{{\"project_id\":1,\"goal\":\"\"}},{{\"project_id\":1,\"goal\":\"x\",\"model\":\"\"}}]}}"
        )
    });
    let place = Place::serving();
    let answer = place.send("POST", "/runs/bulk", BODY.as_bytes());
    check("a goal of nothing", &answer, 422, Some("/runs/3/goal"));
    check("a model of nothing", &answer, 422, Some("/runs/4/model"));
    let unknown = "{\"runs\":[{\"project_id\":1,\"goal\":\"x\"},{\"project_id\":7,\"goal\":\"x\"}]}";
    check(
        "an unknown project",
        &place.send("POST", "/runs/bulk", unknown.as_bytes()),
        404,
        Some("/runs/1"),
    );
    assert_eq!(place.get("/runs")["items"], Value::Array(vec![]));
}

#[test]
fn a_body_is_json_by_its_type_and_comes_whole() {
    let place = Place::serving();
    let body = "{\"project_id\":1,\"goal\":\"x\"}";
    let send = &|headers: &str, body: &str| {
        let request = format!("{}{headers}\r\n{body}", place.head("POST", "/runs"));
        exchange(place.address, request.as_bytes())
    };
    let length = format!("content-length: {}\r\n", body.len());
    for (what, kind) in [
        ("no type", ""),
        ("a form", "content-type: application/x-www-form-urlencoded\r\n"),
        ("plain text", "content-type: text/plain\r\n"),
        (
            "another charset",
            "content-type: application/json; charset=utf-16\r\n",
        ),
        ("a type that is no text", "content-type: \u{fc}\r\n"),
        (
            "two types",
            "content-type: application/json\r\ncontent-type: text/plain\r\n",
        ),
    ] {
        check(what, &send(&format!("{kind}{length}"), body), 415, None);
    }
    let json = "content-type: application/json\r\n";
    check("no body", &send(json, ""), 400, None);
    check(
        "an empty body",
        &send(&format!("{json}content-length: 0\r\n"), ""),
        400,
        None,
    );
    check(
        "more than is taken",
        &send(&format!("{json}content-length: 99999999999\r\n"), body),
        413,
        None,
    );
    // These wait as long as the server does, which is half a minute.
    std::thread::scope(|scope| {
        let half = &body[..10];
        scope.spawn(|| {
            check(
                "half of what was announced",
                &send(&format!("{json}{length}"), half),
                408,
                None,
            )
        });
        let pieces = format!("{json}transfer-encoding: chunked\r\n");
        let piece = "5\r\n{\"pro\r\n";
        scope.spawn(move || check("pieces that never end", &send(&pieces, piece), 408, None));
    });
    assert_eq!(place.get("/runs")["items"], Value::Array(vec![]));
    let good = send(&format!("{json}{length}"), body);
    assert_eq!(good.status, 201, "{}", String::from_utf8_lossy(&good.body));
}

#[test]
fn a_name_that_is_taken_is_no_bad_body() {
    let place = Place::serving();
    let token = json!({"name": "ci", "role": "viewer"});
    place.post("/tokens", &token);
    let project =
        json!({"local_path": place.repository("other"), "name": "sample", "setup": [], "checks": []});
    for (path, body) in [("/tokens", token), ("/projects", project)] {
        let answer = place.send("POST", path, body.to_string().as_bytes());
        check(path, &answer, 409, None);
        assert_eq!(answer.json()["code"], "already_exists", "{path}");
    }
}

#[test]
fn a_project_takes_no_commands_that_no_shell_takes() {
    let place = Place::serving();
    let repository = place.repository("other");
    for (what, command) in [
        ("white space", " ".to_owned()),
        ("a NUL", "a\0b".to_owned()),
        ("a book", "x".repeat(25_001)),
    ] {
        let wrong = json!([command]);
        let new = json!({"local_path": repository, "setup": [], "checks": wrong, "try_now": true});
        check(
            what,
            &place.send("POST", "/projects", new.to_string().as_bytes()),
            422,
            Some("/checks/0"),
        );
        let change = json!({"setup": wrong});
        check(
            what,
            &place.send("PATCH", "/projects/1", change.to_string().as_bytes()),
            422,
            Some("/setup/0"),
        );
    }
    assert_eq!(place.get("/projects")["items"].as_array().unwrap().len(), 1);
}
