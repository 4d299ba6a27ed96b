//! What a write makes of a run's row: pure, so that every backend guards by the very same rules.

use crate::model::{
    ApprovalId, Claim, Credential, CredentialId, CredentialKind, EventKind, NewCredential, NewEvent,
    NewSession, Run, RunStatus, Seq, Timestamp, WorkerId, payload,
};

use super::{Commit, NewRun, Redemption, StoreError};

/// Refuses a commit by a writer that lost its claim or that did not see the newest event.
///
/// The fence is looked at first: who lost the run must put everything down, not read again and retry.
pub(super) fn check_commit(stored: &Run, commit: &Commit) -> Result<(), StoreError> {
    if let Some(fence) = commit.fence
        && stored.claim.as_ref().map(|claim| claim.fence) != Some(fence)
    {
        return Err(StoreError::Fenced {
            run: stored.id,
            fence,
        });
    }
    if commit.expected_seq != stored.last_seq {
        return Err(conflict(stored, commit));
    }
    if commit.events.is_empty() {
        return Err(StoreError::Backend {
            backend: "the store",
            action: "commit without an event",
            source: "a commit has at least one event; nothing was stored".into(),
        });
    }
    Ok(())
}

/// Returns the conflict between what is stored and what the writer has seen.
pub(super) fn conflict(stored: &Run, commit: &Commit) -> StoreError {
    StoreError::Conflict {
        run: stored.id,
        expected: commit.expected_seq,
        actual: stored.last_seq,
    }
}

/// Returns the row of a run that is filed as number `id` by its first event.
pub(super) fn filed_run(id: crate::model::RunId, new: &NewRun) -> Run {
    Run {
        id,
        project_id: Some(new.project_id),
        goal: new.goal.clone(),
        status: RunStatus::Queued,
        reason: None,
        detail: None,
        current_iteration: 0,
        priority: new.priority,
        spec: new.spec.clone(),
        base_commit: None,
        branch: None,
        commit: None,
        usage: crate::model::Usage::default(),
        last_seq: Seq(1),
        fence: crate::model::Fence(0),
        claim: None,
        created_at: new.at,
        updated_at: new.at,
    }
}

/// Returns the row after `commit`.
///
/// A commit can keep or release the claim, never take one: a writer that read the run before its claim was released
/// does not bring the claim back.
pub(super) fn run_after_commit(stored: &Run, commit: &Commit) -> Run {
    Run {
        id: stored.id,
        project_id: stored.project_id,
        goal: stored.goal.clone(),
        last_seq: Seq(stored.last_seq.0 + commit.events.len() as u64),
        fence: stored.fence,
        claim: commit.run.claim.as_ref().and(stored.claim.clone()),
        created_at: stored.created_at,
        updated_at: commit.at,
        ..commit.run.clone()
    }
}

/// Returns whether a worker may claim the run.
pub(super) fn is_claimable(run: &Run) -> bool {
    run.status == RunStatus::Queued && run.claim.is_none()
}

/// Returns the row after `worker` claimed it, and the event that tells of it. The reason of the status before is
/// gone with that status.
pub(super) fn run_after_claim(mut run: Run, worker: &WorkerId, at: Timestamp) -> (Run, NewEvent) {
    let fence = run.fence.next();
    run.status = RunStatus::Running;
    run.reason = None;
    run.detail = None;
    run.last_seq = run.last_seq.next();
    run.fence = fence;
    run.claim = Some(Claim {
        worker: worker.clone(),
        fence,
        since: at,
    });
    run.updated_at = at;
    let event = NewEvent::system(payload::RunStarted {
        worker: worker.clone(),
        fence,
    });
    (run, event)
}

/// Returns the number of the event in `commit` that asks for the approval `id`; the last one where none names it.
pub(super) fn asking_seq(commit: &Commit, id: ApprovalId) -> Seq {
    let asks =
        |event: &NewEvent| matches!(&event.kind, EventKind::ApprovalRequested(asked) if asked.approval == id);
    let place = commit
        .events
        .iter()
        .position(asks)
        .unwrap_or(commit.events.len().saturating_sub(1));
    Seq(commit.expected_seq.0 + 1 + place as u64)
}

/// Returns the error of a thing that is not there.
pub(super) fn not_found(kind: &'static str, id: &(impl ToString + ?Sized)) -> StoreError {
    StoreError::NotFound {
        kind,
        id: id.to_string(),
    }
}

/// Returns the error of a name that is taken.
pub(super) fn already_exists(kind: &'static str, id: &(impl ToString + ?Sized)) -> StoreError {
    StoreError::AlreadyExists {
        kind,
        id: id.to_string(),
    }
}

/// Returns the error of a project that has runs left to do.
pub(super) fn project_in_use(name: &str, run: crate::model::RunId) -> StoreError {
    StoreError::InUse {
        kind: "project",
        id: name.to_owned(),
        why: format!("run {run} is not finished; stop it first"),
    }
}

/// Returns what a closed store answers. Nothing of the request was stored.
pub(super) fn closed() -> StoreError {
    StoreError::Unusable("the store is closed".to_owned())
}

/// Returns the credential that is stored as number `id`.
pub(super) fn credential(id: CredentialId, new: NewCredential) -> Credential {
    Credential {
        id,
        kind: new.kind,
        name: new.name,
        role: new.role,
        hash: new.hash,
        page_hash: None,
        created_at: new.created_at,
        expires_at: new.expires_at,
        revoked_at: None,
        redeemed_at: None,
    }
}

/// Returns why what was found under a hash opens no session at this moment, if it does not.
pub(super) fn refused_code(code: &Credential, at: Timestamp) -> Option<Redemption> {
    if code.kind != CredentialKind::LoginCode {
        Some(Redemption::Unknown)
    } else if code.redeemed_at.is_some() {
        Some(Redemption::Used)
    } else if code.holds_at(at) {
        None
    } else {
        Some(Redemption::Over)
    }
}

/// Returns the session that a login code opens, but for its second secret: under the code's name and role.
pub(super) fn session_of(code: &Credential, session: NewSession, at: Timestamp) -> NewCredential {
    NewCredential {
        kind: CredentialKind::Session,
        name: code.name.clone(),
        role: code.role,
        hash: session.hash,
        created_at: at,
        expires_at: Some(session.expires_at),
    }
}

/// Returns the error of a hash that no credential has. It does not name the hash.
pub(super) fn no_such_credential() -> StoreError {
    not_found("credential", "of that secret")
}

/// Returns the error of a hash that is taken.
pub(super) fn credential_exists(name: &str) -> StoreError {
    already_exists("credential", name)
}
