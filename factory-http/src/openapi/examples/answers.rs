//! An example of what each operation answers where it did what was asked.

use serde_json::{Value, json};

const FILED: &str = "2026-03-02T09:14:05.120394Z";
const STARTED: &str = "2026-03-02T09:14:06.004172Z";
const CHECKED: &str = "2026-03-02T09:15:41.730018Z";
const DECIDED: &str = "2026-03-02T09:22:10.518826Z";

const BASE: &str = "7c4a8d09ca3762af61e59520943dc26494f8941b";
const COMMIT: &str = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33";
const BASE_TREE: &str = "62cdb7020ff920e5aa642c3d4066950dd1f01f4d";
const TREE: &str = "a3b1c5e07d2f4896a3b1c5e07d2f4896a3b1c5e0";
const OUTPUT: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

/// Returns what the operation of this name answers; none where it answers no JSON.
pub(super) fn of(operation_id: &str) -> Option<Value> {
    Some(match operation_id {
        "list_projects" => page(&[project()]),
        "get_project" | "update_project" => project(),
        "create_project" => registered_project(),
        "list_runs" => page(&[run_complete(), run("RUNNING", &json!({}))]),
        "get_run" => run_complete(),
        "create_run" => run_filed(),
        "create_runs" => json!({"items": [run_filed(), with(run_filed(), &json!({"id": 14}))]}),
        "retry_run" => with(run_filed(), &json!({"origin": {"how": "retry", "run": 12}})),
        "fork_run" => with(
            run_filed(),
            &json!({"origin": {"how": "fork", "run": 12, "at": 20}}),
        ),
        "pause_run" => run_paused(),
        "stop_run" => run_stopped(),
        "resume_run" | "decide_approval" => run("QUEUED", &json!({})),
        "direct_run" | "comment_run" => run("RUNNING", &json!({})),
        "set_run_budget" => {
            let mut raised = run("RUNNING", &json!({}));
            raised["budget"]["calls"] = json!({"at_most": 200});
            raised["budget"]["tokens"] = json!("unlimited");
            raised
        }
        "list_run_events" => page(&[run_created(), run_started()]),
        "get_run_plan" => json!({"steps": [
            {"id": 1, "title": "Find where totals are added up", "state": "finished"},
            {"id": 2, "title": "Round them and test it", "state": "active"},
        ]}),
        "list_run_checks" => page(&[round_of_checks()]),
        "list_run_checkpoints" => page(&[json!({
            "seq": 20, "at": CHECKED, "step": 2, "checkpoint": 1, "commit": COMMIT, "tree": TREE, "files_changed": 2,
        })]),
        "list_run_comments" => page(&[json!({
            "seq": 22, "at": CHECKED, "by": "operator:ann", "path": "src/greeting.rs", "line": 7, "side": "new",
            "text": "Why not a constant?",
        })]),
        "list_run_changes" => json!({
            "from": BASE_TREE, "to": TREE, "items": [changed_file()], "next_cursor": null,
        }),
        "get_run_file_change" => file_change(),
        "list_approvals" => page(&[approval(&Value::Null)]),
        "list_run_approvals" => page(&[approval(&json!({
            "kind": "approved", "text": null, "by": "operator:ann", "at": DECIDED,
        }))]),
        "get_approval" => approval(&Value::Null),
        "list_models" => json!({"endpoints": [models_of_ollama(), {
            "endpoint": "openai", "kind": "openai", "url": "https://api.openai.com/v1", "models": [],
            "failure": "it has no key; put it into the variable OPENAI_API_KEY, or name another with `key_env` or `key_file`",
        }]}),
        "probe_model" => json!({
            "model": "ollama:qwen2.5-coder:7b", "capabilities": capabilities(), "protocol": "native",
            "tries": [{"protocol": "native"}],
        }),
        "pull_model" | "get_pull" => pull(),
        "list_pulls" => json!({"items": [pull()]}),
        "list_usage" => page(&[json!({"key": "2026-03-02", "runs": 2, "usage": usage()})]),
        "list_tokens" => page(&[token()]),
        "create_token" => json!({
            "credential": token(), "secret": "aidf_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
        }),
        "health_live" => json!({"status": "ok", "findings": []}),
        "health_ready" => json!({"status": "degraded", "findings": [
            {"subject": "git", "ok": true, "found": "git 2.39.5 at /usr/bin/git", "remedy": null},
            {
                "subject": "sandbox", "ok": false, "found": "bubblewrap is missing",
                "remedy": "install it: `apt-get install bubblewrap`",
            },
        ]}),
        "version" => {
            json!({"name": "factory", "version": env!("CARGO_PKG_VERSION"), "prompts": "2e3d6f1c78a8"})
        }
        _ => return None,
    })
}

fn page(items: &[Value]) -> Value {
    json!({"items": items, "next_cursor": null})
}

/// Returns the object with other members in the place of its own.
fn with(mut whole: Value, others: &Value) -> Value {
    for (name, other) in others.as_object().into_iter().flatten() {
        whole[name] = other.clone();
    }
    whole
}

fn project() -> Value {
    json!({
        "id": 1, "name": "shop", "local_path": "/srv/git/shop", "base_ref": null, "setup": ["npm ci"],
        "setup_network": "host", "checks": ["npm test"], "folder": null, "instructions": "Write tests first.",
        "created_at": FILED,
    })
}

fn registered_project() -> Value {
    let more = json!({
        "instructions": null, "initialised": false, "notes": [], "setup_report": null, "check_reports": [],
    });
    with(project(), &more)
}

