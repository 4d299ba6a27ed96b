//! The kinds of problems: words that programs act on, and what each means. The one list of them.

/// Every word, with what it means.
pub(crate) const ALL: &[(&str, &str)] = &[
    ("already_exists", "The name is taken. Take another one."),
    (
        "bad_body",
        "The body does not have the form that the operation takes; `errors` names each part.",
    ),
    (
        "bad_cursor",
        "The cursor was not given out by this list with these filters. Begin without one.",
    ),
    ("bad_host", "The request names no host, or several."),
    ("bad_json", "The body is no JSON."),
    ("bad_key", "The `Idempotency-Key` cannot be used."),
    ("bad_media_type", "The body is no `application/json`."),
    (
        "bad_parameter",
        "A parameter of the query or a header cannot be used.",
    ),
    ("bad_path", "A parameter in the path cannot be used."),
    ("bad_request", "The request cannot be read."),
    ("broken_body", "The body broke off."),
    (
        "code_refused",
        "There is no such login code, or it is no longer good. `factory login` makes one.",
    ),
    ("code_used", "The login code was used already."),
    (
        "conflict",
        "What was reviewed, or what the request is about, is not what stands there now. Look again.",
    ),
    (
        "deadline",
        "The answer took too long. What was asked may be done or not.",
    ),
    ("forbidden", "The credential's role may not do this."),
    ("foreign_origin", "A page of another origin asked for it."),
    (
        "if_match_failed",
        "`If-Match` names another state than the one that the request is about. Look again.",
    ),
    (
        "if_match_required",
        "The operation wants `If-Match`, so that what is approved is what was reviewed.",
    ),
    ("in_use", "Something else still needs it."),
    (
        "internal",
        "A defect of the server. Nothing that was stored is lost; the log names the request.",
    ),
    (
        "key_in_use",
        "A request with this `Idempotency-Key` is being carried out. Ask again for its answer.",
    ),
    (
        "key_reused",
        "This `Idempotency-Key` was used for another request.",
    ),
    ("method_not_allowed", "Nothing here answers to this method."),
    ("model_failed", "The model's server failed or refused."),
    (
        "model_unreachable",
        "The model's server cannot be reached. Start it.",
    ),
    (
        "no_such_method",
        "The path does not take this method; `Allow` says which it takes.",
    ),
    ("no_such_path", "There is nothing at this path."),
    (
        "not_allowed",
        "The run does not allow it as it stands; `allowed` says what it allows.",
    ),
    ("not_found", "There is no such thing."),
    ("shutting_down", "The server ends. Ask again when it is back."),
    (
        "storage_full",
        "A disk is full. Nothing of the request was stored; make room and say it again.",
    ),
    ("too_large", "The body is larger than the operation takes."),
    (
        "too_many_failures",
        "Too many requests came without a credential that holds. `Retry-After` says when to try again.",
    ),
    ("too_many_pulls", "Too many models are being got at once."),
    ("too_slow", "The request did not come whole in time."),
    ("unauthenticated", "No credential came, or none that holds."),
    ("unknown_host", "The server does not answer for this host name."),
    ("unsupported_media_type", "The body is no `application/json`."),
    (
        "unusable",
        "What the request says cannot be done: a path that is no repository, a ref that leads nowhere, a goal without words.",
    ),
];

/// Returns whether the word is one of them.
pub(crate) fn is_known(code: &str) -> bool {
    meaning(code).is_some()
}

/// Returns what the word means.
pub(crate) fn meaning(code: &str) -> Option<&'static str> {
    ALL.iter()
        .find(|(known, _)| *known == code)
        .map(|(_, meaning)| *meaning)
}
