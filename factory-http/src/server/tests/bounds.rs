//! Bounds of bodies, time, connections and guesses; TLS and ports.

use super::*;

#[tokio::test]
async fn a_socket_ends_when_its_token_is_revoked() {
    let place = Place::new(|_| {}).await;
    let mut kept = place.open_socket(&place.admin).await;
    let mut open = place.open_socket(&place.viewer).await;
    echo(&mut open).await;
    let credentials = place.factory.credentials().await.unwrap();
    credentials.revoke("looker").await.unwrap();
    rest(&mut open).await;
    echo(&mut kept).await;
    place.end().await;
}

#[tokio::test]
async fn guesses_are_slowed_down_and_lock_nobody_out() {
    let place = Place::new(|serving| serving.failures.burst = NonZeroU32::new(3).unwrap()).await;
    let wrong = format!(
        "GET /things HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer wrong\r\nConnection: close\r\n\r\n",
        place.api
    );
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let answer = send(place.api, &wrong).await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").is_some());
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..3], [401, 401, 401]);
    assert!(statuses.contains(&429), "{statuses:?}");
    let good = place.request("GET /things", "Connection: close\r\n\r\n");
    assert_eq!(send(place.api, &good).await.status, 200);
    place.end().await;
}

#[tokio::test]
async fn whoever_may_not_ask_is_answered_before_the_body_comes() {
    let place = Place::new(|_| {}).await;
    let mut stream = TcpStream::connect(place.api).await.unwrap();
    let text = format!(
        "POST /things HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
        place.api
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(read_head(&mut stream).await.status, 401);
    place.end().await;
}

#[tokio::test]
async fn bodies_are_bounded_however_they_come() {
    fn small(_: &Method, path: &str) -> RouteLimits {
        let body = if path == "/things" { 1000 } else { 10 };
        RouteLimits {
            body,
            body_within: Duration::from_millis(300),
            ..RouteLimits::default()
        }
    }
    let place = Place::new(|serving| serving.limits = small).await;
    let json = "Content-Type: application/json\r\n";
    let whole = |size: usize| {
        let more = format!(
            "{json}Content-Length: {size}\r\nConnection: close\r\n\r\n{}",
            "x".repeat(size)
        );
        place.request("POST /things", &more)
    };
    assert_eq!(send(place.api, &whole(1000)).await.status, 200);
    assert_eq!(send(place.api, &whole(1001)).await.status, 413);

    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    let chunked = |count: usize| {
        let more = format!(
            "{json}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(count)
        );
        place.request("POST /things", &more)
    };
    assert_eq!(send(place.api, &chunked(10)).await.status, 200);
    assert_eq!(send(place.api, &chunked(11)).await.status, 413);
    // One that never ends is cut off, too.
    let mut stream = TcpStream::connect(place.api).await.unwrap();
    let more = format!("{json}Transfer-Encoding: chunked\r\n\r\n");
    stream
        .write_all(place.request("POST /things", &more).as_bytes())
        .await
        .unwrap();
    while stream.write_all(chunk.as_bytes()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // One that drips is given up.
    let mut stream = TcpStream::connect(place.api).await.unwrap();
    let more = format!("{json}Content-Length: 1000\r\n\r\nx");
    stream
        .write_all(place.request("POST /things", &more).as_bytes())
        .await
        .unwrap();
    let answer = read_head(&mut stream).await;
    assert_eq!(answer.status, 408);
    assert_eq!(answer.header("connection"), Some("close"));
    place.end().await;
}

#[tokio::test]
async fn a_route_that_never_answers_is_given_up() {
    fn short(_: &Method, _: &str) -> RouteLimits {
        RouteLimits {
            answer_within: Duration::from_millis(50),
            ..RouteLimits::default()
        }
    }
    let place = Place::new(|serving| serving.limits = short).await;
    let answer = send(
        place.api,
        &place.request("GET /never", "Connection: close\r\n\r\n"),
    )
    .await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains("whether it was done is unknown"),
        "{}",
        answer.body
    );
    place.end().await;
}

#[tokio::test]
async fn heads_that_drip_or_never_end_are_cut_off() {
    let place = Place::new(|serving| serving.connections.head = Duration::from_millis(300)).await;
    // Nothing at all.
    let mut silent = TcpStream::connect(place.api).await.unwrap();
    // A header a byte at a time, for ever.
    let mut dripping = TcpStream::connect(place.api).await.unwrap();
    let request = place.request("GET /things", "");
    dripping.write_all(request.as_bytes()).await.unwrap();
    while dripping.write_all(b"X-A: b\r\n").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rest(&mut dripping).await;
    rest(&mut silent).await;
    // After an answer, the same holds for the next request.
    let mut kept = TcpStream::connect(place.api).await.unwrap();
    kept.write_all((request.clone() + "\r\n").as_bytes())
        .await
        .unwrap();
    kept.write_all(b"GET /thi").await.unwrap();
    let answered = rest(&mut kept).await;
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    assert_eq!(answered.matches("HTTP/1.1").count(), 1, "{answered}");
    // One without an end is refused by its size.
    let mut endless = TcpStream::connect(place.api).await.unwrap();
    endless
        .write_all((request + "X-Long: ").as_bytes())
        .await
        .unwrap();
    while endless.write_all(&[b'x'; 4096]).await.is_ok() {
        tokio::task::yield_now().await;
    }
    place.end().await;
}

#[tokio::test]
async fn a_connection_keeps_its_seat_as_a_socket() {
    let place = Place::new(|serving| serving.connections.most = 1).await;
    let mut socket = place.open_socket(&place.admin).await;
    let text = place.request("GET /things", "Connection: close\r\n\r\n");
    let address = place.api;
    let waiting = tokio::spawn(async move { send(address, &text).await.status });
    // The other request is given time to be answered, which it must not be.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        echo(&mut socket).await;
    }
    assert!(!waiting.is_finished(), "the only seat is taken");
    drop(socket);
    assert_eq!(waiting.await.unwrap(), 200);
    place.end().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let free = ([127, 0, 0, 1], 0).into();
    for (listen, console, flag) in [(address, free, "--listen"), (free, address, "--console")] {
        let listening = Listening {
            listen,
            console,
            ..Listening::default()
        };
        let failure = Listeners::bind(&listening).await.unwrap_err();
        assert_eq!(
            failure.message,
            format!(
                "port {} is taken: another program listens at `{address}`",
                address.port()
            )
        );
        assert!(failure.remedy.unwrap().contains(flag));
    }
}

