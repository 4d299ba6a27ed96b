//! Making a model ready: what is asked in which order, what the operator is told, and which window comes out.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use factory_core::llm::ollama::{OllamaConfig, OllamaLlm};
use factory_core::llm::server::Bounds;
use factory_core::llm::{Capabilities, ChatRequest, Llm, LlmError, Message, Role};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::contract::CONTRACT;
use crate::server::{Answer, Asked, Fake, Step, lines, status, whole};
use crate::{SHORT, at, told, within};

/// A server, by what it says of the model `small`.
struct Case {
    name: &'static str,
    /// What the operator set.
    context: Option<u64>,
    version: Answer,
    show: Answer,
    load: Answer,
    /// What it says is loaded, question after question; the last again and again.
    ps: Vec<Answer>,
}

impl Case {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            context: None,
            version: whole(&json!({"version": "0.32.14"})),
            show: show(131_072),
            load: load(),
            ps: vec![ps(&json!(32_768))],
        }
    }
}

fn load() -> Answer {
    sample(
        "/api/chat",
        &json!({
            "model": "small", "created_at": "2026-11-27T12:00:00.5Z", "message": {"role": "assistant", "content": ""},
            "done": true, "done_reason": "load",
        }),
    )
}

fn show(trained: u64) -> Answer {
    shown(json!({"model_info": {"general.architecture": "qwen2", "qwen2.context_length": trained}}))
}

fn shown(mut with: Value) -> Answer {
    if with.get("capabilities").is_none() {
        with["capabilities"] = json!(["completion", "tools"]);
    }
    sample("/api/show", &with)
}

fn ps(context: &Value) -> Answer {
    let mut model = json!({"name": "small:latest", "model": "small:latest", "size": 6_591_830_464_u64});
    if !context.is_null() {
        model["context_length"] = context.clone();
    }
    let other = json!({"name": "other:7b", "context_length": 512});
    sample("/api/ps", &json!({"models": [other, model]}))
}

/// A whole answer that is as the contract has it.
fn sample(path: &str, answer: &Value) -> Answer {
    CONTRACT.reply(path, answer).unwrap();
    whole(answer)
}

fn failed(line: &str, words: &str) -> Answer {
    status(line, "", &json!({ "error": words }).to_string())
}

/// Prepares, and writes down what happens.
async fn play(case: Case, log: &mut String) {
    let Case {
        name,
        context,
        version,
        show,
        load,
        ps,
    } = case;
    let ps = Mutex::new(VecDeque::from(ps));
    let fake = Fake::answering(move |asked: &Asked| match asked.path.as_str() {
        "/api/version" => version.clone(),
        "/api/show" => show.clone(),
        "/api/ps" => {
            let mut ps = ps.lock().unwrap();
            if ps.len() > 1 {
                ps.pop_front().unwrap()
            } else {
                ps[0].clone()
            }
        }
        _ => load.clone(),
    })
    .await;
    let config = OllamaConfig {
        context,
        ..OllamaConfig::new("ollama:small", at(&fake.url), "small")
    };
    let model = OllamaLlm::new(config).unwrap();
    writeln!(log, "{name}").unwrap();
    let said = Mutex::new(Vec::new());
    let result = model
        .prepare(&|words| said.lock().unwrap().push(words.replace(&fake.url, "SERVER")))
        .await;
    for asked in fake.asked.lock().unwrap().iter() {
        write!(log, "  {} {}", asked.method, asked.path).unwrap();
        match &asked.body["options"] {
            Value::Null => writeln!(log).unwrap(),
            options => writeln!(log, " {options}").unwrap(),
        }
    }
    for words in said.into_inner().unwrap() {
        writeln!(log, "  ~ {words}").unwrap();
    }
    match result {
        Ok(capabilities) => {
            assert_eq!(model.capabilities(), capabilities);
            writeln!(log, "  = {}", described(&capabilities)).unwrap();
        }
        Err(error) => {
            let again = if error.is_transient() {
                "passing"
            } else {
                "for good"
            };
            writeln!(log, "  ! {again}: {}", told(&error, &fake.url)).unwrap();
        }
    }
}

fn described(capabilities: &Capabilities) -> String {
    let Capabilities {
        tools,
        schema,
        thinking,
        window,
        ..
    } = capabilities;
    let window = window.map(|window| format!("{} {:?}", window.tokens, window.basis));
    format!("tools {tools:?}, schema {schema:?}, thinking {thinking:?}, window {window:?}")
}

