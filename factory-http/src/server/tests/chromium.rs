//! A real browser, steered over its debugging protocol: just enough to open pages and to ask them things.

use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long a step of the browser may take before the test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// The pause between two looks at a page.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A browser with one page. It ends with the test.
pub(super) struct Browser {
    _profile: TempDir,
    _process: Child,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    asked: u64,
}

impl Browser {
    /// Starts a browser that knows nothing yet.
    pub(super) async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("`chromium` can be started; `apt-get install chromium` gets it");
        let address = debugging_address(&profile.path().join("DevToolsActivePort")).await;
        let (socket, _) = connect_async(address).await.unwrap();
        let mut browser = Self {
            _profile: profile,
            _process: process,
            socket,
            session: String::new(),
            asked: 0,
        };
        let made = browser
            .ask("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let attach = json!({"targetId": made["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", attach).await;
        attached["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        browser
    }

    /// Opens an address in the page.
    pub(super) async fn open(&mut self, url: &str) {
        let opened = self.ask("Page.navigate", json!({"url": url})).await;
        assert!(opened.get("errorText").is_none(), "{url}: {opened}");
    }

    /// Runs a script in the page and returns what it comes to.
    pub(super) async fn run(&mut self, script: &str) -> Value {
        let asked = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", asked).await;
        assert!(answer.get("exceptionDetails").is_none(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until the page shows the text.
    pub(super) async fn wait_for(&mut self, text: &str) {
        let mut shown = String::new();
        let seen = tokio::time::timeout(PATIENCE, async {
            while !shown.contains(text) {
                tokio::time::sleep(LOOK_AGAIN).await;
                let value = self.run("document.body ? document.body.innerText : ''").await;
                value.as_str().unwrap_or_default().clone_into(&mut shown);
            }
        });
        let seen = seen.await;
        assert!(seen.is_ok(), "the page does not show `{text}` but `{shown}`");
    }

    async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut request = json!({"id": self.asked, "method": method, "params": parameters});
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        self.socket
            .send(Message::text(request.to_string()))
            .await
            .unwrap();
        let answered = tokio::time::timeout(PATIENCE, async {
            while let Some(message) = self.socket.next().await {
                let Ok(text) = message.unwrap().into_text() else {
                    continue;
                };
                let Ok(answer) = serde_json::from_str::<Value>(&text) else {
                    continue;
                };
                if answer["id"] == self.asked {
                    assert!(answer.get("error").is_none(), "{method}: {answer}");
                    return answer["result"].clone();
                }
            }
            panic!("the browser went away at {method}")
        });
        answered.await.expect("the browser answers")
    }
}

/// Returns where the browser can be steered, once it has written that down.
async fn debugging_address(file: &Path) -> String {
    let written = async {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n')
                && !path.is_empty()
            {
                return format!("ws://127.0.0.1:{}{}", port.trim(), path.trim());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, written)
        .await
        .expect("chromium says where it can be steered")
}
