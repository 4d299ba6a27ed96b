//! Servers that are hostile when they are asked what they serve.

use std::io;
use std::net::TcpStream;

use super::server::{Begin, answer, drip, endless, hang, send};
use super::{Behaviour, KEY, Wait};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";

fn json(stream: &mut TcpStream, body: &str) -> io::Result<()> {
    send(
        stream,
        &answer("200 OK", "content-type: application/json\r\n", body),
    )
}

const fn models(name: &'static str, play: super::server::Play) -> Behaviour {
    Behaviour::prepare(name, play).begins(Begin::AskedFor("/v1/models"))
}

pub(crate) const PREPARATIONS: &[Behaviour] = &[
    models("a list of models without an end", |stream| {
        send(stream, HEAD)?;
        send(stream, "{\"data\":[")?;
        endless(stream, b"{\"id\":\"model\"},")
    }),
    models("a list that takes a hundred times its room", |stream| {
        json(stream, &format!("[{}0]", "{\"a\":0},".repeat(500_000)))
    }),
    models("a list just short of the bound", |stream| {
        json(stream, &format!("[{}0]", "{\"id\":\"m\"},".repeat(49_000)))
    }),
    models("a list nested 100000 levels deep", |stream| {
        json(stream, &"[".repeat(100_000))
    }),
    models("a list that never comes", |stream| {
        send(stream, HEAD)?;
        hang(stream)
    })
    .waits(Wait::Idle),
    models("a list that drips", |stream| {
        send(stream, HEAD)?;
        drip(stream, b" ")
    })
    .waits(Wait::Idle),
    models("names that quote the key and more", |stream| {
        json(
            stream,
            &format!(
                "[{{\"id\":\"{KEY}\"}},{{\"id\":\"a\\u001b[2J\\n{}\"}}]",
                "b".repeat(150)
            ),
        )
    }),
    models("a list that redirects", |stream| {
        send(
            stream,
            &answer("302 Found", "location: http://127.0.0.2:1/\r\n", ""),
        )
    }),
    models("a list that is compressed", |stream| {
        send(stream, &answer("200 OK", "content-encoding: br\r\n", "xxxx"))
    }),
    models("a window of 2^64 - 1", |stream| {
        json(
            stream,
            "[{\"id\":\"small\",\"owned_by\":\"vllm\",\"max_model_len\":18446744073709551615}]",
        )
    }),
    models("a list for those who pay", |stream| {
        send(stream, &answer("403 No", "", "{\"error\":\"pay first\"}"))
    }),
    Behaviour::prepare("loading for ever", |stream| {
        send(stream, &answer("503 Busy", "retry-after: 9999999\r\n", "loading"))
    })
    .begins(Begin::AskedFor("/health"))
    .waits(Wait::FirstByte),
    Behaviour::prepare("properties nested and endless", |stream| {
        send(stream, HEAD)?;
        endless(stream, b"{\"default_generation_settings\":")
    })
    .begins(Begin::AskedFor("/props")),
];
