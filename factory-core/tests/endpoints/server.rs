//! A model server of a few lines, which answers each request by a function of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What was asked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The head, in lower case.
    pub(crate) head: String,
    /// Null where there is none.
    pub(crate) body: Value,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
    /// Sent again and again until the client has gone.
    again: Vec<u8>,
}

impl Answer {
    fn of(head: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        Self {
            bytes: format!("{head}{body}").into_bytes(),
            again: Vec::new(),
        }
    }

    pub(crate) fn json(value: &Value) -> Self {
        Self::of("200 OK\r\ncontent-type: application/json", &value.to_string())
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::of(&format!("{status} No"), body)
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::of(&format!("302 Found\r\nlocation: {to}"), "")
    }

    pub(crate) fn lines(lines: &str) -> Self {
        Self::of("200 OK\r\ncontent-type: application/x-ndjson", lines)
    }

    pub(crate) fn endless_lines(line: &str) -> Self {
        Self {
            bytes: b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n"
                .to_vec(),
            again: line.as_bytes().to_vec(),
        }
    }
}

/// A server that runs until its test ends.
#[derive(Debug)]
pub(crate) struct ModelServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    open: watch::Receiver<usize>,
}

impl ModelServer {
    pub(crate) async fn start(answer: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, open) = watch::channel(0);
        let (answer, count, counted) = (Arc::new(answer), Arc::new(count), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, count, counted) =
                    (Arc::clone(&answer), Arc::clone(&count), Arc::clone(&counted));
                tokio::spawn(async move {
                    count.send_modify(|open| *open += 1);
                    // A client that has gone is the client's affair.
                    let _ = serve(stream, &*answer, &counted).await;
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { address, asked, open }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns how many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until no connection is open any more.
    pub(crate) async fn until_all_have_gone(&self) {
        self.open.clone().wait_for(|open| *open == 0).await.unwrap();
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(Request) -> Answer + Send + Sync),
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let (head, length) = loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            let lower = head.to_lowercase();
            let length = lower
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next()?.trim().parse().ok());
            break (head, length.unwrap_or(0));
        }
    };
    while bytes.len() < length {
        let count = stream.read(&mut buffer).await?;
        bytes.extend_from_slice(&buffer[..count]);
    }
    let mut words = head.split(' ');
    let request = Request {
        method: words.next().unwrap().to_owned(),
        path: words.next().unwrap().to_owned(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        head: head.to_lowercase(),
    };
    asked.fetch_add(1, Ordering::SeqCst);
    let answer = answer(request);
    stream.write_all(&answer.bytes).await?;
    if !answer.again.is_empty() {
        while stream.write_all(&answer.again).await.is_ok() {}
    }
    stream.shutdown().await
}
