//! An example of each problem that operations may answer with.

use poem::http::StatusCode;
use serde_json::{Value, json};

use crate::problem::Problem;

struct Sample {
    code: &'static str,
    status: u16,
    detail: &'static str,
    /// The part of the request that cannot be used, with what is wrong with it.
    error: Option<(&'static str, &'static str)>,
    retry_after: Option<u64>,
    allowed: &'static [&'static str],
}

const PLAIN: Sample = Sample {
    code: "",
    status: 0,
    detail: "",
    error: None,
    retry_after: None,
    allowed: &[],
};

const SAMPLES: [Sample; 32] = [
    Sample {
        code: "already_exists",
        status: 409,
        detail: "there is a token `ci` already; take another name, or `factory token rotate ci` replaces it",
        ..PLAIN
    },
    Sample {
        code: "bad_body",
        status: 422,
        detail: "the body does not have the form that the operation takes; see `errors`",
        error: Some((
            "/goal",
            "there is nothing in it to read, or it has a NUL character",
        )),
        ..PLAIN
    },
    Sample {
        code: "bad_cursor",
        status: 400,
        detail: "this cursor is none that this list gave out; begin without one, or give `next_cursor` unchanged \
              and with the same filters",
        error: Some(("query:cursor", "not a cursor of this list")),
        ..PLAIN
    },
    Sample {
        code: "bad_host",
        status: 400,
        detail: "the request has to name its host once, in the `Host` header",
        ..PLAIN
    },
    Sample {
        code: "bad_json",
        status: 400,
        detail: "the body is no JSON: EOF while parsing an object at line 1 column 12",
        ..PLAIN
    },
    Sample {
        code: "bad_key",
        status: 400,
        detail: "an `Idempotency-Key` is 1 to 255 visible ASCII characters, and comes once",
        error: Some(("header:Idempotency-Key", "not a key")),
        ..PLAIN
    },
    Sample {
        code: "bad_parameter",
        status: 400,
        detail: "`limit`: maximum(500, exclusive: false)",
        error: Some(("query:limit", "maximum(500, exclusive: false)")),
        ..PLAIN
    },
    Sample {
        code: "bad_path",
        status: 400,
        detail: "`run_id` in the path: invalid digit found in string (integer)",
        error: Some(("path:run_id", "invalid digit found in string (integer)")),
        ..PLAIN
    },
    Sample {
        code: "conflict",
        status: 409,
        detail: "run 12: it offers another tree by now; `factory diff 12` shows it",
        ..PLAIN
    },
    Sample {
        code: "deadline",
        status: 503,
        detail: "the answer was not there within 120 seconds; whether it was done is unknown, look before you \
              ask again",
        ..PLAIN
    },
    Sample {
        code: "forbidden",
        status: 403,
        detail: "`ci` is a viewer and this takes an operator; `factory token add NAME --role operator` makes one \
              who may",
        ..PLAIN
    },
    Sample {
        code: "foreign_origin",
        status: 403,
        detail: "the request comes from a page of another origin; only the server's own pages and programs with \
              a token may ask, and names that a proxy uses are set as `public_url` and `hosts` in the \
              `[server]` table of factory.toml",
        ..PLAIN
    },
    Sample {
        code: "if_match_failed",
        status: 412,
        detail: "`If-Match` names another tree than a3b1c5e07d2f4896a3b1c5e07d2f4896a3b1c5e0, which the body \
              approves; look at the diff again",
        error: Some(("header:If-Match", "names another tree")),
        ..PLAIN
    },
    Sample {
        code: "if_match_required",
        status: 428,
        detail: "an approval says which tree was reviewed: give the `ETag` of the run's diff as `If-Match`",
        error: Some(("header:If-Match", "missing")),
        ..PLAIN
    },
    Sample {
        code: "in_use",
        status: 409,
        detail: "project `shop` is in use: run 12 is not finished; stop it first",
        ..PLAIN
    },
    Sample {
        code: "internal",
        status: 500,
        detail: "a defect of the server; nothing that was stored is lost, and the log names the request",
        ..PLAIN
    },
    Sample {
        code: "key_in_use",
        status: 409,
        detail: "a request with this `Idempotency-Key` is being carried out; ask again for its answer",
        retry_after: Some(1),
        ..PLAIN
    },
    Sample {
        code: "key_reused",
        status: 422,
        detail: "this `Idempotency-Key` was used for another request; take a new key for a new request",
        error: Some(("header:Idempotency-Key", "used for another request")),
        ..PLAIN
    },
    Sample {
        code: "model_failed",
        status: 502,
        detail: "http://127.0.0.1:11434 refused the request (500): out of memory",
        ..PLAIN
    },
    Sample {
        code: "model_unreachable",
        status: 502,
        detail: "cannot reach the model server at http://127.0.0.1:11434: connection refused",
        ..PLAIN
    },
    Sample {
        code: "not_allowed",
        status: 409,
        detail: "run 12: a run that is COMPLETE cannot be paused",
        allowed: &["retry", "fork", "continue"],
        ..PLAIN
    },
    Sample {
        code: "not_found",
        status: 404,
        detail: "no run `12`",
        ..PLAIN
    },
    Sample {
        code: "shutting_down",
        status: 503,
        detail: "it was stopped",
        retry_after: Some(5),
        ..PLAIN
    },
    Sample {
        code: "storage_full",
        status: 507,
        detail: "the storage is full; make room on that disk, then say it again",
        retry_after: Some(5),
        ..PLAIN
    },
    Sample {
        code: "too_large",
        status: 413,
        detail: "the body has more than 1048576 bytes, which is the most that this route takes; send less at a \
              time",
        ..PLAIN
    },
    Sample {
        code: "too_many_failures",
        status: 429,
        detail: "too many requests with credentials that do not hold; mend the credential, then try again",
        retry_after: Some(1),
        ..PLAIN
    },
    Sample {
        code: "too_many_pulls",
        status: 409,
        detail: "4 models are being got already; wait for one of them, or stop one",
        ..PLAIN
    },
    Sample {
        code: "too_slow",
        status: 408,
        detail: "the body did not come within 30 seconds; send it again",
        ..PLAIN
    },
    Sample {
        code: "unauthenticated",
        status: 401,
        detail: "the token is missing; send `Authorization: Bearer TOKEN`, where `factory token` prints yours \
              and `factory token add NAME` makes one for another program",
        ..PLAIN
    },
    Sample {
        code: "unknown_host",
        status: 421,
        detail: "this server is not `factory.example.org`; call it by the address that it printed at its start, \
              or add the name to `hosts` in the `[server]` table of factory.toml",
        ..PLAIN
    },
    Sample {
        code: "unsupported_media_type",
        status: 415,
        detail: "the body has to be JSON; send it with `Content-Type: application/json`",
        ..PLAIN
    },
    Sample {
        code: "unusable",
        status: 422,
        detail: "`/srv/git/shop` is no folder; name the folder of a repository on the server's machine",
        ..PLAIN
    },
];

/// Returns the word of each, with its body.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Value)> {
    SAMPLES.iter().map(|sample| {
        let status = StatusCode::from_u16(sample.status).expect("a status has three digits");
        let mut problem = Problem::new(status, sample.code, sample.detail);
        if let Some((pointer, message)) = sample.error {
            problem = problem.at(pointer, message);
        }
        if let Some(seconds) = sample.retry_after {
            problem = problem.retry_after(seconds);
        }
        if !sample.allowed.is_empty() {
            problem = problem.allowing(sample.allowed);
        }
        (sample.code, json!(problem.body(Some("b94a1f0facc5d944"))))
    })
}
