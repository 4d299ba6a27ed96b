//! Receivers that fail, come back and stay away, told by a real factory over real sockets.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factory_core::event_bus::EventBus;
use factory_core::factory::{AddProject, ApproveTree, Sockets, Submit};
use factory_core::journal::{Entry, Journal, SystemClock};
use factory_core::llm::scripted::ScriptedLlm;
use factory_core::llm::server::Secret;
use factory_core::model::payload::{RunFailed, RunPaused, RunResumed};
use factory_core::model::{ApprovalSubject, EventKind, NewEvent, RunId, RunSpec, StatusReason};
use factory_core::store::{Access, Store, open_store};
use factory_core::{Factory, HostEnvironment};
use hmac::{Hmac, KeyInit as _, Mac as _};
use poem::http::StatusCode;
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use poem::web::Data;
use poem::{EndpointExt as _, Request, Route, Server, handler};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::webhook::Webhook;
use super::{NotifyCommand, Occasion, Outgoing, Pace, Receiver, Settings, WebhookSettings, WebhookUrl};
use crate::failure::Failure;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const SCRIPT: &str = r#"{"replies": [
    {"tool_calls": [{"name": "update_plan", "arguments": {"steps": ["Write"]}}]},
    {"tool_calls": [{"name": "write_file", "arguments": {"path": "a", "content": "42\n"}},
                    {"name": "finish_step", "arguments": {"summary": "written"}}]}
]}"#;

/// A factory, and a second way to write to its store.
struct Shop {
    folder: tempfile::TempDir,
    journal: Journal,
    factory: Factory,
    /// A run whose only use is that what is said of it is heard.
    bell: RunId,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        std::fs::create_dir(&repository).unwrap();
        std::fs::write(repository.join("a"), "a").unwrap();
        let (factory, journal) = factory(folder.path()).await;
        let add = AddProject {
            path: repository,
            name: Some("shop".to_owned()),
            init: true,
            setup: Some(vec![]),
            checks: Some(vec![]),
            ..AddProject::default()
        };
        factory.add_project(add).await.unwrap();
        let bell = file(&factory).await;
        Self {
            folder,
            journal,
            factory,
            bell,
        }
    }

    /// Ends the factory and opens it anew.
    async fn reopen(&mut self) {
        self.factory.shutdown().await;
        (self.factory, self.journal) = factory(self.folder.path()).await;
    }

    async fn file(&self) -> RunId {
        file(&self.factory).await
    }

    async fn note(&self, run: RunId, kind: impl Into<EventKind>) {
        let entry = Entry::one(NewEvent::system(kind));
        self.journal.write(run, None, entry).await.unwrap();
    }

    /// Parks the run again and again, each time with another number.
    async fn park(&self, run: RunId, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let paused = RunPaused {
                reason: StatusReason::Stuck,
                detail: Some(number.to_string()),
                former_status: None,
            };
            self.note(run, paused).await;
            self.note(run, RunResumed {}).await;
        }
    }

    /// Lets those who listen hear that something was stored.
    async fn ring(&self) {
        self.factory.direct(self.bell, "listen").await.unwrap();
    }

    async fn start(&self, settings: &Settings, ending: &CancellationToken) -> Result<Outgoing, Failure> {
        super::start(&self.factory, self.folder.path(), settings, ending).await
    }
}

async fn factory(folder: &Path) -> (Factory, Journal) {
    let url = format!("sqlite:{}", folder.join("platform.db").display());
    let store: Arc<dyn Store> = open_store(&url, Access::Own).await.unwrap();
    let host = HostEnvironment {
        home: folder.into(),
        variables: std::env::vars().collect(),
    };
    let mut sockets = Sockets {
        store: Some(Arc::clone(&store)),
        ..Sockets::default()
    };
    let model = ScriptedLlm::from_json("script", SCRIPT).unwrap();
    sockets.models.insert("script".to_owned(), Arc::new(model));
    let settings = factory_core::Settings::new(folder.join("data"), host);
    let factory = Factory::open_with(settings, sockets).await.unwrap();
    let journal = Journal::new(store, EventBus::default(), Arc::new(SystemClock));
    (factory, journal)
}

