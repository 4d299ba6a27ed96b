//! In a real browser: the pages work, and a page on another port of the same machine gets nothing, though the browser
//! hands it the session's cookie.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::AsyncBufReadExt as _;

use super::chromium::Browser;
use super::*;

/// A server on another port, whose page tries what it can, and which keeps the cookies that it is sent.
struct Neighbour {
    address: SocketAddr,
    caught: Arc<Mutex<Vec<String>>>,
}

impl Neighbour {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let caught = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&caught);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (reader, mut writer) = stream.split();
                let mut lines = tokio::io::BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.is_empty() {
                        break;
                    }
                    if let Some((name, value)) = line.split_once(": ")
                        && name.eq_ignore_ascii_case("cookie")
                    {
                        keep.lock().unwrap().push(value.to_owned());
                    }
                }
                let page = "<!doctype html><title>n</title><body>neighbour</body>";
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                    page.len()
                );
                // A browser that went away is no concern.
                let _ = writer.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, caught }
    }

    /// Returns the session's cookie, once it was sent here.
    fn cookie(&self, name: &str) -> Option<String> {
        let caught = self.caught.lock().unwrap();
        let pairs = caught.iter().flat_map(|cookies| cookies.split("; "));
        pairs
            .filter(|pair| pair.starts_with(&format!("{name}=")))
            .map(str::to_owned)
            .last()
    }
}

/// What a page of another port can try, each as an expression that comes to what it got.
fn attempts(console: SocketAddr) -> Vec<(&'static str, String)> {
    let fetch = |path: &str, options: &str| {
        format!(
            "fetch('http://{console}{path}', {options}).then(async r => r.type === 'opaque' ? 'opaque' : r.status + ' ' \
             + await r.text(), e => 'refused')"
        )
    };
    vec![
        ("reading", fetch("/api/things", "{credentials: 'include'}")),
        (
            "reading without being let in",
            fetch("/api/things", "{credentials: 'include', mode: 'no-cors'}"),
        ),
        (
            "reading with a header",
            fetch(
                "/api/things",
                "{credentials: 'include', headers: {'X-Factory-Page': 'guess'}}",
            ),
        ),
        (
            "writing as a form does",
            fetch(
                "/api/things",
                "{method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}'}",
            ),
        ),
        (
            "writing JSON",
            fetch(
                "/api/things",
                "{method: 'POST', credentials: 'include', body: '{}', headers: {'Content-Type': 'application/json'}}",
            ),
        ),
        (
            "sending a form",
            format!(
                "new Promise(done => {{ const f = document.createElement('iframe'); f.name = 'answer'; \
                 document.body.append(f); const form = document.createElement('form'); form.method = 'POST'; \
                 form.enctype = 'text/plain'; form.target = 'answer'; form.action = 'http://{console}/api/things'; \
                 document.body.append(form); f.onload = () => {{ try {{ done(f.contentDocument.body.innerText || \
                 'refused') }} catch {{ done('refused') }} }}; form.submit(); }})"
            ),
        ),
        (
            "a socket",
            format!(
                "new Promise(done => {{ const s = new WebSocket('ws://{console}/api/things/1/events/ws', ['factory.v1', \
                 'factory.page.guess']); s.onopen = () => done('open'); s.onerror = () => done('refused'); }})"
            ),
        ),
        (
            "a frame",
            format!(
                "new Promise(done => {{ const f = document.createElement('iframe'); f.src = 'http://{console}/'; \
                 f.onload = () => {{ try {{ done(f.contentWindow.sessionStorage.getItem('factory.page')) }} catch {{ \
                 done('refused') }} }}; document.body.append(f); }})"
            ),
        ),
        (
            "its own storage",
            "Promise.resolve(sessionStorage.getItem('factory.page') === null ? 'refused' : 'got it')"
                .to_owned(),
        ),
        (
            "the cookie in a script",
            "Promise.resolve(document.cookie.includes('factory') ? 'got it' : 'refused')".to_owned(),
        ),
    ]
}

#[tokio::test]
#[ignore = "needs chromium: `make test` runs it where there is one, and installs it as root on Debian"]
async fn a_page_of_another_port_gets_nothing_in_a_browser() {
    let place = Place::new(|_| {}).await;
    let neighbour = Neighbour::start().await;
    let mut browser = Browser::start().await;
    let code = place.login_code().await;
    browser
        .open(&format!("http://{}/login#{code}", place.console))
        .await;
    browser.wait_for("You are logged in as ann (admin).").await;
    let address = browser.run("location.href").await;
    assert_eq!(
        address,
        format!("http://{}/", place.console),
        "the code is out of sight"
    );
    // What is refused below is done for the server's own page.
    let page = browser.run("sessionStorage.getItem('factory.page')").await;
    let page = page.as_str().expect("the page has its secret");
    let own = "fetch('/api/things', {headers: {'X-Factory-Page': sessionStorage.getItem('factory.page')}}).then(r => r.text())";
    assert_eq!(browser.run(own).await, "ann");
    let write = "fetch('/api/things', {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json', \
        'X-Factory-Page': sessionStorage.getItem('factory.page')}}).then(r => r.status)";
    assert_eq!(browser.run(write).await, 200);
    assert_eq!(place.altered.load(Ordering::SeqCst), 1);
    let socket = "new Promise(done => { const s = new WebSocket('ws://' + location.host + '/api/things/1/events/ws', \
        ['factory.v1', 'factory.page.' + sessionStorage.getItem('factory.page')]); s.onopen = () => done(s.protocol); \
        s.onerror = () => done('refused'); })";
    assert_eq!(browser.run(socket).await, "factory.v1");

    // The browser takes the other port for the same site, and sends it the cookie.
    browser
        .open(&format!("http://{}/api/catch", neighbour.address))
        .await;
    browser.wait_for("neighbour").await;
    let name = place.cookie_name();
    let cookie = neighbour
        .cookie(&name)
        .expect("cookies ignore ports, or this test shows nothing");
    for (what, script) in attempts(place.console) {
        let got = browser.run(&script).await;
        assert!(got == "refused" || got == "opaque", "{what}: {got}");
    }
    assert_eq!(
        place.altered.load(Ordering::SeqCst),
        1,
        "nothing more was written"
    );

    // With the cookie in its hand, and with any header that it likes, it is still nobody. What it lacks is the page's
    // secret, which it cannot know: with that the same cookie is let in.
    let origin = format!("Origin: http://{}\r\n", place.console);
    for (more, expected) in [
        (String::new(), 401),
        (origin.clone(), 401),
        (format!("{origin}X-Factory-Page: guess\r\n"), 401),
        (format!("{origin}X-Factory-Page: {page}\r\n"), 200),
    ] {
        let text = format!(
            "GET /api/things HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n{more}Connection: close\r\n\r\n",
            place.console
        );
        assert_eq!(send(place.console, &text).await.status, expected, "{more}");
    }

    // The owner of the session goes on, and logs out.
    browser.open(&format!("http://{}/", place.console)).await;
    browser.wait_for("You are logged in as ann (admin).").await;
    browser.run("document.getElementById('logout').click()").await;
    browser.wait_for("You are not logged in.").await;
    let again = format!("http://{}/login#{code}", place.console);
    browser.open("about:blank").await;
    browser.open(&again).await;
    browser.wait_for("this login code was used already").await;
    place.end().await;
}
