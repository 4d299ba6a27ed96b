//! Servers that are hostile in what the reply says: its lines, its JSON, its length, its tool calls, its counts.

use std::io::{self, Write};
use std::net::TcpStream;

use super::Behaviour;
use super::server::{STOP, STREAM, answer, endless, event, send, text};

/// A stream of the text and nothing else.
fn stream_of(stream: &mut TcpStream, body: &str) -> io::Result<()> {
    send(stream, STREAM)?;
    send(stream, body)
}

/// A stream of the text, and then of a piece without an end.
fn endless_after(stream: &mut TcpStream, body: &str, piece: &str) -> io::Result<()> {
    stream_of(stream, body)?;
    endless(stream, piece.as_bytes())
}

/// A reply of the text with a token count.
fn counted(stream: &mut TcpStream, said: &str, usage: &str) -> io::Result<()> {
    let finish = STOP.split_once("data: [DONE]").map_or(STOP, |(stop, _)| stop);
    stream_of(
        stream,
        &format!(
            "{}{finish}data: {{\"choices\":[],\"usage\":{usage}}}\n\n",
            text(said)
        ),
    )
}

fn call(fragment: &str) -> String {
    event(&format!("{{\"tool_calls\":[{fragment}]}}"))
}

pub(crate) const LINES: &[Behaviour] = &[
    Behaviour::chat("a line without an end", |stream| {
        endless_after(stream, "data: ", "xxxxxxxx")
    }),
    Behaviour::chat("an event without an end", |stream| {
        endless_after(stream, "", "data: more of the same event\n")
    }),
    Behaviour::chat("comments without an end", |stream| {
        endless_after(stream, &text("hello"), ": ping\n\n")
    }),
    Behaviour::chat("blank lines without an end", |stream| {
        endless_after(stream, "", "\n")
    }),
    Behaviour::chat("a mark of the order of bytes, and all is well", |stream| {
        stream_of(stream, &format!("\u{feff}{}{STOP}", text("hello")))
    }),
    Behaviour::chat("lines that end in CR alone, and all is well", |stream| {
        stream_of(stream, &format!("{}{STOP}", text("hello")).replace('\n', "\r"))
    }),
    Behaviour::chat("bad UTF-8 within a text", |stream| {
        send(stream, STREAM)?;
        stream.write_all(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\xc3b\"}}]}\n\n")?;
        send(stream, STOP)
    }),
    Behaviour::chat("NUL bytes within a text", |stream| {
        stream_of(stream, &format!("{}{STOP}", event("{\"content\":\"a\0b\"}")))
    }),
    Behaviour::chat("NULs written as JSON", |stream| {
        stream_of(stream, &format!("{}{STOP}", event("{\"content\":\"a\\u0000b\"}")))
    }),
    Behaviour::chat("NULs between the events without an end", |stream| {
        endless_after(stream, &text("hello"), "\0\0\0\0")
    }),
];

pub(crate) const JSON: &[Behaviour] = &[
    Behaviour::chat("JSON nested 100000 levels deep", |stream| {
        stream_of(stream, &format!("data: {}\n\n", "[".repeat(100_000)))
    }),
    Behaviour::chat("a number as large as 1e999", |stream| {
        stream_of(
            stream,
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1e999}}\n\n",
        )
    }),
    Behaviour::chat("half of a surrogate pair", |stream| {
        stream_of(stream, &event("{\"content\":\"\\ud83d\"}"))
    }),
    Behaviour::chat("JSON that takes a hundred times its room", |stream| {
        let many = "{\"a\":0},".repeat(120_000);
        endless_after(stream, "", &format!("data: {{\"choices\":[{many}0]}}\n\n"))
    }),
    Behaviour::chat("a page where a stream was asked for", |stream| {
        send(
            stream,
            &answer("200 OK", "content-type: text/html\r\n", "<html>Welcome!</html>"),
        )
    }),
    Behaviour::chat("a page that claims to be a stream", |stream| {
        stream_of(stream, "<!doctype html>\n<html>\n<body>Welcome!</body></html>\n")
    }),
    Behaviour::chat("an error with 200", |stream| {
        send(
            stream,
            &answer(
                "200 OK",
                "content-type: application/json\r\n",
                "{\"error\":{\"message\":\"no credit\",\"code\":402}}",
            ),
        )
    }),
    Behaviour::chat("an error within the stream", |stream| {
        stream_of(
            stream,
            &format!(
                "{}data: {{\"error\":{{\"message\":\"out of memory\",\"code\":500}}}}\n\n",
                text("hello")
            ),
        )
    }),
    Behaviour::chat("an error about the window within the stream", |stream| {
        stream_of(
            stream,
            "data: {\"error\":{\"message\":\"too long\",\"type\":\"exceed_context_size_error\",\"code\":400}}\n\n",
        )
    }),
    Behaviour::chat("an end and no reply", |stream| {
        stream_of(stream, "data: [DONE]\n\n")
    }),
    Behaviour::chat("fields of the wrong kinds", |stream| {
        stream_of(
            stream,
            &format!(
                "data: {{\"choices\":{{}},\"usage\":\"many\"}}\n\n{}{}{STOP}",
                event("[1,2]"),
                event("{\"content\":{\"text\":1},\"tool_calls\":{\"index\":\"x\"}}"),
            ),
        )
    }),
];

