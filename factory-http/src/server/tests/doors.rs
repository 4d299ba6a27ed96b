//! Who is let in at which port, and how browsers are kept in check.

use super::*;

#[tokio::test]
async fn the_apis_port_lets_in_whom_it_should() {
    let place = Place::new(|_| {}).await;
    table::check(&place.api_door(), &rows()).await;
    place.end().await;
}

#[tokio::test]
async fn the_browsers_port_lets_in_whom_it_should() {
    let place = Place::new(|_| {}).await;
    let (cookie, page) = place.log_in().await;
    let (_, other_page) = place.log_in().await;
    let name = place.cookie_name();
    let cookie_is = |secret: &str| format!("{name}={secret}");
    let door = Door {
        address: place.console,
        prefix: "/api",
        admin: headers_of(&[("Cookie", &cookie_is(&cookie)), ("X-Factory-Page", &page)]),
        lesser: vec![],
        wrong: vec![
            ("the cookie alone", headers_of(&[("Cookie", &cookie_is(&cookie))])),
            (
                "the page's secret alone",
                headers_of(&[("X-Factory-Page", &page)]),
            ),
            (
                "another page's secret",
                headers_of(&[("Cookie", &cookie_is(&cookie)), ("X-Factory-Page", &other_page)]),
            ),
            (
                "a page's secret one bit off",
                headers_of(&[
                    ("Cookie", &cookie_is(&cookie)),
                    ("X-Factory-Page", &one_bit_off(&page)),
                ]),
            ),
            (
                "a cookie one bit off",
                headers_of(&[
                    ("Cookie", &cookie_is(&one_bit_off(&cookie))),
                    ("X-Factory-Page", &page),
                ]),
            ),
            (
                "the cookie for the page's secret",
                headers_of(&[("Cookie", &cookie_is(&cookie)), ("X-Factory-Page", &cookie)]),
            ),
            (
                "another port's cookie",
                headers_of(&[
                    ("Cookie", &format!("factory_session_1={cookie}")),
                    ("X-Factory-Page", &page),
                ]),
            ),
            (
                "a bearer token",
                headers_of(&[("Authorization", &format!("Bearer {}", place.admin))]),
            ),
        ],
        needs_origin: true,
    };
    table::check(&door, &rows()).await;
    // Another port may set a cookie of the same name; the right one is found all the same.
    let tossed = Door {
        admin: headers_of(&[
            (
                "Cookie",
                &format!("{name}=tossed; {}; {name}=more", cookie_is(&cookie)),
            ),
            ("X-Factory-Page", &page),
        ]),
        ..door
    };
    table::check(&tossed, &rows()[..1]).await;
    place.end().await;
}

#[tokio::test]
async fn a_page_opens_a_socket_with_its_secret_as_a_protocol() {
    let place = Place::new(|_| {}).await;
    let (cookie, page) = place.log_in().await;
    let open = async |protocols: &str| {
        let text = format!(
            "GET /api/things/1/events/ws HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nCookie: {1}={cookie}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocols}\r\n\r\n",
            place.console,
            place.cookie_name(),
        );
        let mut stream = TcpStream::connect(place.console).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        read_head(&mut stream).await
    };
    let opened = open(&format!("factory.v1, factory.page.{page}")).await;
    assert_eq!(opened.status, 101);
    assert_eq!(opened.header("sec-websocket-protocol"), Some("factory.v1"));
    assert_eq!(open("factory.v1").await.status, 401);
    let off = one_bit_off(&page);
    assert_eq!(open(&format!("factory.v1, factory.page.{off}")).await.status, 401);
    place.end().await;
}

#[tokio::test]
async fn little_is_open_to_everybody() {
    let place = Place::new(|_| {}).await;
    let get = async |address, path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        send(address, &text).await.status
    };
    for (path, expected) in [
        ("/health/live", 200),
        ("/health/live/", 401),
        ("//health/live", 401),
        ("/health/ready", 401),
        ("/health/live/../things", 401),
        ("/health/%6cive", 401),
        ("/", 401),
        ("/login", 401),
        ("/docs", 401),
    ] {
        assert_eq!(get(place.api, path).await, expected, "{path}");
    }
    for (path, expected) in [
        ("/", 200),
        ("/login", 200),
        ("/login/login.js", 200),
        ("/login/login.css", 200),
        ("/api/health/live", 200),
        ("/api/things", 401),
        ("/api/session", 401),
        ("/api", 401),
        ("/api/", 401),
        ("/things", 404),
        ("//api/things", 404),
        ("/%61pi/things", 404),
        ("/login/../api/things", 404),
        ("/health/live", 404),
    ] {
        assert_eq!(get(place.console, path).await, expected, "{path}");
    }
    for method in ["TRACE", "CONNECT", "PROPFIND"] {
        let text = format!(
            "{method} /things HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            place.api
        );
        let answer = send(place.api, &text).await;
        assert!([400, 405].contains(&answer.status), "{method}: {answer:?}");
    }
    place.end().await;
}

