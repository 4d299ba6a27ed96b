//! Servers that are hostile before the reply begins: connections, status lines, headers, refusals.

use std::io::{self, Write};
use std::net::TcpStream;

use super::server::{Begin, STOP, STREAM, answer, drip, endless, hang, reset, send, text};
use super::{Behaviour, KEY, Wait};

/// Sends a whole answer.
fn whole(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> io::Result<()> {
    send(stream, &answer(status, headers, body))
}

/// A good reply after a head of its own.
fn good_after(stream: &mut TcpStream, head: &str) -> io::Result<()> {
    send(stream, head)?;
    send(stream, &text("hello"))?;
    send(stream, STOP)
}

pub(crate) const CONNECTIONS: &[Behaviour] = &[
    Behaviour::chat("closes without a word", |_| Ok(())).varies(),
    Behaviour::chat("resets without a word", reset).varies(),
    Behaviour::chat("closes before the request is read", |_| Ok(()))
        .begins(Begin::Connected)
        .varies(),
    Behaviour::chat("never answers", hang).waits(Wait::FirstByte),
    Behaviour::chat("stops within the status line", |stream| {
        send(stream, "HTTP/1.1 2")?;
        hang(stream)
    })
    .waits(Wait::FirstByte),
    Behaviour::chat("speaks before it is asked", |stream| {
        send(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")?;
        hang(stream)
    })
    .begins(Begin::Connected)
    .waits(Wait::FirstByte)
    .varies(),
    Behaviour::chat("is a mail server", |stream| send(stream, "220 mail ready\r\n")),
    Behaviour::chat("speaks TLS to plain HTTP", |stream| {
        stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46")
    }),
    Behaviour::chat("speaks HTTP/2", |stream| {
        stream.write_all(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64")
    }),
    Behaviour::chat("speaks HTTP/1.0, well", |stream| {
        good_after(
            stream,
            "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n",
        )
    }),
    Behaviour::tls("garbage instead of TLS", |stream| {
        endless(stream, b"not TLS at all ")
    })
    .begins(Begin::Connected),
    Behaviour::tls("a TLS handshake that never goes on", hang)
        .begins(Begin::Connected)
        .waits(Wait::Connect),
    Behaviour::tls("a TLS handshake that drips", |stream| {
        stream.write_all(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xf0")?;
        drip(stream, b"\0")
    })
    .begins(Begin::Connected)
    .waits(Wait::Connect),
    Behaviour::tls("a TLS alert", |stream| {
        stream.write_all(b"\x15\x03\x03\x00\x02\x02\x28")
    })
    .begins(Begin::Connected),
];

pub(crate) const HEADERS: &[Behaviour] = &[
    Behaviour::chat("a head that drips", |stream| {
        send(stream, "HTTP/1.1 200 OK\r\nx-drip: ")?;
        drip(stream, b"a")
    })
    .waits(Wait::FirstByte),
    Behaviour::chat("a header without an end", |stream| {
        send(stream, "HTTP/1.1 200 OK\r\nx-long: ")?;
        endless(stream, b"aaaaaaaa")
    }),
    Behaviour::chat("headers without an end", |stream| {
        send(stream, "HTTP/1.1 200 OK\r\n")?;
        endless(stream, b"x-more: and more\r\n")
    }),
    Behaviour::chat("a header of 300 KB, and all is well", |stream| {
        let long = "a".repeat(300 * 1024);
        good_after(
            stream,
            &format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-long: {long}\r\n\r\n"),
        )
    }),
    Behaviour::chat("a NUL within a header", |stream| {
        good_after(stream, "HTTP/1.1 200 OK\r\nx-nul: a\0b\r\n\r\n")
    }),
    Behaviour::chat("bad UTF-8 within the media type", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/\xff\xfe\r\n\r\n")?;
        send(stream, &text("hello"))?;
        send(stream, STOP)
    }),
    Behaviour::chat("100 Continue, and all is well", |stream| {
        send(stream, "HTTP/1.1 100 Continue\r\n\r\n")?;
        good_after(stream, STREAM)
    }),
    Behaviour::chat("100 Continue without an end", |stream| {
        drip(stream, "HTTP/1.1 100 Continue\r\n\r\n".repeat(100).as_bytes())
    })
    .waits(Wait::FirstByte),
    Behaviour::chat("101 Switching Protocols", |stream| {
        send(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        )?;
        hang(stream)
    }),
    Behaviour::chat("status 999", |stream| whole(stream, "999 What", "", "no")),
    Behaviour::chat("status 99", |stream| whole(stream, "99 What", "", "no")),
    Behaviour::chat("two lengths that differ", |stream| {
        good_after(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 500\r\n\r\n",
        )
    }),
    Behaviour::chat("a length below zero", |stream| {
        good_after(stream, "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n")
    }),
    Behaviour::chat("a length of 2^64", |stream| {
        good_after(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n",
        )
    }),
    Behaviour::chat("a length and chunks", |stream| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        let body = format!("{}{STOP}", text("hello"));
        send(stream, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
    }),
    Behaviour::chat("an encoding of the transfer that nobody knows", |stream| {
        good_after(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n")
    }),
];

pub(crate) const REFUSALS: &[Behaviour] = &[
    Behaviour::chat("204 without a reply", |stream| {
        send(stream, "HTTP/1.1 204 No Content\r\n\r\n")
    }),
    Behaviour::chat("206 with a part", |stream| {
        whole(stream, "206 Partial Content", "", STOP)
    }),
    Behaviour::chat("304 Not Modified", |stream| {
        send(stream, "HTTP/1.1 304 Not Modified\r\n\r\n")
    }),
    Behaviour::chat("redirects to a file", |stream| {
        whole(stream, "302 Found", "location: file:///etc/passwd\r\n", "")
    }),
    Behaviour::chat("redirects to another host", |stream| {
        whole(stream, "307 There", "location: http://127.0.0.2:1/v1\r\n", "")
    }),
    Behaviour::chat("redirects to itself", |stream| {
        whole(stream, "308 Here", "location: /v1/chat/completions\r\n", "")
    }),
    Behaviour::chat("401 that echoes the key", |stream| {
        whole(
            stream,
            "401 No",
            "",
            &format!("{{\"error\":{{\"message\":\"bad key {KEY}\"}}}}"),
        )
    }),
    Behaviour::chat("the key as the media type", |stream| {
        whole(
            stream,
            "200 OK",
            &format!("content-encoding: {KEY}\r\ncontent-type: application/json\r\n"),
            KEY,
        )
    }),
    Behaviour::chat("404 for the model", |stream| {
        whole(stream, "404 No", "", "{\"error\":\"model 'small' not found\"}")
    }),
    Behaviour::chat("413", |stream| whole(stream, "413 Too Large", "", "")),
    Behaviour::chat("429 for seven seconds", |stream| {
        whole(stream, "429 Slow", "retry-after: 7\r\n", "later")
    }),
    Behaviour::chat("429 until the year 9999", |stream| {
        whole(
            stream,
            "429 Slow",
            "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
            "later",
        )
    }),
    Behaviour::chat("429 for longer than a number holds", |stream| {
        whole(
            stream,
            "429 Slow",
            "retry-after: 99999999999999999999999\r\n",
            "later",
        )
    }),
    Behaviour::chat("429 for less than nothing", |stream| {
        whole(stream, "429 Slow", "retry-after: -5\r\n", "later")
    }),
    Behaviour::chat("503 as a page", |stream| {
        whole(
            stream,
            "503 Busy",
            "content-type: text/html\r\n",
            "<html>busy\u{1b}[2J</html>",
        )
    }),
    Behaviour::chat("500 without an end", |stream| {
        send(stream, "HTTP/1.1 500 No\r\n\r\n")?;
        endless(stream, b"sorry ")
    }),
    Behaviour::chat("500 that says nothing for ever", |stream| {
        send(stream, "HTTP/1.1 500 No\r\n\r\n")?;
        hang(stream)
    })
    .waits(Wait::Idle),
    Behaviour::chat("400 that drips", |stream| {
        send(stream, "HTTP/1.1 400 No\r\n\r\n")?;
        drip(stream, b"z")
    })
    .waits(Wait::Idle)
    .varies(),
    Behaviour::chat("400 nested 100000 levels deep", |stream| {
        whole(
            stream,
            "400 No",
            "",
            &format!("{{\"error\":{}", "[".repeat(100_000)),
        )
    }),
    Behaviour::chat("400 that blames a field again and again", |stream| {
        whole(
            stream,
            "400 No",
            "",
            "{\"error\":\"unsupported: max_tokens, stream_options, seed, temperature\"}",
        )
    }),
    Behaviour::chat("an error that is compressed", |stream| {
        whole(stream, "500 No", "content-encoding: gzip\r\n", "\u{1f}\u{8b}")
    }),
];
