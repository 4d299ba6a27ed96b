//! Servers that speak the messages protocol, and are hostile in what their events say.

use std::io;
use std::net::TcpStream;

use super::server::{END_TURN, STREAM, answer, block, drip, endless, send};
use super::{Behaviour, Wait};

fn stream_of(stream: &mut TcpStream, body: &str) -> io::Result<()> {
    send(stream, STREAM)?;
    send(stream, body)
}

fn delta(kind: &str, field: &str, text: &str) -> String {
    format!(
        "data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":{kind:?},{field:?}:{text:?}}}}}\n\n"
    )
}

pub(crate) const MESSAGES: &[Behaviour] = &[
    Behaviour::messages("messages: overloaded in the middle", |stream| {
        stream_of(
            stream,
            &format!(
                "{}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\"}}}}\n\n",
                block("text", "\"text\":\"hello\"")
            ),
        )
    }),
    Behaviour::messages("messages: 529 with a date in the past", |stream| {
        send(
            stream,
            &answer(
                "529 Overloaded",
                "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
            ),
        )
    }),
    Behaviour::messages("messages: pings and nothing else", |stream| {
        stream_of(stream, &block("text", "\"text\":\"hello\""))?;
        drip(
            stream,
            "event: ping\ndata: {\"type\":\"ping\"}\n\n".repeat(5).as_bytes(),
        )
    })
    .waits(Wait::Pace),
    Behaviour::messages("messages: an end without a beginning", |stream| {
        stream_of(stream, END_TURN)
    }),
    Behaviour::messages("messages: a text without an end", |stream| {
        stream_of(stream, &block("text", "\"text\":\"\""))?;
        for number in 0_u64.. {
            send(
                stream,
                &delta("text_delta", "text", &format!("{number} bottles of beer. ")),
            )?;
        }
        Ok(())
    }),
    Behaviour::messages("messages: thinking without an end", |stream| {
        stream_of(stream, &block("thinking", "\"thinking\":\"\""))?;
        for number in 0_u64.. {
            send(
                stream,
                &delta("thinking_delta", "thinking", &format!("Let me see, {number}. ")),
            )?;
        }
        Ok(())
    }),
    Behaviour::messages("messages: the same argument for ever", |stream| {
        stream_of(stream, &block("tool_use", "\"id\":\"a\",\"name\":\"f\""))?;
        endless(
            stream,
            delta("input_json_delta", "partial_json", "0, ").as_bytes(),
        )
    }),
    Behaviour::messages("messages: blocks without an end", |stream| {
        send(stream, STREAM)?;
        endless(
            stream,
            block("tool_use", "\"id\":\"a\",\"name\":\"f\"").as_bytes(),
        )
    }),
    Behaviour::messages("messages: arguments for a block that is not there", |stream| {
        stream_of(
            stream,
            &format!(
                "{}{}{END_TURN}",
                block("text", "\"text\":\"hello\""),
                delta("input_json_delta", "partial_json", "{")
            ),
        )
    }),
    Behaviour::messages("messages: counts near 2^64", |stream| {
        let most = u64::MAX;
        stream_of(
            stream,
            &format!(
                "{}data: {{\"type\":\"message_delta\",\"delta\":{{}},\"usage\":{{\"input_tokens\":{most},\
                 \"cache_read_input_tokens\":{most},\"output_tokens\":{most}}}}}\n\n{END_TURN}",
                block("text", "\"text\":\"hello\"")
            ),
        )
    }),
    Behaviour::messages("messages: JSON that takes a hundred times its room", |stream| {
        send(stream, STREAM)?;
        let many = "{\"a\":0},".repeat(120_000);
        endless(stream, format!("data: [{many}0]\n\n").as_bytes())
    }),
];