#[tokio::test]
async fn a_login_code_opens_one_session_which_ends_by_logging_out() {
    let place = Place::new(|_| {}).await;
    let code = place.login_code().await;
    let answer = place.redeem(&code).await;
    assert_eq!(answer.status, 201);
    let set = answer.header("set-cookie").unwrap().to_owned();
    assert!(set.starts_with(&place.cookie_name()), "{set}");
    assert!(
        set.ends_with("; Path=/api; HttpOnly; SameSite=Strict; Max-Age=2592000"),
        "{set}"
    );
    let cookie = set.split(';').next().unwrap();
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&body["name"], &body["role"]), (&"ann".into(), &"admin".into()));
    let page = body["page"].as_str().unwrap();

    let again = place.redeem(&code).await;
    assert_eq!(again.status, 401);
    assert!(again.body.contains("was used already"), "{}", again.body);
    assert!(again.header("set-cookie").is_none());
    assert_eq!(place.redeem("nothing").await.status, 401);

    let ask = async |method: &str| {
        let text = format!(
            "{method} /api/session HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nCookie: {cookie}\r\n\
             X-Factory-Page: {page}\r\nConnection: close\r\n\r\n",
            place.console
        );
        send(place.console, &text).await
    };
    let who = ask("GET").await;
    assert_eq!(who.status, 200);
    let who: serde_json::Value = serde_json::from_str(&who.body).unwrap();
    assert_eq!(who["name"], "ann");
    assert!(who.get("page").is_none(), "the page's secret is told once");
    let out = ask("DELETE").await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(ask("GET").await.status, 401);
    place.end().await;
}

#[tokio::test]
async fn a_session_is_opened_by_the_servers_own_page_alone() {
    let place = Place::new(|_| {}).await;
    let code = place.login_code().await;
    let body = format!(r#"{{"code": "{code}"}}"#);
    let own = format!("Origin: http://{}\r\n", place.console);
    let json = "Content-Type: application/json\r\n";
    for (more, expected) in [
        (json.to_owned(), 403),
        (format!("Origin: http://127.0.0.1:1\r\n{json}"), 403),
        (format!("Origin: null\r\n{json}"), 403),
        (format!("{own}Sec-Fetch-Site: same-site\r\n{json}"), 403),
        (format!("{own}Content-Type: text/plain\r\n"), 415),
        (format!("{own}{json}"), 201),
    ] {
        let text = format!(
            "POST /api/session HTTP/1.1\r\nHost: {}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            place.console,
            body.len()
        );
        assert_eq!(send(place.console, &text).await.status, expected, "{more}");
    }
    place.end().await;
}

#[tokio::test]
async fn every_answer_keeps_browsers_in_check() {
    let place = Place::new(|_| {}).await;
    let page = format!(
        "GET /login HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        place.console
    );
    let good = place.request("GET /things", "Connection: close\r\n\r\n");
    let refused = format!(
        "GET /things HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        place.api
    );
    let misdirected = "GET /things HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned();
    let missing = place.request("GET /nowhere", "Connection: close\r\n\r\n");
    for (address, text) in [
        (place.console, page),
        (place.api, good),
        (place.api, refused),
        (place.api, misdirected),
        (place.api, missing),
    ] {
        let answer = send(address, &text).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name} of {text}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(
            !answer.head.to_lowercase().contains("access-control-"),
            "{}",
            answer.head
        );
    }
    place.end().await;
}

#[tokio::test]
async fn no_handler_sees_a_secret() {
    let place = Place::new(|_| {}).await;
    let answer = send(
        place.api,
        &place.request("GET /headers", "Cookie: a=b\r\nConnection: close\r\n\r\n"),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("host"), "{}", answer.body);
    for hidden in ["authorization", "cookie", place.admin.as_str()] {
        assert!(!answer.body.contains(hidden), "{}", answer.body);
    }
    place.end().await;
}
