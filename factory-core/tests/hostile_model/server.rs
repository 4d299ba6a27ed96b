//! A model server that does on a raw socket whatever a behaviour says, until it is told to be calm.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// What a server does with a request whose head is given. Errors are a client that has gone.
pub(crate) type Play = fn(&mut TcpStream) -> io::Result<()>;

/// The answer of a calm server.
pub(crate) const CALM: &str = "all is well";

/// The head of a stream that ends with the connection.
pub(crate) const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// The end of a reply.
pub(crate) const STOP: &str =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// The end of a reply of the messages protocol.
pub(crate) const END_TURN: &str = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n\
                                   data: {\"type\":\"message_stop\"}\n\n";

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct HostileServer {
    pub(crate) address: SocketAddr,
    is_calm: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
}

/// When a behaviour begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// As soon as a client connects.
    Connected,
    /// When a request was read.
    Asked,
    /// When a request for this path was read; others are answered with 404.
    AskedFor(&'static str),
}

impl HostileServer {
    pub(crate) fn start(begin: Begin, play: Play) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            is_calm: Arc::default(),
            requests: Arc::default(),
        };
        let (is_calm, requests) = (server.is_calm.clone(), server.requests.clone());
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let (is_calm, requests) = (is_calm.clone(), requests.clone());
                std::thread::spawn(move || {
                    // A client that has gone is the client's affair.
                    let _ = serve(&mut stream, begin, play, &is_calm, &requests);
                });
            }
        });
        server
    }

    /// From now on, every request is answered as it should be.
    pub(crate) fn calm_down(&self) {
        self.is_calm.store(true, Ordering::SeqCst);
    }

    /// Returns how many requests were read.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(
    stream: &mut TcpStream,
    begin: Begin,
    play: Play,
    is_calm: &AtomicBool,
    requests: &AtomicUsize,
) -> io::Result<()> {
    let is_hostile = !is_calm.load(Ordering::SeqCst);
    if is_hostile && begin == Begin::Connected {
        return play(stream);
    }
    let head = read_request(stream)?;
    requests.fetch_add(1, Ordering::SeqCst);
    match begin {
        _ if !is_hostile && head.starts_with("POST /v1/messages") => {
            send(stream, STREAM)?;
            send(stream, &block("text", &format!("\"text\":{CALM:?}")))?;
            send(stream, END_TURN)
        }
        _ if !is_hostile && head.starts_with("POST") => {
            send(stream, STREAM)?;
            send(stream, &text(CALM))?;
            send(stream, STOP)
        }
        Begin::Asked if is_hostile => play(stream),
        Begin::AskedFor(path) if is_hostile && head.split(' ').nth(1) == Some(path) => play(stream),
        _ => send(
            stream,
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ),
    }
}

/// Reads a request and returns its head.
fn read_request(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let mut read = |stream: &mut TcpStream, bytes: &mut Vec<u8>| match stream.read(&mut buffer)? {
        0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        count => {
            bytes.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    };
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        read(stream, &mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        read(stream, &mut bytes)?;
    }
    Ok(head)
}

/// Sends a text.
pub(crate) fn send(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())
}

/// Sends the same until the client has gone.
pub(crate) fn endless(stream: &mut TcpStream, piece: &[u8]) -> io::Result<()> {
    let many = piece.repeat((64 * 1024 / piece.len()).max(1));
    loop {
        stream.write_all(&many)?;
    }
}

/// Sends the same again and again, with pauses, until the client has gone.
pub(crate) fn drip(stream: &mut TcpStream, piece: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        stream.write_all(piece)?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits with the connection open until the client has gone.
pub(crate) fn hang(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 256];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Resets the connection instead of closing it.
pub(crate) fn reset(stream: &mut TcpStream) -> io::Result<()> {
    // What was sent before is to arrive, and not to be thrown away with the connection.
    std::thread::sleep(Duration::from_millis(50));
    rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO))?;
    Ok(())
}

/// Returns an event with a piece of text.
pub(crate) fn text(text: &str) -> String {
    event(&format!("{{\"content\":{text:?}}}"))
}

/// Returns an event with a delta.
pub(crate) fn event(delta: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n")
}

/// Returns an answer that says its length, with further headers.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Returns the beginning of a reply of the messages protocol, and in it the beginning of a block with more fields.
pub(crate) fn block(kind: &str, fields: &str) -> String {
    format!(
        "data: {{\"type\":\"message_start\",\"message\":{{}}}}\n\n\
         data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\"type\":{kind:?},{fields}}}}}\n\n"
    )
}
