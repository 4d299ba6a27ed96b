//! What servers send, and what is made of it.

use serde_json::json;

use super::*;

/// Feeds the events and returns all pieces, or the problem.
fn assemble(events: &[Value]) -> Result<Vec<Delta>, Problem> {
    let mut assembly = AnthropicAssembly::new(3);
    let mut deltas = Vec::new();
    for event in events {
        assembly.take(text(event, "type"), &event.to_string(), &mut deltas)?;
    }
    deltas.extend(assembly.finish()?);
    Ok(deltas)
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "m", "content": [], "stop_reason": null}})
}

fn block(index: u64, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}})
}

fn input(index: u64, piece: &str) -> Value {
    delta(index, &json!({"type": "input_json_delta", "partial_json": piece}))
}

fn tool(index: u64, id: &str, name: &str) -> Value {
    block(
        index,
        &json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
    )
}

fn call(id: &str, name: &str, arguments: &str) -> Delta {
    Delta::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

#[test]
fn thinking_text_and_counts_come_in_pieces() {
    let mut begin = start();
    begin["message"]["usage"] = json!({
        "input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 5, "output_tokens": 1,
    });
    let mut end = stop("end_turn");
    end["usage"] = json!({"output_tokens": 7});
    assert_eq!(
        assemble(&[
            begin,
            json!({"type": "ping"}),
            block(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
            delta(0, &json!({"type": "thinking_delta", "thinking": "hm"})),
            delta(0, &json!({"type": "signature_delta", "signature": "abc"})),
            json!({"type": "content_block_stop", "index": 0}),
            block(1, &json!({"type": "text", "text": ""})),
            delta(1, &json!({"type": "text_delta", "text": "a"})),
            delta(1, &json!({"type": "text_delta", "text": "b"})),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "novelty"}),
            end,
            json!({"type": "message_stop"}),
            json!({"type": "error", "error": {"type": "late"}}),
        ]),
        Ok(vec![
            Delta::Thinking("hm".to_owned()),
            Delta::Text("a".to_owned()),
            Delta::Text("b".to_owned()),
            Delta::Usage(TokenCount {
                prompt: Some(115),
                completion: Some(7),
                cached: Some(100),
                cost_micros: None,
            }),
            Delta::End(EndReason::Stop),
        ])
    );
}

#[test]
fn a_call_grows_by_its_index() {
    assert_eq!(
        assemble(&[
            start(),
            tool(0, "a", "f"),
            input(0, ""),
            input(0, "{\"x\":"),
            tool(1, "a", "g"),
            input(1, "{"),
            input(0, "1}"),
            block(
                2,
                &json!({"type": "tool_use", "name": "h", "input": {"whole": true}})
            ),
            stop("tool_use"),
        ]),
        Ok(vec![
            call("a", "f", "{\"x\":1}"),
            call("a-1", "g", "{"),
            call("call-2", "h", "{\"whole\":true}"),
            Delta::End(EndReason::ToolCalls),
        ])
    );
    assert_eq!(
        assemble(&[start(), tool(0, "a", "f"), stop("end_turn")]),
        Ok(vec![call("a", "f", "{}"), Delta::End(EndReason::ToolCalls)])
    );
}

#[test]
fn every_reason_for_the_end_is_known() {
    for (reason, expect) in [
        ("end_turn", EndReason::Stop),
        ("stop_sequence", EndReason::Stop),
        ("max_tokens", EndReason::Length),
        ("model_context_window_exceeded", EndReason::Length),
        ("refusal", EndReason::ContentFilter),
        ("pause_turn", EndReason::Other),
        ("tool_use", EndReason::Stop),
    ] {
        assert_eq!(
            assemble(&[start(), stop(reason)]),
            Ok(vec![Delta::End(expect)]),
            "{reason}"
        );
    }
}

#[test]
fn a_stream_without_an_end_is_bad() {
    let early = Err(Problem::Bad(
        "the stream ended before the reply was whole".to_owned(),
    ));
    assert_eq!(assemble(&[]), early);
    assert_eq!(
        assemble(&[start(), block(0, &json!({"type": "text", "text": "x"}))]),
        early
    );
    assert_eq!(
        assemble(&[json!({"type": "message_stop"})]),
        Err(Problem::Bad("the stream holds no reply".to_owned()))
    );
}

#[test]
fn bounds_hold() {
    let many: Vec<Value> = (0..4).map(|index| tool(index, "a", "f")).collect();
    assert_eq!(assemble(&many), Err(Problem::TooManyToolCalls));
    let mut endless = vec![start(), tool(0, "a", "f")];
    endless.extend(vec![input(0, "[0, 0], "); 1000]);
    assert_eq!(assemble(&endless), Err(Problem::Repeating));
    let long = "x".repeat(LONGEST_NAME + 1);
    assert!(matches!(assemble(&[tool(0, "a", &long)]), Err(Problem::Bad(_))));
    assert_eq!(
        assemble(&[start(), tool(0, &long, "f"), stop("tool_use")]).unwrap()[0],
        call("call-0", "f", "{}")
    );
}

#[test]
fn failures_within_the_stream_are_told() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let Err(Problem::Reported(report)) = assemble(&[start(), overloaded]) else {
        panic!("the server reports a failure");
    };
    assert_eq!(
        (&*report.message, &*report.kind),
        ("Overloaded", "overloaded_error")
    );
    let problem = AnthropicAssembly::new(1).take("error", "gone", &mut Vec::new());
    assert!(matches!(problem, Err(Problem::Reported(report)) if report.message == "gone"));
}

#[test]
fn fields_of_an_unexpected_kind_are_as_good_as_absent() {
    assert_eq!(
        assemble(&[
            json!({"type": "message_start", "message": 7}),
            json!({"type": "content_block_start", "content_block": []}),
            json!({"type": "content_block_delta", "index": "x", "delta": {"type": "text_delta", "text": 7}}),
            json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": 7}, "usage": {"output_tokens": -1}}),
            json!([]),
            json!(7),
            stop("end_turn"),
        ]),
        Ok(vec![Delta::End(EndReason::Stop)])
    );
}
