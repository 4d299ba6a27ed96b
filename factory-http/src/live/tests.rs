//! Live connections, over real sockets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use factory_core::factory::{AddProject, Submit};
use factory_core::model::{Role, RunId, RunSpec};
use factory_core::{Factory, HostEnvironment, Settings};
use futures_util::{SinkExt as _, StreamExt as _};
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use poem::{EndpointExt as _, Route, Server};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::Live;
use crate::guard::Principal;
use crate::observe::Metrics;
use crate::problem::Explained;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(5);

/// A factory with a small repository, and a server of its live routes.
struct Station {
    factory: Factory,
    address: SocketAddr,
    ending: CancellationToken,
    /// The credential of every client.
    ended: CancellationToken,
    metrics: Metrics,
    _folder: tempfile::TempDir,
}

impl Station {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = HostEnvironment {
            home: folder.path().into(),
            variables: std::env::vars().collect(),
        };
        let factory = Factory::open(Settings::new(folder.path().join("data"), host))
            .await
            .unwrap();
        let repository = folder.path().join("repository");
        std::fs::create_dir(&repository).unwrap();
        std::fs::write(repository.join("a"), "a").unwrap();
        let add = AddProject {
            path: repository,
            name: Some("shop".to_owned()),
            init: true,
            setup: Some(vec![]),
            checks: Some(vec![]),
            ..AddProject::default()
        };
        factory.add_project(add).await.unwrap();
        let (ending, ended) = (CancellationToken::new(), CancellationToken::new());
        let metrics = Metrics::new();
        let live = Live::until(ending.clone(), metrics.clone());
        let principal = Principal {
            name: "ann".into(),
            role: Role::Viewer,
            ended: ended.clone(),
        };
        let routes = super::routes(Route::new())
            .data(factory.clone())
            .data(live)
            .before(move |mut request: poem::Request| {
                request.extensions_mut().insert(principal.clone());
                async move { Ok(request) }
            });
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let serving = Server::new_with_acceptor(acceptor);
        tokio::spawn(serving.run(Explained::new(routes, std::sync::Arc::default())));
        Self {
            factory,
            address,
            ending,
            ended,
            metrics,
            _folder: folder,
        }
    }

    async fn file(&self) -> RunId {
        let submit = Submit {
            project: "shop".to_owned(),
            goal: "wait".to_owned(),
            spec: RunSpec::default(),
            priority: 0,
        };
        self.factory.submit(submit).await.unwrap().id
    }

    async fn say(&self, run: RunId, text: &str) {
        self.factory.direct(run, text).await.unwrap();
    }

    async fn connect(&self, path: &str) -> Client {
        let url = format!("ws://{}{path}", self.address);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Client { socket }
    }
}

struct Client {
    socket: tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
}

impl Client {
    /// Returns the next frame, or the close code.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.unwrap();
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("the socket broke off: {other:?}"),
            }
        }
    }

    async fn event(&mut self) -> Value {
        loop {
            let frame = self.next().await.unwrap();
            if frame["kind"] == "event" {
                return frame;
            }
        }
    }
}

/// Chance from a seed, so that what failed fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn number(name: &str, ordinary: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(ordinary)
}

