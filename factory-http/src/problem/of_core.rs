//! The one table from what the core says to what HTTP says.

use factory_core::Error;
use factory_core::llm::LlmError;
use factory_core::store::StoreError;
use factory_core::vcs::VcsError;
use poem::http::StatusCode;

use super::Problem;
use crate::failure::Failure;

/// The seconds after which a request is worth repeating that met a full disk or a busy server.
const LATER: u64 = 5;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code) = classify(&error);
        let allowed = error.allowed().map(<[_]>::to_vec);
        let place = match &error {
            Error::InList { place, .. } => Some(*place),
            _ => None,
        };
        let failure = Failure::from(error);
        let mut detail = failure.message;
        for cause in failure.causes {
            detail.push_str(": ");
            detail.push_str(&cause);
        }
        let mut problem = Self::new(status, code, detail);
        if let Some(place) = place {
            let message = problem.0.detail.clone();
            problem = problem.at(format!("/runs/{place}"), message);
        }
        if let Some(verbs) = allowed {
            problem = problem.allowing(&verbs);
        }
        if matches!(
            status,
            StatusCode::INSUFFICIENT_STORAGE | StatusCode::SERVICE_UNAVAILABLE
        ) {
            problem = problem.retry_after(LATER);
        }
        problem
    }
}

/// Returns the status and the word of an error.
fn classify(error: &Error) -> (StatusCode, &'static str) {
    match error {
        full if full.is_storage_full() => (StatusCode::INSUFFICIENT_STORAGE, "storage_full"),
        Error::InList { source, .. } => classify(source),
        Error::UnknownProject(_) | Error::UnknownToken(_) | Error::Store(StoreError::NotFound { .. }) => {
            (StatusCode::NOT_FOUND, "not_found")
        }
        Error::BadInput(_)
        | Error::Llm(LlmError::Unusable { .. } | LlmError::Script { .. } | LlmError::Recording { .. })
        | Error::Vcs(
            VcsError::NotARepository(_)
            | VcsError::BadPath { .. }
            | VcsError::Empty(_)
            | VcsError::Unborn { .. }
            | VcsError::BadRefName(_)
            | VcsError::UnknownRevision { .. },
        ) => (StatusCode::UNPROCESSABLE_ENTITY, "unusable"),
        Error::NotAllowed { .. } => (StatusCode::CONFLICT, "not_allowed"),
        Error::Conflict { .. } | Error::Store(StoreError::Conflict { .. } | StoreError::Fenced { .. }) => {
            (StatusCode::CONFLICT, "conflict")
        }
        Error::NameTaken(_) | Error::Store(StoreError::AlreadyExists { .. }) => {
            (StatusCode::CONFLICT, "already_exists")
        }
        Error::Store(StoreError::InUse { .. }) => (StatusCode::CONFLICT, "in_use"),
        Error::Llm(LlmError::Unreachable { .. }) => (StatusCode::BAD_GATEWAY, "model_unreachable"),
        Error::Llm(_) => (StatusCode::BAD_GATEWAY, "model_failed"),
        Error::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}