#[tokio::test]
async fn a_model_is_made_ready() {
    let capabilities = |words: Value| shown(json!({ "capabilities": words }));
    let cases = [
        Case::new("nothing is set"),
        Case {
            context: Some(65_536),
            ps: vec![ps(&json!(65_536))],
            ..Case::new("the operator sets a window")
        },
        Case {
            context: Some(65_536),
            show: show(8192),
            ps: vec![ps(&json!(8192))],
            ..Case::new("trained for less than is set")
        },
        Case {
            show: shown(json!({"parameters": "num_ctx 16384"})),
            ps: vec![ps(&json!(16_384))],
            ..Case::new("the Modelfile sets a window")
        },
        Case {
            ps: vec![ps(&json!(8192))],
            ..Case::new("the server has room for less")
        },
        Case {
            ps: vec![ps(&json!(8192)), ps(&json!(4096))],
            ..Case::new("the server has room for less and less")
        },
        Case {
            ps: vec![ps(&json!(131_072))],
            ..Case::new("it is loaded with more by somebody else")
        },
        Case {
            ps: vec![ps(&Value::Null)],
            ..Case::new("the server does not say what is loaded")
        },
        Case {
            ps: vec![failed("404 Not Found", "404 page not found")],
            ..Case::new("the server is older than the question what is loaded")
        },
        Case {
            ps: vec![sample("/api/ps", &json!({"models": []}))],
            ..Case::new("it is unloaded at once")
        },
        Case {
            version: sample("/api/version", &json!({"version": "0.4.7"})),
            show: whole(&json!({})),
            ps: vec![ps(&Value::Null)],
            ..Case::new("an old server that tells nothing")
        },
        Case {
            show: shown(json!({
                "capabilities": ["completion", "tools", "thinking"], "remote_host": "https://ollama.com",
                "model_info": {"general.architecture": "gptoss", "gptoss.context_length": 131_072},
            })),
            ..Case::new("it runs elsewhere")
        },
        Case {
            show: capabilities(json!(["completion", "thinking"])),
            ..Case::new("it thinks and has no tools")
        },
        Case {
            show: capabilities(json!(["embedding"])),
            ..Case::new("it is no model to talk to")
        },
        Case {
            show: failed("404 Not Found", "model 'small' not found"),
            ..Case::new("it is not there")
        },
        Case {
            version: failed("404 Not Found", "File Not Found"),
            ..Case::new("another server")
        },
        Case {
            version: status("200 OK", "content-type: text/html\r\n", "<html>"),
            ..Case::new("a web page")
        },
        Case {
            version: whole(&json!({"ok": true})),
            ..Case::new("a server without a version")
        },
        Case {
            load: failed(
                "500 No",
                "model requires more system memory (5.6 GiB) than is available (3.1 GiB)",
            ),
            ..Case::new("no room at all")
        },
        Case {
            load: failed(
                "503 Busy",
                "server busy, please try again. maximum pending requests exceeded",
            ),
            ..Case::new("the server has too much to do")
        },
    ];
    let mut log = String::new();
    for case in cases {
        play(case, &mut log).await;
    }
    insta::assert_snapshot!(log);
}

/// Answers as a server that has all, and counts how often it is told to load.
async fn ready(load: Answer) -> (Fake, std::sync::Arc<AtomicUsize>) {
    let loads = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = loads.clone();
    let fake = Fake::answering(move |asked: &Asked| match asked.path.as_str() {
        "/api/version" => whole(&json!({"version": "0.32.14"})),
        "/api/show" => show(131_072),
        "/api/ps" => ps(&json!(32_768)),
        _ if asked.body["messages"] == json!([]) => {
            counted.fetch_add(1, Ordering::SeqCst);
            load.clone()
        }
        _ => lines(&[json!({"done": true, "done_reason": "stop"})]),
    })
    .await;
    (fake, loads)
}

#[tokio::test]
async fn all_who_wait_share_one_preparation_and_later_ones_ask_nothing() {
    let slow = [vec![Step::Wait(Duration::from_millis(100))], load()].concat();
    let (fake, loads) = ready(slow).await;
    let config = OllamaConfig::new("ollama:small", at(&fake.url), "small");
    let model = OllamaLlm::new(config).unwrap();
    let said = AtomicUsize::new(0);
    let count = |_: &str| {
        said.fetch_add(1, Ordering::SeqCst);
    };
    let (one, two, three) = tokio::join!(
        model.prepare(&count),
        model.prepare(&count),
        model.prepare(&count)
    );
    assert_eq!(one.unwrap(), two.unwrap());
    three.unwrap();
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    let (asked, said_so_far) = (fake.paths().len(), said.load(Ordering::SeqCst));
    model.prepare(&count).await.unwrap();
    assert_eq!(
        (fake.paths().len(), said.load(Ordering::SeqCst)),
        (asked, said_so_far)
    );
}

