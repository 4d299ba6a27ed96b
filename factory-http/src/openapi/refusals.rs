//! What operations may answer when they do not do what was asked: each with every status that it may have, and with no
//! other, so that clients can be made from the document.

use serde_json::{Value, json};

use super::{examples, has_parameter};
use crate::problem;

/// What an operation may answer with: its status, what it means there, and the words of the problems that it may be.
type Refusal = (&'static str, &'static str, &'static [&'static str]);

/// What any operation may answer.
const ALWAYS: [Refusal; 7] = [
    ("408", "The request did not come whole in time.", &["too_slow"]),
    ("413", "The body is too large.", &["too_large"]),
    (
        "415",
        "The body is no `application/json`.",
        &["unsupported_media_type"],
    ),
    (
        "421",
        "The `Host` is none that this server answers for.",
        &["unknown_host"],
    ),
    (
        "429",
        "Too many requests that failed to show a credential, or too many at once; `Retry-After` says when.",
        &["too_many_failures"],
    ),
    (
        "500",
        "A defect of the server. Nothing that was stored is lost.",
        &["internal"],
    ),
    (
        "503",
        "The server is about to end, or too busy; `Retry-After` says when.",
        &["shutting_down", "deadline"],
    ),
];

/// What operations may answer that take a credential.
const GUARDED: [Refusal; 2] = [
    (
        "401",
        "No credential came with it, or none that holds.",
        &["unauthenticated"],
    ),
    (
        "403",
        "The credential's role may not do this, or a foreign page asked for it.",
        &["forbidden", "foreign_origin"],
    ),
];

/// What operations with a path parameter may answer.
const NAMED: Refusal = ("404", "There is no such thing.", &["not_found"]);

/// What operations may answer that change something.
const CHANGING: Refusal = (
    "507",
    "A disk is full. Make room, then say it again.",
    &["storage_full"],
);

/// What operations may answer that change a run.
const STEERING: Refusal = (
    "409",
    "Things do not stand so that this can be done; `allowed` says what can.",
    &["not_allowed"],
);

/// What operations may answer that ask the model's server.
const UPSTREAM: Refusal = (
    "502",
    "The model's server cannot be reached, or refuses.",
    &["model_unreachable", "model_failed"],
);

/// What some operations may answer beside what goes with their kind.
fn own(operation_id: &str) -> &'static [Refusal] {
    match operation_id {
        "create_run" | "create_runs" => &[
            (
                "404",
                "There is no such project, or no such run to continue from.",
                &["not_found"],
            ),
            STEERING,
        ],
        "create_token" => &[(
            "409",
            "There is a token of this name already, or it is the operator's.",
            &["already_exists"],
        )],
        "revoke_token" => &[(
            "409",
            "It is the owner's token, which stays; `factory token rotate` replaces it.",
            &["conflict"],
        )],
        "create_project" => &[(
            "409",
            "There is a project of this name already, or a request with this `Idempotency-Key` is being carried out.",
            &["already_exists"],
        )],
        "update_project" => &[(
            "409",
            "There is a project of this name already.",
            &["already_exists"],
        )],
        "delete_project" => &[("409", "A run that is not final needs it.", &["in_use"])],
        "decide_approval" => &[
            (
                "409",
                "It is decided already, or the run offers another tree by now, or does not allow it as it stands.",
                &["conflict", "not_allowed"],
            ),
            (
                "412",
                "`If-Match` names another tree than the body approves.",
                &["if_match_failed"],
            ),
            ("428", "An approval needs `If-Match`.", &["if_match_required"]),
        ],
        "pull_model" => &[("409", "So many are being got already.", &["too_many_pulls"])],
        "remove_model" => &[
            ("422", "It names no model of a known endpoint.", &["unusable"]),
            UPSTREAM,
        ],
        "probe_model" => &[UPSTREAM],
        "pause_run" | "resume_run" | "stop_run" | "direct_run" | "set_run_budget" | "comment_run"
        | "retry_run" | "fork_run" => &[STEERING],
        _ => &[],
    }
}

/// Adds what an operation may answer beside what was asked for.
pub(super) fn add(path: &str, method: &str, is_open: bool, operation: &mut Value) {
    let takes_key = has_parameter(operation, "Idempotency-Key");
    let mut refusals: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    refusals.push((
        "400",
        "The request cannot be read: a parameter, a header or the JSON itself.",
        unreadable(operation),
    ));
    if !operation["requestBody"].is_null() || takes_key {
        refusals.push((
            "422",
            "The body does not have the form that the operation takes, or says what cannot be done; or the \
             `Idempotency-Key` was used for another request.",
            unusable(operation, takes_key),
        ));
    }
    let mut kinds = own(operation["operationId"].as_str().unwrap_or_default()).to_vec();
    kinds.extend(ALWAYS);
    if !is_open {
        kinds.extend(GUARDED);
    }
    if path.contains('{') {
        kinds.push(NAMED);
    }
    if method != "get" {
        kinds.push(CHANGING);
    }
    refusals.extend(kinds.into_iter().map(|(status, description, codes)| {
        let key = (status == "409" && takes_key).then_some("key_in_use");
        (status, description, codes.iter().copied().chain(key).collect())
    }));
    let responses = operation["responses"]
        .as_object_mut()
        .expect("every operation answers something");
    for (status, description, codes) in refusals {
        responses.entry(status).or_insert_with(|| {
            json!({
                "description": description,
                "content": {problem::MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": examples::of_problems(&codes),
                }},
            })
        });
    }
}

/// Returns the problems of a request that cannot be read.
fn unreadable(operation: &Value) -> Vec<&'static str> {
    let parameters = || operation["parameters"].as_array().into_iter().flatten();
    let is_in = |place: &str| parameters().any(|parameter| parameter["in"] == place);
    [
        ("bad_path", is_in("path")),
        ("bad_parameter", is_in("query")),
        ("bad_cursor", has_parameter(operation, "cursor")),
        ("bad_key", has_parameter(operation, "Idempotency-Key")),
        ("bad_json", !operation["requestBody"].is_null()),
        ("bad_host", true),
    ]
    .into_iter()
    .filter_map(|(code, may_be)| may_be.then_some(code))
    .collect()
}

/// Returns the problems of a request that can be read and says what cannot be done.
fn unusable(operation: &Value, takes_key: bool) -> Vec<&'static str> {
    let form = (!operation["requestBody"].is_null()).then_some("bad_body");
    let key = takes_key.then_some("key_reused");
    form.into_iter().chain(["unusable"]).chain(key).collect()
}