pub(crate) const LENGTH: &[Behaviour] = &[
    Behaviour::chat("a text without an end", |stream| {
        send(stream, STREAM)?;
        for number in 0_u64.. {
            send(
                stream,
                &text(&format!("{number} bottles of beer on the wall. ").repeat(3)),
            )?;
        }
        Ok(())
    }),
    Behaviour::chat("thinking without an end", |stream| {
        send(stream, STREAM)?;
        for number in 0_u64.. {
            send(
                stream,
                &event(&format!("{{\"reasoning_content\":\"Let me see, {number}. \"}}")),
            )?;
        }
        Ok(())
    }),
    Behaviour::chat("the same token for ever", |stream| {
        endless_after(stream, &text("hello"), &text(" the"))
    }),
    Behaviour::chat("the same thought for ever", |stream| {
        endless_after(stream, "", &event("{\"reasoning_content\":\"But wait. \"}"))
    }),
    Behaviour::chat("blank text for ever", |stream| {
        endless_after(stream, &text("{"), &text("\n"))
    }),
    Behaviour::chat("pieces of nothing for ever", |stream| {
        endless_after(stream, &text("hello"), &event("{\"content\":\"\"}"))
    }),
];

pub(crate) const CALLS: &[Behaviour] = &[
    Behaviour::chat("a million tool calls", |stream| {
        send(stream, STREAM)?;
        for number in 0..1_000_000 {
            let fragment =
                format!("{{\"index\":{number},\"id\":\"c{number}\",\"function\":{{\"name\":\"f\"}}}}");
            send(stream, &call(&fragment))?;
        }
        Ok(())
    }),
    Behaviour::chat("ten thousand tool calls at once", |stream| {
        let many = vec!["{\"function\":{\"name\":\"f\",\"arguments\":{}}}"; 10_000].join(",");
        stream_of(stream, &call(&many))
    }),
    Behaviour::chat("the same id for all calls", |stream| {
        let one = "{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{}}}";
        stream_of(stream, &format!("{}{STOP}", call(&[one; 3].join(","))))
    }),
    Behaviour::chat("an index of 2^64 - 1", |stream| {
        let fragment = "{\"index\":18446744073709551615,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}";
        stream_of(stream, &format!("{}{STOP}", call(fragment)))
    }),
    Behaviour::chat("a call without a name", |stream| {
        stream_of(
            stream,
            &format!("{}{STOP}", call("{\"index\":0,\"function\":{}}")),
        )
    }),
    Behaviour::chat("arguments without an end", |stream| {
        send(stream, STREAM)?;
        send(
            stream,
            &call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}"),
        )?;
        for number in 0_u64.. {
            send(
                stream,
                &call(&format!(
                    "{{\"index\":0,\"function\":{{\"arguments\":\"{number} \"}}}}"
                )),
            )?;
        }
        Ok(())
    }),
    Behaviour::chat("the same argument for ever", |stream| {
        endless_after(
            stream,
            "",
            &call("{\"index\":0,\"function\":{\"arguments\":\"0, \"}}"),
        )
    }),
    Behaviour::chat("a name without an end", |stream| {
        let piece = |name| call(&format!("{{\"index\":0,\"function\":{{\"name\":\"{name}\"}}}}"));
        endless_after(stream, "", &format!("{}{}", piece("read_"), piece("and_write_")))
    }),
];

pub(crate) const COUNTS: &[Behaviour] = &[
    Behaviour::chat("counts near 2^64", |stream| {
        counted(
            stream,
            "hello",
            "{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":18446744073709551615}",
        )
    }),
    Behaviour::chat("counts of nothing for much", |stream| {
        counted(
            stream,
            &(0..400)
                .map(|number| format!("line {number}, "))
                .collect::<Vec<_>>()
                .concat(),
            "{\"prompt_tokens\":0,\"completion_tokens\":0}",
        )
    }),
    Behaviour::chat("counts below zero and in halves", |stream| {
        counted(
            stream,
            "hello",
            "{\"prompt_tokens\":-5,\"completion_tokens\":1.5}",
        )
    }),
    Behaviour::chat(
        "a cache larger than the prompt, and a price of billions",
        |stream| {
            counted(
                stream,
                "hello",
                "{\"prompt_tokens\":900,\"completion_tokens\":2,\
             \"prompt_tokens_details\":{\"cached_tokens\":901},\"cost\":3e9}",
            )
        },
    ),
];