#[tokio::test]
async fn who_goes_away_from_a_preparation_leaves_it_to_the_next() {
    let (fake, loads) = ready([vec![Step::Wait(SHORT)], load()].concat()).await;
    let config = OllamaConfig::new("ollama:small", at(&fake.url), "small");
    let model = OllamaLlm::new(config).unwrap();
    {
        let first = model.prepare(&|_| ());
        tokio::pin!(first);
        while loads.load(Ordering::SeqCst) == 0 {
            assert!(
                tokio::time::timeout(Duration::from_millis(5), &mut first)
                    .await
                    .is_err(),
                "it cannot be ready before it is loaded"
            );
        }
    }
    assert_eq!(model.capabilities().window, None);
    model.prepare(&|_| ()).await.unwrap();
    assert_eq!(model.capabilities().context_window(), Some(32_768));
}

#[tokio::test]
async fn what_failed_is_tried_again() {
    let tries = AtomicUsize::new(0);
    let fake = Fake::answering(move |asked: &Asked| match asked.path.as_str() {
        "/api/version" if tries.fetch_add(1, Ordering::SeqCst) == 0 => failed("503 Busy", "starting"),
        "/api/version" => whole(&json!({"version": "0.32.14"})),
        "/api/show" => show(131_072),
        "/api/ps" => ps(&json!(32_768)),
        _ => load(),
    })
    .await;
    let model = OllamaLlm::new(OllamaConfig::new("ollama:small", at(&fake.url), "small")).unwrap();
    let error = model.prepare(&|_| ()).await.unwrap_err();
    assert!(matches!(error, LlmError::Busy { .. }), "{error:?}");
    model.prepare(&|_| ()).await.unwrap();
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_tried_twice() {
    let (fake, _) = ready(failed("500 No", "model requires more system memory")).await;
    let model = OllamaLlm::new(OllamaConfig::new("ollama:small", at(&fake.url), "small")).unwrap();
    assert!(model.prepare(&|_| ()).await.unwrap_err().is_transient());
    assert_eq!(
        told(&model.prepare(&|_| ()).await.unwrap_err(), &fake.url),
        "SERVER refused the request (500): model requires more system memory (it failed twice at the same request)"
    );
}

#[tokio::test]
async fn loading_has_the_time_of_a_first_byte_and_no_more() {
    let (fake, _) = ready(vec![Step::Hang]).await;
    let bounds = Bounds {
        first_byte: SHORT,
        ..at(&fake.url).bounds
    };
    let config = OllamaConfig::new("ollama:small", within(&fake.url, bounds), "small");
    let model = OllamaLlm::new(config).unwrap();
    let error = model.prepare(&|_| ()).await.unwrap_err();
    assert_eq!(
        told(&error, &fake.url),
        "SERVER passed a bound: the answer did not come within 200ms"
    );
}

#[tokio::test]
async fn requests_go_out_with_the_window_that_was_verified() {
    let fake = Fake::answering(|asked: &Asked| match asked.path.as_str() {
        "/api/version" => whole(&json!({"version": "0.32.14"})),
        "/api/show" => show(131_072),
        "/api/ps" => ps(&json!(8192)),
        _ if asked.body["messages"] == json!([]) => load(),
        _ => lines(&[json!({"done": true, "done_reason": "stop"})]),
    })
    .await;
    let model = OllamaLlm::new(OllamaConfig::new("ollama:small", at(&fake.url), "small")).unwrap();
    model.prepare(&|_| ()).await.unwrap();
    let request = ChatRequest {
        messages: vec![Message::new(Role::User, "go")],
        max_tokens: 10,
        ..ChatRequest::default()
    };
    model.chat(request).await.unwrap().count().await;
    let asked = fake.asked.lock().unwrap();
    let windows: Vec<&Value> = asked
        .iter()
        .filter(|asked| asked.path == "/api/chat")
        .map(|asked| &asked.body["options"]["num_ctx"])
        .collect();
    assert_eq!(windows, [32_768, 8192, 8192]);
}
