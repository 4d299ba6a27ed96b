//! What servers send, and what is made of it.

use serde_json::json;

use super::*;

/// Feeds the events and returns all pieces, or the problem.
fn assemble(events: &[&str]) -> Result<Vec<Delta>, Problem> {
    let mut assembly = OpenAiAssembly::new(4);
    let mut deltas = Vec::new();
    for event in events {
        assembly.take("", event, &mut deltas)?;
    }
    deltas.extend(assembly.finish()?);
    Ok(deltas)
}

fn delta(delta: &Value) -> String {
    json!({"choices": [{"index": 0, "delta": delta}]}).to_string()
}

fn finish(reason: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}).to_string()
}

fn call(id: &str, name: &str, arguments: &str) -> Delta {
    Delta::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

/// Feeds the lists of tool-call fragments, one chunk each, and compares the calls.
fn check_calls(chunks: &[Value], expect: &[Delta]) {
    let mut events: Vec<String> = chunks
        .iter()
        .map(|calls| delta(&json!({"tool_calls": calls})))
        .collect();
    events.push(finish("tool_calls"));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let mut expect = expect.to_vec();
    expect.push(Delta::End(EndReason::ToolCalls));
    assert_eq!(assemble(&events), Ok(expect));
}

#[test]
fn text_and_thinking_come_in_pieces() {
    assert_eq!(
        assemble(&[
            &delta(&json!({"role": "assistant", "content": null})),
            &delta(&json!({"reasoning_content": "hm"})),
            &delta(&json!({"reasoning": "so", "content": ""})),
            &delta(&json!({"content": "a"})),
            &delta(&json!({"content": [{"type": "text", "text": "b"}]})),
            &finish("stop"),
            r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
            "[DONE]",
        ]),
        Ok(vec![
            Delta::Thinking("hm".to_owned()),
            Delta::Thinking("so".to_owned()),
            Delta::Text("a".to_owned()),
            Delta::Text("b".to_owned()),
            Delta::Usage(TokenCount {
                prompt: Some(3),
                completion: Some(2),
                ..TokenCount::default()
            }),
            Delta::End(EndReason::Stop),
        ])
    );
}

#[test]
fn a_whole_message_instead_of_a_delta_is_taken() {
    assert_eq!(
        assemble(&[r#"{"choices":[{"message":{"content":"all"},"finish_reason":"stop"}],"usage":null}"#]),
        Ok(vec![Delta::Text("all".to_owned()), Delta::End(EndReason::Stop)])
    );
}

#[test]
fn the_end_follows_the_tool_calls() {
    let with_call = delta(&json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}));
    let text = delta(&json!({"content": "x"}));
    for (first, reason, expect) in [
        (&with_call, "stop", EndReason::ToolCalls),
        (&with_call, "length", EndReason::Length),
        (&text, "tool_calls", EndReason::Stop),
        (&text, "length", EndReason::Length),
        (&text, "content_filter", EndReason::ContentFilter),
        (&text, "novel", EndReason::Other),
    ] {
        let deltas = assemble(&[first, &finish(reason)]).unwrap();
        assert_eq!(deltas.last(), Some(&Delta::End(expect)), "{reason}");
    }
    assert_eq!(
        assemble(&[&text, "[DONE]"]),
        Ok(vec![Delta::Text("x".to_owned()), Delta::End(EndReason::Other)])
    );
}

#[test]
fn a_stream_without_an_end_is_bad() {
    let early = Err(Problem::Bad(
        "the stream ended before the reply was whole".to_owned(),
    ));
    assert_eq!(assemble(&[]), early);
    assert_eq!(assemble(&[&delta(&json!({"content": "x"}))]), early);
    assert_eq!(
        assemble(&["[DONE]"]),
        Err(Problem::Bad("the stream holds no reply".to_owned()))
    );
}

#[test]
fn a_call_grows_by_its_index() {
    check_calls(
        &[
            json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]),
            json!([{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{\"y\""}}]),
            json!([{"index": 0, "function": {"arguments": "{\"x\":"}}]),
            json!([
                {"index": 0, "id": "", "function": {"name": null, "arguments": "1}"}},
                {"index": 1, "id": "b", "function": {"name": "g", "arguments": ":2}"}},
            ]),
        ],
        &[call("a", "f", r#"{"x":1}"#), call("b", "g", r#"{"y":2}"#)],
    );
}

#[test]
fn ids_that_are_missing_or_not_unique_are_made_up() {
    check_calls(
        &[
            json!([{"index": 0, "function": {"name": "f", "arguments": "{}"}}]),
            json!([{"index": 1, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
            json!([{"index": 2, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
            json!([{"index": 3, "id": "call-0", "function": {"name": "f", "arguments": "{}"}}]),
        ],
        &[
            call("call-0-", "f", "{}"),
            call("a", "f", "{}"),
            call("a-2", "f", "{}"),
            call("call-0", "f", "{}"),
        ],
    );
}

#[test]
fn arguments_may_be_an_object() {
    check_calls(
        &[json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": [1]}}}])],
        &[call("a", "f", r#"{"x":[1]}"#)],
    );
}

#[test]
fn calls_that_share_an_index_or_have_none_are_told_apart() {
    check_calls(
        &[
            json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
            json!([{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{}"}}]),
        ],
        &[call("a", "f", "{}"), call("b", "f", "{}")],
    );
    check_calls(
        &[json!([
            {"function": {"name": "f", "arguments": {"x": 1}}},
            {"function": {"name": "f", "arguments": {"x": 2}}},
        ])],
        &[
            call("call-0", "f", r#"{"x":1}"#),
            call("call-1", "f", r#"{"x":2}"#),
        ],
    );
    check_calls(
        &[
            json!([{"id": "a", "function": {"name": "f", "arguments": "{"}}]),
            json!([{"function": {"arguments": "}"}}]),
            json!([{"function": {"name": "g", "arguments": "{}"}}]),
        ],
        &[call("a", "f", "{}"), call("call-1", "g", "{}")],
    );
}

#[test]
fn too_many_calls_are_refused() {
    let calls: Vec<Value> = (0..5)
        .map(|index| json!({"index": index, "function": {"name": "f"}}))
        .collect();
    assert_eq!(
        assemble(&[&delta(&json!({"tool_calls": calls}))]),
        Err(Problem::TooManyToolCalls)
    );
}

#[test]
fn names_and_ids_have_a_longest() {
    let long = "x".repeat(LONGEST_NAME + 1);
    check_calls(
        &[json!([{"index": 0, "id": long, "function": {"name": "f", "arguments": "{}"}}])],
        &[call("call-0", "f", "{}")],
    );
    let name = delta(&json!({"tool_calls": [{"index": 0, "function": {"name": long}}]}));
    assert!(matches!(assemble(&[&name]), Err(Problem::Bad(detail)) if detail.contains("name")));
}

#[test]
fn failures_within_the_stream_are_told() {
    let report = |message: &str, code| ServerReport {
        message: message.to_owned(),
        code,
        ..ServerReport::default()
    };
    assert_eq!(
        assemble(&[r#"{"error":{"message":"gone","code":500}}"#]),
        Err(Problem::Reported(report("gone", Some(500))))
    );
    for (data, expect) in [
        (r#"{"message":"gone","code":503}"#, report("gone", Some(503))),
        ("gone", report("gone", None)),
        (r#"{"error":"gone"}"#, report("gone", None)),
    ] {
        let problem = OpenAiAssembly::new(4).take("error", data, &mut Vec::new());
        assert_eq!(problem, Err(Problem::Reported(expect)), "{data}");
    }
}

#[test]
fn arguments_that_repeat_themselves_without_an_end_are_cut() {
    let fragment = |text: &str| {
        delta(&json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": text}}]}))
    };
    let endless = vec![fragment("\\n    "); 2000];
    let mut events = vec![fragment("{\"path\":")];
    events.extend(endless);
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    assert_eq!(assemble(&events), Err(Problem::Repeating));
}

#[test]
fn a_piece_that_is_no_json_is_bad() {
    assert!(matches!(assemble(&["{\"choices\""]), Err(Problem::Bad(_))));
    assert!(matches!(assemble(&[&"[".repeat(100_000)]), Err(Problem::Bad(_))));
}

#[test]
fn fields_of_an_unexpected_kind_are_as_good_as_absent() {
    assert_eq!(
        assemble(&[
            r#"{"choices":null,"usage":[]}"#,
            r#"{"choices":[{"delta":null,"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"content":7,"tool_calls":null},"finish_reason":""}]}"#,
            "[]",
            "7",
            &finish("stop"),
        ]),
        Ok(vec![Delta::End(EndReason::Stop)])
    );
}
