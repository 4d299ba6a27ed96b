//! Model servers that do what no server should, on raw sockets: each ends in a typed outcome, within its bounds of time
//! and memory, and the next request to the same server works.
//!
//! The memory is that of this process, in which the servers run too: before each behaviour the kernel's mark of the
//! largest resident size is reset (`/proc/self/clear_refs`), after it the mark is compared with the resident size of
//! before. Where the kernel refuses the reset, the growth of the mark over the whole run is taken.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "the servers of a test may fail it wherever they stand"
)]

mod bodies;
mod heads;
mod messages;
mod preparations;
mod replies;
mod server;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use factory_core::llm::anthropic::{AnthropicConfig, AnthropicLlm};
use factory_core::llm::guarded::{Limits, guarded};
use factory_core::llm::openai::{OpenAiConfig, OpenAiLlm};
use factory_core::llm::server::{BaseUrl, Bounds, Secret, Server};
use factory_core::llm::{ChatRequest, Llm, LlmError, Message, Reply, Role, collect};

use self::server::{Begin, CALM, HostileServer, Play};

/// A key that no outcome may show.
const KEY: &str = "sk-Very-Secret-0123456789";

/// The most that the memory may grow over one behaviour, in KiB.
const GROWTH_KIB: u64 = 64 * 1024;

/// A wait that a test can sit out, for where nothing will come.
const SHORT: Duration = Duration::from_millis(400);

/// When a behaviour counts as one that hangs.
const HANGS: Duration = Duration::from_mins(2);

/// What is asked of a hostile server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Chat,
    ChatOverTls,
    /// In the messages protocol; everything else is in the OpenAI one.
    Messages,
    Prepare,
}

/// The bound that is to end a behaviour. All others are those of everyday, so that a slow machine passes none by
/// accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    Connect,
    FirstByte,
    Idle,
    Pace,
}

/// Something that a server may do.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    name: &'static str,
    question: Question,
    begin: Begin,
    play: Play,
    wait: Wait,
    /// The words of the outcome depend on who is faster; its kind does not.
    varies: bool,
}

impl Behaviour {
    const fn new(name: &'static str, question: Question, play: Play) -> Self {
        Self {
            name,
            question,
            begin: Begin::Asked,
            play,
            wait: Wait::Nothing,
            varies: false,
        }
    }

    const fn chat(name: &'static str, play: Play) -> Self {
        Self::new(name, Question::Chat, play)
    }

    const fn messages(name: &'static str, play: Play) -> Self {
        Self::new(name, Question::Messages, play)
    }

    const fn tls(name: &'static str, play: Play) -> Self {
        Self::new(name, Question::ChatOverTls, play)
    }

    const fn prepare(name: &'static str, play: Play) -> Self {
        Self::new(name, Question::Prepare, play)
    }

    const fn begins(self, begin: Begin) -> Self {
        Self { begin, ..self }
    }

    const fn waits(self, wait: Wait) -> Self {
        Self { wait, ..self }
    }

    const fn varies(self) -> Self {
        Self { varies: true, ..self }
    }

    fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::default();
        match self.wait {
            Wait::Nothing => {}
            Wait::Connect => bounds.connect = SHORT,
            Wait::FirstByte => bounds.first_byte = SHORT,
            Wait::Idle => bounds.idle = SHORT,
            Wait::Pace => bounds.pace = SHORT,
        }
        bounds
    }
}

fn behaviours() -> Vec<Behaviour> {
    [
        heads::CONNECTIONS,
        heads::HEADERS,
        heads::REFUSALS,
        bodies::FRAMES,
        bodies::COMPRESSED,
        bodies::PACE,
        replies::LINES,
        replies::JSON,
        replies::LENGTH,
        replies::CALLS,
        replies::COUNTS,
        messages::MESSAGES,
        preparations::PREPARATIONS,
    ]
    .concat()
}

fn model(url: &str, question: Question, bounds: Bounds) -> Box<dyn Llm> {
    let server = Server {
        key: Some(Secret::new(KEY)),
        bounds,
        ..Server::new(BaseUrl::parse(url).unwrap())
    };
    if question == Question::Messages {
        Box::new(AnthropicLlm::new(AnthropicConfig::new("test", server, "small")).unwrap())
    } else {
        Box::new(OpenAiLlm::new(OpenAiConfig::new("test", server, "small")).unwrap())
    }
}

/// Asks as a run does.
async fn ask(model: &dyn Llm) -> Result<Reply, LlmError> {
    let request = ChatRequest {
        messages: vec![Message::new(Role::User, "go on with the step ".repeat(100))],
        max_tokens: 4096,
        ..ChatRequest::default()
    };
    let limits = Limits::of_tokens(request.max_tokens);
    let stream = guarded(model.chat(request).await?, limits);
    collect(stream, "test", |_| {}).await
}

