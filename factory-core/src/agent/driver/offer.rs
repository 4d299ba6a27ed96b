//! Offering a result: to the operator, or to the policy of an unattended run.

use super::{Driver, Then};
use crate::agent::plan_reply::title;
use crate::error::Error;
use crate::journal::Entry;
use crate::model::payload::{ApprovalDecided, ApprovalRequested};
use crate::model::{
    Actor, ApprovalPolicy, ApprovalSubject, Decision, DecisionKind, NewEvent, ProjectSettings,
};
use crate::store::ApprovalChange;

/// The longest first line of a commit message that is proposed.
const SUBJECT: usize = 72;

impl Driver {
    pub(super) async fn offer(&mut self) -> Result<Then, Error> {
        let Some((check_seq, check)) = self.state.proof.clone() else {
            return Ok(Then::GoOn);
        };
        let Some(base) = self.state.spec.base.clone() else {
            return Err(Error::Internal(format!(
                "run {} has a proof and no base",
                self.run
            )));
        };
        let unchanged = self.state.base_tree() == Some(&check.tree);
        let objection = objection(
            self.state.spec.approval,
            check.green,
            check.results.is_empty(),
            unchanged,
            &check.sensitive,
            &self.equipment.ground.project.settings,
        );
        let subject = ApprovalSubject::Tree {
            base,
            tree: check.tree.clone(),
            message: message(&self.state.goal, self.run),
            check: (!check.results.is_empty()).then_some(check_seq),
            proven: check.green,
            sensitive: check.sensitive.clone(),
            why: objection.clone().unwrap_or_default(),
        };
        if objection.is_none() {
            let decision = Decision {
                kind: DecisionKind::Approved,
                text: None,
                by: Actor::System,
                at: self.equipment.journal.now(),
            };
            let decided = ApprovalDecided {
                approval: None,
                subject,
                decision,
            };
            return self
                .note(Entry::one(NewEvent::system(decided).because_of(check_seq)))
                .await;
        }
        let approval = self.equipment.journal.store().next_approval_id().await?;
        let requested = ApprovalRequested {
            approval,
            subject: subject.clone(),
            tool: None,
        };
        let mut entry = Entry::one(NewEvent::system(requested).because_of(check_seq));
        entry.approval = Some(ApprovalChange::Open {
            id: approval,
            subject,
            expires_at: None,
        });
        self.rest(entry).await
    }
}

/// Returns why the operator has to be asked; none where policy may decide.
fn objection(
    policy: ApprovalPolicy,
    green: bool,
    unchecked: bool,
    unchanged: bool,
    sensitive: &[String],
    project: &ProjectSettings,
) -> Option<String> {
    if unchanged {
        return Some("nothing was changed; approving it ends the run without a commit".to_owned());
    }
    if unchecked {
        return Some("the project has no checks, so nothing proves the result".to_owned());
    }
    if !green {
        return Some("the checks are red".to_owned());
    }
    if policy == ApprovalPolicy::Ask {
        return Some("the run was filed to be approved by the operator".to_owned());
    }
    let outside = sensitive.iter().filter(|path| !project.covers(path));
    let outside: Vec<&str> = outside.map(String::as_str).collect();
    if let (Some(folder), false) = (&project.folder, outside.is_empty()) {
        return Some(format!(
            "it changes files outside of the project's folder `{folder}`: {}",
            outside.join(", ")
        ));
    }
    if !sensitive.is_empty() {
        return Some(format!(
            "it changes what decides about it (tests, check scripts, lock files, CI): {}",
            sensitive.join(", ")
        ));
    }
    None
}

/// Returns the commit message that is proposed.
fn message(goal: &str, run: crate::model::RunId) -> String {
    let whole = title(goal);
    let subject = match whole.char_indices().nth(SUBJECT) {
        Some((end, _)) => format!("{}…", whole[..end].trim_end()),
        None => whole.clone(),
    };
    let body = if subject == goal.trim() {
        String::new()
    } else {
        format!("{}\n\n", goal.trim())
    };
    format!("{subject}\n\n{body}Factory-Run: {run}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunId;

    #[test]
    fn only_a_proven_change_that_leaves_the_proof_alone_passes_by_itself() {
        use ApprovalPolicy::{Ask, Unattended};
        let lock = ["Cargo.lock".to_owned()];
        let whole = ProjectSettings::default();
        assert_eq!(objection(Unattended, true, false, false, &[], &whole), None);
        for (policy, green, unchecked, unchanged, sensitive) in [
            (Ask, true, false, false, &[][..]),
            (Unattended, false, false, false, &[]),
            (Unattended, false, true, false, &[]),
            (Unattended, true, false, true, &[]),
            (Unattended, true, false, false, &lock),
        ] {
            assert!(objection(policy, green, unchecked, unchanged, sensitive, &whole).is_some());
        }
        let part = ProjectSettings {
            folder: Some("api".to_owned()),
            ..ProjectSettings::default()
        };
        let paths = ["api/Cargo.lock".to_owned(), "web/page".to_owned()];
        assert_eq!(
            objection(Unattended, true, false, false, &paths, &part).unwrap(),
            "it changes files outside of the project's folder `api`: web/page"
        );
    }

    #[test]
    fn the_message_is_the_goal_with_a_short_first_line() {
        assert_eq!(message("Fix it", RunId(3)), "Fix it\n\nFactory-Run: 3\n");
        let long = format!("{}\nmore", "word ".repeat(30));
        insta::assert_snapshot!(message(&long, RunId(3)));
    }
}
