//! Stored data for the tests of what is shown.

use factory_core::factory::RunView;
use factory_core::model::Event;
use serde_json::{Value, json};

/// A tree.
pub(crate) const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Returns an event as it comes from the store.
pub(crate) fn event(run: i64, seq: u64, kind: &str, payload: impl Into<Value>) -> Event {
    let payload = payload.into();
    let value = json!({
        "id": seq, "run_id": run, "seq": seq, "type": kind, "actor": "system", "cause": null, "step_id": null,
        "payload": payload, "created_at": "2026-01-31T12:00:00.000000Z",
    });
    serde_json::from_value(value).unwrap()
}

/// Returns run 1 with this status, reason and open approval.
pub(crate) fn view(status: &str, reason: Option<&str>, open_approval: impl Into<Value>) -> RunView {
    let open_approval = open_approval.into();
    let commit = "c".repeat(40);
    let published = (status == "COMPLETE").then_some("factory/run-1");
    serde_json::from_value(json!({
        "run": {
            "id": 1, "project_id": 1, "goal": "make the greeting\nfriendly", "status": status, "reason": reason,
            "detail": reason.map(|_| "said in words"), "current_iteration": 3, "priority": 0,
            "spec": {"model": "ollama:qwen2.5-coder:7b"}, "base_commit": commit, "branch": published,
            "commit": published.map(|_| &commit),
            "usage": {"calls": 3, "prompt_tokens": 4000, "completion_tokens": 500, "work_ms": 61_000, "turns": 3},
            "last_seq": 12, "fence": 1, "claim": null,
            "created_at": "2026-01-31T12:00:00.000000Z", "updated_at": "2026-01-31T12:05:00.000000Z",
        },
        "project": "greeter", "allowed": ["stop", "fork"],
        "steps": [
            {"id": 1, "title": "read the tests", "state": "finished"},
            {"id": 2, "title": "mend \u{1b}[2J it", "state": "active"},
            {"id": 3, "title": "prove it", "state": "waiting"},
        ],
        "open_approval": open_approval,
        "last_check": {
            "round": 2, "tree": TREE, "green": true, "sensitive": ["tests/run.sh"], "work_ms": 1200,
            "results": [{"command": "sh tests/run.sh", "ok": true, "ended": "exit code 0",
                "output": "a".repeat(64), "work_ms": 1200}],
        },
        "sandbox": {"level": "bubblewrap", "version": "0.11.0"},
    }))
    .unwrap()
}

/// Returns an open approval with this subject.
pub(crate) fn approval(subject: &Value) -> Value {
    json!({
        "id": 1, "run_id": 1, "seq": 12, "subject": subject, "asked_at": "2026-01-31T12:05:00.000000Z",
        "expires_at": null, "decision": null,
    })
}