/// Returns what came of a behaviour, in one line.
async fn outcome(behaviour: &Behaviour, model: &dyn Llm) -> String {
    let answer = match behaviour.question {
        Question::Chat | Question::ChatOverTls | Question::Messages => {
            ask(model).await.map(|reply| shown(&reply))
        }
        Question::Prepare => model
            .prepare(&|_| {})
            .await
            .map(|told| format!("window {:?}, tools {:?}", told.window, told.tools)),
    };
    match answer {
        Ok(words) => words,
        Err(error) => {
            let kind = format!("{error:?}");
            let kind = kind.split([' ', '(']).next().unwrap_or_default();
            let again = if error.is_transient() { "again" } else { "for good" };
            let wait = match &error {
                LlmError::Busy {
                    retry_after: Some(wait),
                    ..
                } => format!(" after {wait:?}"),
                _ => String::new(),
            };
            let mut words = error.to_string();
            let mut next = std::error::Error::source(&error);
            while let Some(cause) = next {
                let _ = write!(words, ": {cause}");
                next = cause.source();
            }
            if behaviour.varies {
                format!("{kind}, {again}{wait}")
            } else {
                format!("{kind}, {again}{wait}: {}", cut(&words))
            }
        }
    }
}

fn shown(reply: &Reply) -> String {
    let mut words = format!("{:?}", reply.end);
    for (what, text) in [("text", &reply.text), ("thinking", &reply.thinking)] {
        match text.len() {
            0 => {}
            1..=40 => _ = write!(words, ", {what} {text:?}"),
            length => _ = write!(words, ", {what} of {length} bytes"),
        }
    }
    for call in &reply.tool_calls {
        let _ = write!(words, ", {}({}) as {}", call.name, cut(&call.arguments), call.id);
    }
    let ids: HashSet<&str> = reply.tool_calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids.len(), reply.tool_calls.len(), "an id is there twice");
    let tokens = reply.tokens;
    for (what, count) in [
        ("prompt", tokens.prompt),
        ("completion", tokens.completion),
        ("cached", tokens.cached),
        ("cost", tokens.cost_micros),
    ] {
        if let Some(count) = count {
            let _ = write!(words, ", {what} {count}");
        }
    }
    words
}

fn cut(words: &str) -> String {
    if words.chars().count() <= 200 {
        words.to_owned()
    } else {
        words.chars().take(200).chain(['…']).collect()
    }
}

/// Reads a size from what the kernel says of this process, in KiB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Begins to watch the memory; the result is what it is compared with at the end.
fn watch_memory() -> u64 {
    let is_reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    memory(if is_reset { "VmRSS:" } else { "VmHWM:" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_behaviour_has_an_outcome() {
    let behaviours = behaviours();
    assert!(behaviours.len() >= 30);
    let names: HashSet<&str> = behaviours.iter().map(|behaviour| behaviour.name).collect();
    assert_eq!(names.len(), behaviours.len(), "a name is there twice");
    let mut table = String::new();
    let mut largest = (0, "");
    for behaviour in &behaviours {
        let server = HostileServer::start(behaviour.begin, behaviour.play);
        let plain = format!("http://{}", server.address);
        let asked = model(
            &match behaviour.question {
                Question::ChatOverTls => format!("https://{}", server.address),
                Question::Chat | Question::Messages | Question::Prepare => plain.clone(),
            },
            behaviour.question,
            behaviour.bounds(),
        );
        let before = watch_memory();
        let words = tokio::time::timeout(HANGS, outcome(behaviour, &*asked))
            .await
            .unwrap_or_else(|_| panic!("{} hangs", behaviour.name));
        let growth = memory("VmHWM:").saturating_sub(before);
        assert!(growth < GROWTH_KIB, "{} takes {growth} KiB", behaviour.name);
        if growth > largest.0 {
            largest = (growth, behaviour.name);
        }
        let words = words.replace(&server.address.to_string(), "SERVER");
        assert!(!words.to_lowercase().contains(&KEY.to_lowercase()), "{words}");

        let requests = server.requests();
        server.calm_down();
        let asked = match behaviour.question {
            // Nobody signs a certificate for a test.
            Question::ChatOverTls => model(&plain, behaviour.question, Bounds::default()),
            Question::Chat | Question::Messages | Question::Prepare => asked,
        };
        match tokio::time::timeout(HANGS, ask(&*asked)).await {
            Ok(Ok(reply)) => assert_eq!(reply.text, CALM, "after: {}", behaviour.name),
            failed => panic!("after: {}: {failed:?}", behaviour.name),
        }
        let again = match (behaviour.question, requests) {
            (Question::Chat | Question::Messages, 2..) => format!(" (asked {requests} times)"),
            _ => String::new(),
        };
        writeln!(table, "{}{again}\n    {words}", behaviour.name).unwrap();
    }
    eprintln!(
        "{} behaviours; the largest growth was {} KiB: {}",
        behaviours.len(),
        largest.0,
        largest.1
    );
    insta::assert_snapshot!(table);
}
