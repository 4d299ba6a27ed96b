//! Printed calls in every dress that was seen, and texts that hold none.

use super::*;

fn is_tool(name: &str) -> bool {
    matches!(name, "read_file" | "write_file" | "list_files" | "edit_file")
}

fn check(text: &str, expect: &[(&str, &str)]) {
    let expect: Vec<PrintedCall> = expect
        .iter()
        .map(|(name, arguments)| PrintedCall {
            name: (*name).to_owned(),
            arguments: (*arguments).to_owned(),
        })
        .collect();
    let expect = if expect.is_empty() {
        Printed::Nothing
    } else {
        Printed::Calls(expect)
    };
    assert_eq!(calls(text, &is_tool), expect, "{text}");
}

const READ: (&str, &str) = ("read_file", r#"{"path":"a.py"}"#);

#[test]
fn every_usual_dress_is_read() {
    for text in [
        r#"{"name": "read_file", "arguments": {"path": "a.py"}}"#,
        r#"I will look at it. {"name": "read_file", "arguments": {"path": "a.py"}} Then I go on."#,
        "```json\n{\"name\": \"read_file\", \"parameters\": {\"path\": \"a.py\"}}\n```",
        "```\n[{\"tool\": \"read_file\", \"args\": {\"path\": \"a.py\"}}]\n```",
        r#"<tool_call>{"name": "read_file", "arguments": {"path": "a.py"}}</tool_call>"#,
        r#"<tool_call>{"name": "read_file", "arguments": "{\"path\":\"a.py\"}"}"#,
        r#"[TOOL_CALLS][{"name": "read_file", "arguments": {"path": "a.py"}}]"#,
        r#"{"type": "function", "function": {"name": "read_file", "arguments": {"path": "a.py"}}}"#,
        r#"{"tool_calls": [{"function": {"name": "functions.read_file", "arguments": {"path": "a.py"}}}]}"#,
        r#"{"action": "read_file", "action_input": {"path": "a.py"}}"#,
        r#"{"tool": "read_file", "path": "a.py"}"#,
        r#"functions.read_file({"path": "a.py"})"#,
        "<function=read_file>\n<parameter=path>\na.py\n</parameter>\n</function>",
        r#"<invoke name="read_file"><parameter name="path">a.py</parameter></invoke>"#,
        "<read_file>\n<path>a.py</path>\n</read_file>",
    ] {
        check(text, &[READ]);
    }
}

#[test]
fn several_come_in_their_order() {
    let list = ("list_files", "{}");
    check(
        r#"[{"name":"list_files","arguments":{}},{"name":"read_file","arguments":{"path":"a.py"}}]"#,
        &[list, READ],
    );
    check(
        "First:\n{\"name\":\"read_file\",\"arguments\":{\"path\":\"a.py\"}}\nthen\n<list_files></list_files>",
        &[READ, list],
    );
    check(
        r#"{"tool_calls":[{"name":"read_file","arguments":{"path":"a.py"}},{"name":"list_files","arguments":{}}]}"#,
        &[READ, list],
    );
}

#[test]
fn what_has_one_reading_is_mended() {
    check(
        "{\"name\": \"write_file\", \"arguments\": {\"path\": \"a\", \"content\": \"x\n\ty\n\",},}",
        &[("write_file", r#"{"content":"x\n\ty\n","path":"a"}"#)],
    );
}

#[test]
fn what_stands_in_an_argument_is_no_call() {
    check(
        r#"{"name":"write_file","arguments":{"path":"a","content":"{\"name\":\"read_file\",\"arguments\":{}}"}}"#,
        &[(
            "write_file",
            r#"{"content":"{\"name\":\"read_file\",\"arguments\":{}}","path":"a"}"#,
        )],
    );
    check(
        "<write_file><path>a</path><content>{\"name\":\"read_file\",\"arguments\":{}}</content></write_file>",
        &[(
            "write_file",
            r#"{"content":{"arguments":{},"name":"read_file"},"path":"a"}"#,
        )],
    );
}

#[test]
fn a_tool_that_is_none_is_passed_on_to_be_refused() {
    check(
        r#"{"name": "open_file", "arguments": {"path": "a"}}"#,
        &[("open_file", r#"{"path":"a"}"#)],
    );
}

#[test]
fn prose_and_code_hold_no_call() {
    for text in [
        "",
        "I would call read_file on a.py.",
        r#"```json
{"name": "my-package", "version": "1.0.0"}
```"#,
        "fn main() { let a = [1, 2]; }",
        r#"{"name": "x", "arguments": 3}"#,
        "<div><path>a</path></div>",
        "{{{{[[[[",
    ] {
        check(text, &[]);
    }
}

#[test]
fn what_is_meant_as_a_call_and_cannot_be_read_is_said() {
    for text in [
        r#"{"name": "write_file", "arguments": {"path": "a", "content": "x"#,
        r#"{"name": "write_file", "arguments": {"path": 'a'}}"#,
    ] {
        assert!(matches!(calls(text, &is_tool), Printed::Broken(_)), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in r#"(\{|\}|\[|\]|"|,|:|\\|name|read_file|arguments|<|>|/|\n|é| )*"#) {
        calls(&text, &is_tool);
    }
}
