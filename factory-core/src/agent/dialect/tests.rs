//! Replies of each protocol, and what is understood of them.

use serde_json::json;

use super::*;
use crate::llm::TokenCount;

fn reply(text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        thinking: String::new(),
        tool_calls: Vec::new(),
        tokens: TokenCount::default(),
        end: EndReason::Stop,
    }
}

fn check(protocol: Protocol, text: &str, expect: Result<&[(&str, Value)], &str>) {
    let understood = understand(protocol, &reply(text));
    let calls: Vec<(&str, Value)> = understood
        .calls
        .iter()
        .map(|call| (call.name.as_str(), serde_json::from_str(&call.arguments).unwrap()))
        .collect();
    match expect {
        Ok(expect) => {
            assert_eq!((calls.as_slice(), understood.problem), (expect, None), "{text}");
            assert_eq!(understood.in_text, !expect.is_empty(), "{text}");
        }
        Err(problem) => assert_eq!(understood.problem.as_deref(), Some(problem), "{text}"),
    }
}

#[test]
fn a_model_that_calls_tools_is_taken_at_its_word() {
    let call = ToolCall {
        id: "1".to_owned(),
        name: "read_file".to_owned(),
        arguments: "{".to_owned(),
    };
    let reply = Reply {
        tool_calls: vec![call.clone()],
        ..reply("FILE: a\n```\nx\n```")
    };
    for protocol in Protocol::ALL {
        let understood = understand(protocol, &reply);
        assert_eq!(
            (understood.calls, understood.in_text),
            (vec![call.clone()], false)
        );
    }
}

#[test]
fn printed_calls_are_understood_in_every_protocol() {
    for protocol in Protocol::ALL {
        let text = r#"Sure. {"name": "read_file", "arguments": {"path": "a"}}"#;
        if protocol != Protocol::Schema {
            check(protocol, text, Ok(&[("read_file", json!({"path": "a"}))]));
        }
    }
    check(Protocol::Native, "I have finished.", Ok(&[]));
    check(Protocol::Text, "I have finished.", Ok(&[]));
    check(
        Protocol::Schema,
        "I have finished.",
        Err("the answer is no JSON object"),
    );
}

#[test]
fn led_models_have_the_examples_and_one_side_at_a_time() {
    let messages = vec![
        Message::new(Role::System, "rules"),
        Message::new(Role::User, "goal"),
        Message::new(Role::Assistant, "READ: a"),
        Message::new(Role::Tool, "a is empty"),
        Message::new(Role::User, "go on"),
    ];
    let sent = present(Protocol::Text, messages.clone());
    let roles: String = sent
        .iter()
        .map(|message| match message.role {
            Role::System => 'S',
            Role::User => 'u',
            Role::Assistant => 'a',
            Role::Tool => 't',
        })
        .collect();
    assert_eq!(roles, "Suauauauauau");
    assert_eq!(sent.last().unwrap().text, "a is empty\n\ngo on");
    assert_eq!(present(Protocol::Native, messages.clone()), messages);
}

#[test]
fn the_fixed_prompt_is_the_reviewed_one_and_short() {
    for protocol in [Protocol::Text, Protocol::Schema] {
        let opening = vec![Message::new(Role::System, standing(protocol))];
        let sent = present(protocol, opening);
        let bytes: usize = sent.iter().map(|message| message.text.len() + 16).sum();
        // English and code of this kind have more than three bytes a token with every tokeniser that was tried.
        assert!(bytes <= 3000, "{bytes}");
        let shown: Vec<String> = sent
            .iter()
            .map(|message| format!("[{:?}]\n{}", message.role, message.text))
            .collect();
        insta::assert_snapshot!(format!("fixed_prompt_{protocol}"), shown.join("\n\n"));
    }
}

#[test]
fn edits_in_other_formats_are_understood_of_a_led_model() {
    check(
        Protocol::Text,
        "To do so, change `calc.py`:\n\ncalc.py\n```python\nx = 1\n```\n",
        Ok(&[("change_file", json!({"path": "calc.py", "content": "x = 1\n"}))]),
    );
    check(
        Protocol::Text,
        "a.ini\n<<<<<<< SEARCH\nport = 80\n=======\nport = 81\n>>>>>>> REPLACE\n",
        Ok(&[(
            "edit_file",
            json!({"path": "a.ini", "edits": [{"search": "port = 80\n", "replace": "port = 81\n"}]}),
        )]),
    );
    let patch = "*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\n*** End Patch";
    check(
        Protocol::Text,
        patch,
        Ok(&[(
            "apply_patch",
            json!({"patch": "*** Update File: a\n@@\n-x\n+y\n"}),
        )]),
    );
    check(Protocol::Native, "calc.py\n```python\nx = 1\n```\n", Ok(&[]));
}