async fn file(factory: &Factory) -> RunId {
    let submit = Submit {
        project: "shop".to_owned(),
        goal: "Write 42".to_owned(),
        spec: RunSpec {
            model: "script".to_owned(),
            ..RunSpec::default()
        },
        priority: 0,
    };
    factory.submit(submit).await.unwrap().id
}

/// What a receiver heard.
#[derive(Debug, Clone)]
struct Heard {
    body: Value,
    delivery: String,
    status: u16,
}

impl Heard {
    fn run(&self) -> RunId {
        RunId(self.body["data"]["run_id"].as_i64().unwrap())
    }

    fn detail(&self) -> String {
        self.body["data"]["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// Says how an answer looks: the notice, and how many were heard before it.
type Answer = dyn Fn(&Value, usize) -> u16 + Send + Sync;

/// A receiver that checks every signature.
#[derive(Clone)]
struct Ear {
    heard: Arc<Mutex<Vec<Heard>>>,
    told: Arc<Notify>,
    answer: Arc<Answer>,
}

impl Ear {
    fn new(answer: impl Fn(&Value, usize) -> u16 + Send + Sync + 'static) -> Self {
        Self {
            heard: Arc::default(),
            told: Arc::default(),
            answer: Arc::new(answer),
        }
    }

    /// Returns one that refuses what it hears of a run until it is opened.
    fn refusing(run: RunId) -> (Self, Arc<AtomicBool>) {
        let is_open = Arc::new(AtomicBool::new(false));
        let ear = Self::new({
            let is_open = Arc::clone(&is_open);
            move |body, _| {
                let takes = body["data"]["run_id"] != run.0 || is_open.load(Ordering::SeqCst);
                if takes { 200 } else { 500 }
            }
        });
        (ear, is_open)
    }

    /// Listens at the address, whose port may be 0, and returns the URL.
    async fn listen(&self, address: &str) -> String {
        let acceptor = TcpListener::bind(address).into_acceptor().await.unwrap();
        let bound = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let routes = Route::new().at("/hook", poem::post(hear)).data(self.clone());
        tokio::spawn(Server::new_with_acceptor(acceptor).run(routes));
        format!("http://{bound}/hook?key=s3cret")
    }

    fn all(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Returns what it took, as (run, detail).
    fn took(&self) -> Vec<(RunId, String)> {
        let all = self.all().into_iter();
        all.filter(|heard| heard.status == 200)
            .map(|heard| (heard.run(), heard.detail()))
            .collect()
    }

    async fn until(&self, enough: impl Fn(&[Heard]) -> bool) {
        let wait = async {
            loop {
                let told = self.told.notified();
                if enough(&self.all()) {
                    break;
                }
                told.await;
            }
        };
        let is_enough = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(is_enough, "it heard only {:#?}", self.all());
    }

    async fn until_took(&self, count: usize) {
        self.until(|heard| heard.iter().filter(|heard| heard.status == 200).count() >= count)
            .await;
    }
}

#[handler]
async fn hear(request: &Request, body: Vec<u8>, Data(ear): Data<&Ear>) -> StatusCode {
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let expected = mac
        .finalize()
        .into_bytes()
        .iter()
        .fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(header("x-factory-signature"), expected);
    let body: Value = serde_json::from_slice(&body).unwrap();
    let status = {
        let mut heard = ear.heard.lock().unwrap();
        let status = (ear.answer)(&body, heard.len());
        heard.push(Heard {
            body,
            delivery: header("x-factory-delivery"),
            status,
        });
        status
    };
    ear.told.notify_waiters();
    if status == 0 {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(status).unwrap()
}

fn webhook(name: &str, url: &str) -> WebhookSettings {
    WebhookSettings {
        name: name.to_owned(),
        url: WebhookUrl::parse(url).unwrap(),
        secret: Ok(Secret::new(SECRET)),
        on: Occasion::ALL.to_vec(),
    }
}

fn settings(webhooks: Vec<WebhookSettings>) -> Settings {
    Settings {
        webhooks,
        pace: quick(),
        ..Settings::default()
    }
}

fn quick() -> Pace {
    Pace {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(40),
        ..Pace::default()
    }
}

fn numbers(run: RunId, numbers: std::ops::Range<u64>) -> Vec<(RunId, String)> {
    numbers.map(|number| (run, number.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_when_it_waits_and_when_it_is_complete() {
    let shop = Shop::open().await;
    let ear = Ear::new(|_, _| 200);
    let mut settings = settings(vec![webhook("team", &ear.listen("127.0.0.1:0").await)]);
    settings.public_url = Some("https://factory.example.org".to_owned());
    let outgoing = shop.start(&settings, &CancellationToken::new()).await.unwrap();
    let run = shop.file().await;
    shop.factory.pause(run).await.unwrap();
    shop.factory.resume(run).await.unwrap();
    shop.factory.drive(run).await.unwrap();
    let asked = shop
        .factory
        .reader()
        .run(run)
        .await
        .unwrap()
        .open_approval
        .unwrap();
    let ApprovalSubject::Tree { tree, .. } = asked.subject else {
        panic!("{asked:?}");
    };
    let approved = ApproveTree {
        tree: tree.clone(),
        message: None,
    };
    shop.factory.approve(run, approved).await.unwrap();
    let done = shop.factory.drive(run).await.unwrap();
    ear.until_took(2).await;
    outgoing.ended().await;

    let [waiting, complete] = ear
        .all()
        .try_into()
        .expect("the operator's own pause is told to nobody");
    assert_eq!(waiting.body["id"], waiting.delivery);
    assert_ne!(waiting.delivery, complete.delivery);
    assert_eq!(waiting.body["data"]["asked"]["tree"], tree.to_string());
    assert_eq!(complete.body["data"]["commit"], done.commit.unwrap().to_string());
    let (mut waiting, mut complete) = (waiting.body, complete.body);
    for place in ["/id", "/time", "/data/seq", "/data/asked/tree", "/data/commit"] {
        for body in [&mut waiting, &mut complete] {
            if let Some(value) = body.pointer_mut(place).filter(|value| !value.is_null()) {
                *value = format!("[{place}]").into();
            }
        }
    }
    insta::assert_json_snapshot!([waiting, complete]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_again_and_only_its_own_run_waits() {
    let shop = Shop::open().await;
    let (bad, good) = (shop.file().await, shop.file().await);
    let (ear, is_open) = Ear::refusing(bad);
    let settings = settings(vec![webhook("team", &ear.listen("127.0.0.1:0").await)]);
    let outgoing = shop.start(&settings, &CancellationToken::new()).await.unwrap();
    for number in 0..10 {
        shop.park(bad, number..number + 1).await;
        shop.park(good, number..number + 1).await;
    }
    shop.ring().await;
    ear.until_took(10).await;
    assert_eq!(ear.took(), numbers(good, 0..10));
    ear.until(|all| all.iter().filter(|heard| heard.status == 500).count() >= 3)
        .await;
    let refused: Vec<_> = ear
        .all()
        .into_iter()
        .filter(|heard| heard.status == 500)
        .collect();
    assert!(
        refused
            .iter()
            .all(|heard| heard.detail() == "0" && heard.delivery == refused[0].delivery),
        "the second waits for the first: {refused:#?}"
    );
    is_open.store(true, Ordering::SeqCst);
    ear.until_took(20).await;
    assert_eq!(ear.took()[10..], numbers(bad, 0..10));
    outgoing.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_too_long_is_given_up_and_the_next_is_told() {
    let shop = Shop::open().await;
    let run = shop.file().await;
    let ear = Ear::new(|body, _| if body["data"]["detail"] == "0" { 400 } else { 200 });
    let mut settings = settings(vec![webhook("team", &ear.listen("127.0.0.1:0").await)]);
    (settings.pace.keep, settings.pace.insist) = (Duration::ZERO, Duration::from_millis(20));
    let outgoing = shop.start(&settings, &CancellationToken::new()).await.unwrap();
    shop.park(run, 0..2).await;
    shop.ring().await;
    ear.until_took(1).await;
    assert_eq!(ear.took(), numbers(run, 1..2));
    assert!(
        ear.all().len() > 2,
        "it was tried more than once: {:?}",
        ear.all()
    );
    outgoing.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_holds_up_nobody_and_misses_nothing() {
    const MANY: u64 = 150;
    let shop = Shop::open().await;
    let runs = [shop.file().await, shop.file().await];
    let (there, away) = (Ear::new(|_, _| 200), Ear::new(|_, _| 200));
    // A port that nobody listens at, for now.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let settings = settings(vec![
        webhook("there", &there.listen("127.0.0.1:0").await),
        webhook("away", &format!("http://{free}/hook")),
    ]);
    let ending = CancellationToken::new();
    let outgoing = shop.start(&settings, &ending).await.unwrap();
    for run in runs {
        shop.park(run, 0..MANY).await;
    }
    shop.ring().await;
    let everything = [numbers(runs[0], 0..MANY), numbers(runs[1], 0..MANY)];
    let of = |ear: &Ear, run| {
        ear.took()
            .into_iter()
            .filter(|took| took.0 == run)
            .collect::<Vec<_>>()
    };
    there.until_took(2 * usize::try_from(MANY).unwrap()).await;
    assert_eq!(runs.map(|run| of(&there, run)), everything);
    assert!(away.all().is_empty());
    // More than a line holds was missed.
    away.listen(&free.to_string()).await;
    away.until_took(2 * usize::try_from(MANY).unwrap()).await;
    assert_eq!(runs.map(|run| of(&away, run)), everything);
    // The server's end is theirs.
    ending.cancel();
    outgoing.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_neither_loses_nor_repeats() {
    let mut shop = Shop::open().await;
    let (run, bad) = (shop.file().await, shop.file().await);
    shop.park(run, 100..110).await;
    let (ear, is_open) = Ear::refusing(bad);
    let mut settings = settings(vec![webhook("team", &ear.listen("127.0.0.1:0").await)]);
    let outgoing = shop.start(&settings, &CancellationToken::new()).await.unwrap();
    shop.park(bad, 0..2).await;
    shop.park(run, 0..3).await;
    shop.ring().await;
    ear.until_took(3).await;
    outgoing.ended().await;

    // While nobody tells, more happens.
    shop.park(run, 3..5).await;
    shop.reopen().await;
    is_open.store(true, Ordering::SeqCst);
    let late = Ear::new(|_, _| 200);
    settings
        .webhooks
        .push(webhook("late", &late.listen("127.0.0.1:0").await));
    let outgoing = shop.start(&settings, &CancellationToken::new()).await.unwrap();
    shop.park(run, 5..6).await;
    shop.ring().await;
    ear.until_took(8).await;
    late.until_took(1).await;
    // Nothing of what was told before, of what happened before the first start, nor twice of anything.
    shop.note(
        run,
        RunFailed {
            reason: StatusReason::Stuck,
            detail: "last".to_owned(),
        },
    )
    .await;
    shop.ring().await;
    ear.until_took(9).await;
    late.until_took(2).await;
    let mut of_run = numbers(run, 0..6);
    of_run.push((run, "last".to_owned()));
    let (took_bad, took_run): (Vec<_>, Vec<_>) = ear.took().into_iter().partition(|took| took.0 == bad);
    assert_eq!((took_run, took_bad), (of_run, numbers(bad, 0..2)));
    assert_eq!(late.took(), [(run, "5".to_owned()), (run, "last".to_owned())]);
    outgoing.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_cut_off_is_told_again_under_the_same_name() {
    let mut shop = Shop::open().await;
    let run = shop.file().await;
    // The second is heard and not answered.
    let ear = Ear::new(|_, before| if before == 1 { 0 } else { 200 });
    let settings = settings(vec![webhook("team", &ear.listen("127.0.0.1:0").await)]);
    let outgoing = shop.start(&settings, &CancellationToken::new()).await.unwrap();
    shop.park(run, 0..3).await;
    shop.ring().await;
    ear.until(|all| all.len() == 2).await;
    drop(outgoing);
    shop.reopen().await;
    let outgoing = shop.start(&settings, &CancellationToken::new()).await.unwrap();
    ear.until_took(3).await;
    assert_eq!(ear.took(), numbers(run, 0..3));
    let all = ear.all();
    assert_eq!((all.len(), &all[1].delivery), (4, &all[2].delivery));
    assert_eq!(all[1].body, all[2].body);
    outgoing.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_is_given_up_for_the_moment() {
    let shop = Shop::open().await;
    let run = shop.file().await;
    let ear = Ear::new(|_, before| if before == 0 { 0 } else { 200 });
    let url = WebhookUrl::parse(&ear.listen("127.0.0.1:0").await).unwrap();
    let slow = Webhook::new(url, Secret::new(SECRET))
        .unwrap()
        .within(Duration::from_millis(200));
    let receivers = vec![(
        "webhook.slow".to_owned(),
        Receiver::Webhook(slow),
        Occasion::ALL.to_vec(),
    )];
    let outgoing = super::start_all(
        &shop.factory,
        shop.folder.path(),
        &settings(vec![]),
        receivers,
        &CancellationToken::new(),
    )
    .await
    .unwrap();
    shop.park(run, 0..2).await;
    shop.ring().await;
    ear.until_took(2).await;
    assert_eq!(ear.took(), numbers(run, 0..2));
    outgoing.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_run_for_the_occasions_that_are_named() {
    let shop = Shop::open().await;
    let run = shop.file().await;
    let told = shop.folder.path().join("told");
    let command = NotifyCommand::new(
        "sh".into(),
        vec![
            "-c".to_owned(),
            // It fails the first time.
            "if mkdir tried 2>/dev/null; then exit 1; fi; cat >> told; echo >> told".to_owned(),
        ],
        std::env::vars().collect(),
        shop.folder.path().to_owned(),
    );
    let settings = Settings {
        notify: Some((command, vec![Occasion::Failed])),
        ..settings(vec![])
    };
    let outgoing = shop.start(&settings, &CancellationToken::new()).await.unwrap();
    shop.park(run, 0..3).await;
    for (run, detail) in [(run, "one"), (shop.file().await, "two")] {
        let failed = RunFailed {
            reason: StatusReason::Stuck,
            detail: detail.to_owned(),
        };
        shop.note(run, failed).await;
    }
    shop.ring().await;
    let lines = || {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let both = async {
        while lines().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, both).await.expect("both are told");
    outgoing.ended().await;
    let mut details: Vec<_> = lines()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["data"]["detail"].clone())
        .collect();
    // Of different runs there is no order.
    details.sort_by_key(ToString::to_string);
    assert_eq!(details, ["one", "two"]);
}

#[tokio::test]
async fn a_secret_that_is_missing_refuses_the_start() {
    let shop = Shop::open().await;
    let hook = WebhookSettings {
        secret: Err("the variable `HOOK` that `secret_env` names is not set".to_owned()),
        ..webhook("team", "https://hooks.example.org/s3cret")
    };
    let failure = shop
        .start(&settings(vec![hook]), &CancellationToken::new())
        .await
        .unwrap_err();
    assert!(
        failure.message.starts_with("webhook.team: the variable `HOOK`"),
        "{failure:?}"
    );
}