#[tokio::test]
async fn tls_is_spoken_where_a_certificate_is_set() {
    use std::os::unix::fs::PermissionsExt as _;
    let certificate = include_bytes!("../../../tests/fixtures/localhost.cert.pem");
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(
        &files.key,
        include_bytes!("../../../tests/fixtures/localhost.key.pem"),
    )
    .unwrap();
    let listening = Listening {
        listen: ([127, 0, 0, 1], 0).into(),
        console: ([127, 0, 0, 1], 0).into(),
        tls: Some(files.clone()),
        ..Listening::default()
    };
    let set_mode =
        |mode| std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o644);
    let failure = Listeners::bind(&listening).await.unwrap_err();
    assert!(
        failure.message.contains("can be read or changed by others"),
        "{failure:?}"
    );
    set_mode(0o600);
    let place = Place::listening(&listening, |serving| {
        serving.connections.head = Duration::from_millis(500);
    })
    .await;
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(certificate).unwrap()])
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/things", place.api.port());
    let answer = client.get(&url).bearer_auth(&place.admin).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    let plain = client
        .get(&url)
        .bearer_auth(&place.admin)
        .header("Origin", format!("http://localhost:{}", place.api.port()))
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status().as_u16(), 403, "the plain origin is another one");
    // Whoever does not speak TLS, or nothing, is cut off.
    let mut silent = TcpStream::connect(place.api).await.unwrap();
    rest(&mut silent).await;
    place.end().await;
}
