//! Servers that are hostile in how they carry the reply: lengths, chunks, compression, pace, connections that break.

use std::io::Write;

use super::server::{STOP, STREAM, answer, drip, endless, event, hang, reset, send, text};
use super::{Behaviour, Wait};

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

pub(crate) const FRAMES: &[Behaviour] = &[
    Behaviour::chat("a length that is too short", |stream| {
        let body = format!("{}{STOP}", text("hello"));
        send(stream, "HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n")?;
        send(stream, &body)
    }),
    Behaviour::chat("a length that is too long", |stream| {
        send(stream, "HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n")?;
        send(stream, &text("hello"))
    }),
    Behaviour::chat("chunks of nonsense", |stream| {
        send(stream, CHUNKED)?;
        send(stream, "what\r\nno chunk\r\n")
    }),
    Behaviour::chat("a chunk longer than numbers go", |stream| {
        send(stream, CHUNKED)?;
        send(stream, "ffffffffffffffffff\r\n")?;
        endless(stream, b"x")
    }),
    Behaviour::chat("a chunk that promises 2^63 bytes", |stream| {
        send(stream, CHUNKED)?;
        send(stream, "7fffffffffffffff\r\n")?;
        endless(stream, text("hello ").as_bytes())
    }),
    Behaviour::chat("an extension of a chunk without an end", |stream| {
        send(stream, CHUNKED)?;
        send(stream, "5;")?;
        endless(stream, b"extension")
    }),
    Behaviour::chat("trailers without an end", |stream| {
        send(stream, CHUNKED)?;
        let body = text("hello");
        send(stream, &format!("{:x}\r\n{body}\r\n0\r\n", body.len()))?;
        endless(stream, b"x-more: and more\r\n")
    }),
    Behaviour::chat("chunks of one byte, and all is well", |stream| {
        send(stream, CHUNKED)?;
        let body = format!("{}{STOP}", text("hello"));
        let chunks: Vec<String> = body.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
        send(stream, &format!("{}0\r\n\r\n", chunks.concat()))
    }),
    Behaviour::chat("chunks that break off", |stream| {
        send(stream, CHUNKED)?;
        send(stream, &format!("1000\r\n{}", text("hello")))
    }),
    Behaviour::chat("an answer after the answer", |stream| {
        send(
            stream,
            &answer("200 OK", "", &format!("{}{STOP}", text("hello"))).replace("connection: close\r\n", ""),
        )?;
        send(
            stream,
            &answer("200 OK", "", &format!("{}{STOP}", text("poison"))).replace("connection: close\r\n", ""),
        )?;
        hang(stream)
    }),
];

pub(crate) const COMPRESSED: &[Behaviour] = &[
    Behaviour::chat("a bomb of gzip", |stream| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n",
        )?;
        endless(stream, b"\x1f\x8b\x08\0\0\0\0\0")
    }),
    Behaviour::chat("brotli within gzip", |stream| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip, br\r\ncontent-type: application/json\r\n\r\n",
        )?;
        endless(stream, b"\x1f\x8b\x08\0\0\0\0\0")
    }),
    Behaviour::chat("gzip that is not announced", |stream| {
        send(stream, STREAM)?;
        endless(stream, b"\x1f\x8b\x08\0\0\0\0\0")
    }),
    Behaviour::chat("an encoding that changes nothing", |stream| {
        send(stream, "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\n\r\n")?;
        send(stream, &text("hello"))?;
        send(stream, STOP)
    }),
];

pub(crate) const PACE: &[Behaviour] = &[
    Behaviour::chat("silence before the first piece", |stream| {
        send(stream, STREAM)?;
        hang(stream)
    })
    .waits(Wait::FirstByte),
    Behaviour::chat("silence after the first piece", |stream| {
        send(stream, STREAM)?;
        send(stream, &text("hello"))?;
        hang(stream)
    })
    .waits(Wait::Idle),
    Behaviour::chat("silence after the reason for the end", |stream| {
        send(stream, STREAM)?;
        send(stream, &text("hello"))?;
        send(
            stream,
            STOP.split_once("data: [DONE]").map_or(STOP, |(stop, _)| stop),
        )?;
        hang(stream)
    })
    .waits(Wait::Idle),
    Behaviour::chat("a byte at a time", |stream| {
        send(stream, STREAM)?;
        send(stream, "data: ")?;
        drip(stream, b"x")
    })
    .waits(Wait::Pace),
    Behaviour::chat("signs of life and nothing else", |stream| {
        send(stream, STREAM)?;
        send(stream, &text("hello"))?;
        drip(
            stream,
            ": still working on it, really, it cannot take much longer now\n\n"
                .repeat(3)
                .as_bytes(),
        )
    })
    .waits(Wait::Pace),
    Behaviour::chat("empty events and nothing else", |stream| {
        send(stream, STREAM)?;
        drip(stream, "data: \n\nid: 7\nretry: 1\n\n".repeat(5).as_bytes())
    })
    .waits(Wait::Pace),
    Behaviour::chat("the end of the connection in the middle", |stream| {
        send(stream, STREAM)?;
        send(stream, &text("hello"))?;
        send(stream, "data: {\"choices\":[{\"del")
    }),
    Behaviour::chat("a reset in the middle", |stream| {
        send(stream, STREAM)?;
        send(stream, &text("hello"))?;
        stream.flush()?;
        reset(stream)
    }),
    Behaviour::chat("a reset after the reason for the end", |stream| {
        send(stream, STREAM)?;
        send(stream, &event("{\"content\":\"hello\"}"))?;
        send(
            stream,
            STOP.split_once("data: [DONE]").map_or(STOP, |(stop, _)| stop),
        )?;
        reset(stream)
    }),
];