/// Follows, drops the connection at random and comes back with the cursor, until every run has so many events.
async fn follow(station: &Station, path: &str, runs: &[RunId], last_seq: u64, mut dice: Dice) {
    let (mut cursor, mut next_seq) = (None::<String>, HashMap::<i64, u64>::new());
    let mut left: u64 = runs.len() as u64 * last_seq;
    while left > 0 {
        let query = cursor
            .as_ref()
            .map_or_else(String::new, |cursor| format!("?after={cursor}"));
        let mut client = station.connect(&format!("{path}{query}")).await;
        let hello = client.next().await.unwrap();
        assert_eq!(hello["kind"], "hello");
        cursor.get_or_insert_with(|| hello["cursor"].as_str().unwrap().to_owned());
        let stays_for = 1 + dice.below(2 * runs.len() as u64 * last_seq / 5);
        for _ in 0..stays_for.min(left) {
            let frame = client.event().await;
            let (run, seq) = (&frame["event"]["run_id"], &frame["event"]["seq"]);
            let expected = next_seq.entry(run.as_i64().unwrap()).or_insert(1);
            assert_eq!(
                seq.as_u64().unwrap(),
                *expected,
                "run {run}: each event once, in order"
            );
            *expected += 1;
            left -= 1;
            cursor = Some(frame["cursor"].as_str().unwrap().to_owned());
        }
    }
    for run in runs {
        assert_eq!(next_seq[&run.0], last_seq + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_drop_and_come_back_have_every_event_once() {
    const RUNS: u64 = 10;
    let clients = number("FACTORY_TEST_LIVE_CLIENTS", 40);
    let events = number("FACTORY_TEST_LIVE_EVENTS", 2000);
    let seed = number("FACTORY_TEST_SEED", u64::from(std::process::id()));
    println!("{clients} clients, {events} events, seed {seed}");
    let station = Station::open().await;
    // Cursors over all runs begin before the first event.
    let start = station.connect("/events/ws").await.next().await.unwrap()["cursor"].clone();
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(station.file().await);
    }
    let each = events / RUNS;
    let all_runs = format!("/events/ws?after={}", start.as_str().unwrap());
    let following = futures_util::future::join_all((0..clients).map(|client| {
        let dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(client));
        let (station, runs, all_runs) = (&station, &runs, &all_runs);
        async move {
            if client % 2 == 0 {
                // The first connection begins at the start; the later ones where the client was.
                let cursor = all_runs.split_once('=').unwrap().1.to_owned();
                follow_from(station, runs, each, dice, cursor).await;
            } else {
                let run = runs[usize::try_from(client % RUNS).unwrap()];
                follow(station, &format!("/runs/{run}/events/ws"), &[run], each, dice).await;
            }
        }
    }));
    let writing = futures_util::future::join_all(runs.iter().map(|run| {
        let station = &station;
        async move {
            for number in 1..each {
                station.say(*run, &format!("number {number}")).await;
            }
        }
    }));
    let all = async { tokio::join!(following, writing) };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("every client has everything");
}

async fn follow_from(station: &Station, runs: &[RunId], each: u64, mut dice: Dice, start: String) {
    let (mut cursor, mut next_seq, mut last_id) = (start, HashMap::<i64, u64>::new(), 0);
    let mut left = runs.len() as u64 * each;
    while left > 0 {
        let mut client = station.connect(&format!("/events/ws?after={cursor}")).await;
        let stays_for = 1 + dice.below(2 * runs.len() as u64 * each / 5);
        for _ in 0..stays_for.min(left) {
            let frame = client.event().await;
            let event = &frame["event"];
            let id = event["id"].as_i64().unwrap();
            assert!(id > last_id, "in the order in which they were stored");
            last_id = id;
            let expected = next_seq.entry(event["run_id"].as_i64().unwrap()).or_insert(1);
            assert_eq!(event["seq"].as_u64().unwrap(), *expected);
            *expected += 1;
            left -= 1;
            cursor = frame["cursor"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let station = Station::open().await;
    let run = station.file().await;
    let path = format!("/runs/{run}/events/ws");
    let mut stuck = station.connect(&path).await;
    let mut well = station.connect(&path).await;
    // More than all buffers between the two hold.
    let long = "x".repeat(60_000);
    for number in 0..200 {
        station.say(run, &format!("{number} {long}")).await;
    }
    for seq in 1..=201 {
        assert_eq!(well.event().await["event"]["seq"], seq);
    }
    // What it did not read is read from the store, once it does.
    for seq in 1..=201 {
        assert_eq!(stuck.event().await["event"]["seq"], seq);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_run_unless_it_is_to_stay() {
    let station = Station::open().await;
    let run = station.file().await;
    let path = format!("/runs/{run}/events/ws");
    let (mut ends, mut stays) = (
        station.connect(&path).await,
        station.connect(&format!("{path}?stay=true")).await,
    );
    station.factory.stop(run).await.unwrap();
    for client in [&mut ends, &mut stays] {
        let types = [client.event().await, client.event().await].map(|frame| frame["event"]["type"].clone());
        assert_eq!(types, ["RUN_CREATED", "RUN_STOP"]);
    }
    let bye = ends.next().await.unwrap();
    assert_eq!(
        (&bye["kind"], &bye["code"], &bye["cursor"]),
        (&"bye".into(), &1000.into(), &"2".into())
    );
    assert_eq!(ends.next().await.unwrap_err(), 1000);
    // The server's end ends it.
    station.ending.cancel();
    assert_eq!(stays.next().await.unwrap()["code"], 1012);
    assert_eq!(stays.next().await.unwrap_err(), 1012);
    let gone = async {
        while !station
            .metrics
            .render()
            .contains("factory_live_clients{kind=\"websocket\"} 0\n")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("all are let go");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_ends_ends_its_streams() {
    let station = Station::open().await;
    let run = station.file().await;
    let mut client = station.connect(&format!("/runs/{run}/events/ws")).await;
    client.event().await;
    let url = format!("http://{}/runs/{run}/events/stream", station.address);
    let stream = reqwest::get(url).await.unwrap();
    station.ended.cancel();
    assert_eq!(client.next().await.unwrap()["code"], 4401);
    assert_eq!(client.next().await.unwrap_err(), 4401);
    let told = tokio::time::timeout(PATIENCE, stream.text())
        .await
        .unwrap()
        .unwrap();
    assert!(
        told.contains("event: bye\ndata: {\"kind\":\"bye\",\"code\":4401"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_go_on_where_they_broke_off() {
    let station = Station::open().await;
    let run = station.file().await;
    station.say(run, "line one\nline two").await;
    station.factory.stop(run).await.unwrap();
    let url = format!("http://{}/runs/{run}/events/stream", station.address);
    let whole = reqwest::get(&url).await.unwrap();
    assert_eq!(whole.headers()["content-type"], "text/event-stream");
    let whole = whole.text().await.unwrap();
    let ids = |text: &str| {
        let ids = text
            .lines()
            .filter_map(|line| line.strip_prefix("id: ").map(str::to_owned));
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&whole), ["1", "2", "3"]);
    assert!(whole.starts_with("retry: 2000\nevent: hello\n"), "{whole}");
    let rest = reqwest::Client::new()
        .get(&url)
        .header("last-event-id", "2")
        .send()
        .await
        .unwrap();
    assert_eq!(ids(&rest.text().await.unwrap()), ["3"]);
    let rest = reqwest::get(format!("{url}?after=1")).await.unwrap();
    assert_eq!(ids(&rest.text().await.unwrap()), ["2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused_before_anything_is_streamed() {
    let station = Station::open().await;
    let run = station.file().await;
    for (path, expected) in [
        ("/runs/99/events/ws".to_owned(), 404),
        ("/runs/x/events/stream".to_owned(), 400),
        (format!("/runs/{run}/events/ws?after=7"), 400),
        (format!("/runs/{run}/events/stream?after=-1"), 400),
        (format!("/runs/{run}/events/stream?after=x"), 400),
        ("/events/ws?after=17".to_owned(), 400),
        ("/events/stream?after=".to_owned(), 400),
    ] {
        let url = format!("ws://{}{path}", station.address);
        let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(response) = refused else {
            panic!("{path}: {refused:?}");
        };
        assert_eq!(response.status(), expected, "{path}");
        let problem: Value = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
        assert_eq!(problem["status"], expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_chatters_is_let_go() {
    let station = Station::open().await;
    let run = station.file().await;
    let mut client = station.connect(&format!("/runs/{run}/events/ws")).await;
    for _ in 0..200 {
        if client.socket.send(Message::text("hello?")).await.is_err() {
            break;
        }
    }
    let mut frames = Vec::new();
    let code = loop {
        match client.next().await {
            Ok(frame) => frames.push(frame),
            Err(code) => break code,
        }
    };
    assert_eq!(code, 1008, "{frames:?}");
    // Too long a message ends it too.
    let mut client = station.connect(&format!("/runs/{run}/events/ws")).await;
    let _ = client.socket.send(Message::text("x".repeat(100_000))).await;
    let ended = async {
        while let Some(Ok(message)) = client.socket.next().await {
            if message.is_close() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it is ended");
}
