//! What operations may answer when they do not do what was asked: each with every status that it may have, and with no
//! other, so that clients can be made from the document.

use serde_json::{Value, json};

use crate::problem;

/// A problem that an operation may answer with: its status and what it means.
type Refusal = (&'static str, &'static str);

/// What any operation may answer.
const ALWAYS: [Refusal; 8] = [
    (
        "400",
        "The request cannot be read: a parameter, a header or the JSON itself.",
    ),
    ("408", "The request did not come whole in time."),
    ("413", "The body is too large."),
    ("415", "The body is no `application/json`."),
    ("421", "The `Host` is none that this server answers for."),
    (
        "429",
        "Too many requests that failed to show a credential, or too many at once; `Retry-After` says when.",
    ),
    ("500", "A defect of the server. Nothing that was stored is lost."),
    (
        "503",
        "The server is about to end, or too busy; `Retry-After` says when.",
    ),
];

/// What operations may answer that take a credential.
const GUARDED: [Refusal; 2] = [
    ("401", "No credential came with it, or none that holds."),
    (
        "403",
        "The credential's role may not do this, or a foreign page asked for it.",
    ),
];

/// What operations with a path parameter may answer.
const NAMED: Refusal = ("404", "There is no such thing.");

/// What operations may answer that change something.
const CHANGING: [Refusal; 2] = [
    (
        "409",
        "Things do not stand so that this can be done; `allowed` says what can.",
    ),
    ("507", "A disk is full. Make room, then say it again."),
];

/// What operations may answer that say more than a path does: in a body, or with an `Idempotency-Key`.
const SAYING: Refusal = (
    "422",
    "The body does not have the form that the operation takes, or says what cannot be done; or the `Idempotency-Key` was \
     used for another request.",
);

/// What some operations may answer beside what goes with their kind.
fn own(operation_id: &str) -> &'static [Refusal] {
    match operation_id {
        "create_run" | "create_runs" => &[(
            "404",
            "There is no such project, or no such run to continue from.",
        )],
        "create_token" => &[(
            "409",
            "There is a token of this name already, or it is the operator's.",
        )],
        "create_project" => &[(
            "409",
            "There is a project of this name already, or a request with this `Idempotency-Key` is being carried out.",
        )],
        "update_project" => &[("409", "There is a project of this name already.")],
        "decide_approval" => &[
            ("412", "`If-Match` names another tree than the body approves."),
            ("428", "An approval needs `If-Match`."),
        ],
        "remove_model" => &[
            ("422", "It names no model of a known endpoint."),
            ("502", "The model's server cannot be reached, or refuses."),
        ],
        "probe_model" => &[("502", "The model's server cannot be reached, or refuses.")],
        _ => &[],
    }
}

/// Adds what an operation may answer beside what was asked for.
pub(super) fn add(path: &str, method: &str, is_open: bool, operation: &mut Value) {
    let mut refusals = own(operation["operationId"].as_str().unwrap_or_default()).to_vec();
    refusals.extend(ALWAYS);
    if !is_open {
        refusals.extend(GUARDED);
    }
    if path.contains('{') {
        refusals.push(NAMED);
    }
    if method != "get" {
        refusals.extend(CHANGING);
    }
    if !operation["requestBody"].is_null() || super::has_parameter(operation, "Idempotency-Key") {
        refusals.push(SAYING);
    }
    let responses = operation["responses"]
        .as_object_mut()
        .expect("every operation answers something");
    for (status, description) in refusals {
        responses.entry(status).or_insert_with(|| {
            json!({
                "description": description,
                "content": {problem::MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            })
        });
    }
}