fn usage() -> Value {
    json!({
        "calls": 3, "prompt_tokens": 6040, "completion_tokens": 812, "estimated_tokens": 0, "work_ms": 95_318,
        "turns": 3,
    })
}

/// Returns a run that is being worked on, with this status.
fn run(status: &str, others: &Value) -> Value {
    let run = json!({
        "id": 12, "project_id": 1, "goal": "Say goodbye as well as hello.", "status": status, "status_reason": null,
        "detail": null, "current_iteration": 3, "priority": 0, "model": "ollama:qwen2.5-coder:7b", "base_ref": null,
        "base_commit": BASE, "branch": null, "commit": null, "checks": null, "approval": "ask",
        "budget": {
            "calls": {"at_most": 100}, "tokens": {"at_most": 2_000_000}, "work_ms": {"at_most": 7_200_000},
            "turns": {"at_most": 100},
        },
        "usage": usage(), "last_seq": 23, "origin": null,
        "allowed": ["pause", "stop", "direct", "raise", "comment", "fork"], "created_at": FILED, "updated_at": CHECKED,
    });
    with(run, others)
}

fn run_filed() -> Value {
    let nothing = json!({
        "calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "estimated_tokens": 0, "work_ms": 0, "turns": 0,
    });
    let new = json!({"id": 13, "current_iteration": 0, "usage": nothing, "last_seq": 1, "updated_at": FILED});
    run("QUEUED", &new)
}

fn run_paused() -> Value {
    let resting = json!({
        "status_reason": "operator", "detail": "paused by the operator; `factory resume 12` goes on",
        "allowed": ["resume", "stop", "direct", "raise", "comment", "fork"],
    });
    run("PAUSED", &resting)
}

fn run_stopped() -> Value {
    let ended = json!({
        "status_reason": "operator", "detail": "stopped by the operator", "allowed": ["retry", "fork"],
    });
    run("STOPPED", &ended)
}

fn run_complete() -> Value {
    let done = json!({
        "id": 11, "branch": "factory/run-11", "commit": COMMIT, "last_seq": 30,
        "allowed": ["retry", "fork", "continue"], "updated_at": DECIDED,
    });
    run("COMPLETE", &done)
}

fn run_created() -> Value {
    let whole = run_filed();
    json!({
        "id": 41, "run_id": 12, "seq": 1, "type": "RUN_CREATED", "actor": "operator:ann", "cause": null, "step_id": null,
        "payload": {
            "project_id": 1, "goal": whole["goal"], "v": 1,
            "spec": {
                "model": whole["model"], "base_ref": null, "base": BASE, "checks": null, "approval": "ask",
                "budget": whole["budget"], "sampling": {"temperature": null, "seed": null},
            },
        },
        "created_at": FILED,
    })
}

fn run_started() -> Value {
    json!({
        "id": 42, "run_id": 12, "seq": 2, "type": "RUN_STARTED", "actor": "system", "cause": null, "step_id": null,
        "payload": {"fence": 1, "worker": "factory-2291", "v": 1}, "created_at": STARTED,
    })
}

fn round_of_checks() -> Value {
    json!({
        "seq": 23, "at": CHECKED, "round": 1, "tree": TREE, "green": true,
        "results": [{"command": "npm test", "ok": true, "ended": "exit code 0", "output": OUTPUT, "work_ms": 4127}],
        "sensitive": ["tests/greeting.rs"], "work_ms": 4180,
    })
}

fn changed_file() -> Value {
    json!({
        "path": "src/greeting.rs", "kind": "modified", "old_mode": "100644", "new_mode": "100644", "added": 1,
        "removed": 0,
    })
}

fn file_change() -> Value {
    json!({
        "file": changed_file(), "offset": 0, "next": null,
        "text": "diff --git a/src/greeting.rs b/src/greeting.rs\n--- a/src/greeting.rs\n+++ b/src/greeting.rs\n\
                 @@ -5,2 +5,3 @@\n fn greet() {\n     println!(\"hello\");\n+    println!(\"goodbye\");\n",
    })
}

fn approval(decision: &Value) -> Value {
    json!({
        "id": 5, "run_id": 12, "seq": 24,
        "subject": {
            "kind": "tree", "base": BASE, "tree": TREE, "message": "Say goodbye as well as hello.\n\nFactory-Run: 12\n",
            "check": 23, "proven": true, "sensitive": ["tests/greeting.rs"],
            "why": "the run was filed to be approved by the operator",
        },
        "asked_at": CHECKED, "expires_at": null, "decision": decision,
    })
}

fn capabilities() -> Value {
    json!({"tools": "yes", "schema": "yes", "thinking": "no", "window": {"tokens": 8192, "basis": "verified"}})
}

fn models_of_ollama() -> Value {
    json!({
        "endpoint": "ollama", "kind": "ollama", "url": "http://127.0.0.1:11434",
        "models": [{
            "name": "qwen2.5-coder:7b", "size": 4_683_087_332_u64, "parameters": "7.6B", "quantisation": "Q4_K_M",
            "capabilities": capabilities(), "loaded": true,
        }],
    })
}

fn pull() -> Value {
    json!({
        "id": 1, "model": "ollama:qwen2.5-coder:7b", "state": "pulling", "failure": null,
        "progress": {
            "status": "pulling 60e05f210007", "total": 4_683_073_184_u64, "completed": 1_207_959_552_u64,
            "digest": "sha256:60e05f2100071479f596b964f89f510f057ce397ea22f2833a0cfe029bfc2463",
        },
    })
}

fn token() -> Value {
    json!({"id": 4, "kind": "token", "name": "ci", "role": "operator", "created_at": FILED, "holds": true})
}
